"""Handlers: users' functions as destinations."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from typing_extensions import disjoint_base

from tetrapylon._core.code.arguments import Argument
from tetrapylon._core.code.coroutine import Runner, Waiter
from tetrapylon._core.code.guard import Work
from tetrapylon._core.exchange import Destination, Sink

class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server-sent event (HTML, section 9.2), yielded by a handler.

    `data` is sent as it is if it is a string, else as JSON; `retry` is in milliseconds.
    """

    data: Any
    event: str | None = None
    id: str | None = None
    retry: int | None = None

class BadArguments(Exception):
    """All that is wrong with a request's arguments."""

    status: int
    detail: str
    errors: list[dict[str, str]]
    headers: dict[str, str]
    def __init__(self, status: int, detail: str, errors: list[dict[str, str]]) -> None: ...

@disjoint_base
class Answerer:
    """Puts what user code returns on the wire."""

    def __init__(self, runner: Runner, *, encoder: msgspec.json.Encoder | None = None) -> None: ...

@disjoint_base
class Made(Destination):
    """Answers with a Response that user code made."""

@disjoint_base
class Call(Waiter):
    """What a handler knows of an exchange that it has not answered yet."""

    def put(self, item: Any) -> bool:
        """The next item of a stream goes out; true while more may follow at once."""
    def opened(self) -> Any:
        """A future for when more may follow: true, or false for a stream that nobody takes any more."""
    def open(self) -> None:
        """More may follow, unless the client takes no more for now."""

@disjoint_base
class Intake(Sink):
    """Takes the request's body, and its client's pauses of a stream."""

@disjoint_base
class Handler(Destination):
    """A route's destination that is a function."""

    name: Final[str]
    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: Iterable[Argument],
        *,
        answerer: Answerer,
        work: Work,
        keywords: Iterable[str] = (),
        plain_json: bool = False,
        body_limit: int = 1048576,
        shared: dict[str, Any] | None = None,
    ) -> None:
        """`arguments`: one for each parameter; the last ones, named by `keywords`, are given by name.

        `plain_json`: what it returns is JSON, whatever it looks like. Raises ValueError for more than 32.
        """

async def pump(call: Call, iterator: Any) -> None:
    """All that the iterator yields goes out, as fast as the client takes it and others get their turns."""
