"""Plugins: policies that are classes of the user's."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from typing_extensions import disjoint_base

from tetrapylon._core.code.coroutine import Waiter
from tetrapylon._core.code.guard import Work
from tetrapylon._core.code.handler import Answerer
from tetrapylon._core.exchange import Destination, Filter
from tetrapylon._core.policy import Policy
from tetrapylon._core.reactor import Reactor, Timed

class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchange ended, for `on_end`.

    `error` is what the access log says went wrong; `status` is what the client was told, 0 for nothing.
    """

    status: int
    seconds: float
    upstream_seconds: float
    bytes_in: int
    bytes_out: int
    error: str | None

@disjoint_base
class Plugin(Policy):
    """One use of a plugin's class."""

    name: Final[str]
    instance: Final[Any]
    def __init__(
        self,
        name: str,
        instance: Any,
        *,
        answerer: Answerer,
        reactor: Reactor,
        work: Work,
        shared: dict[str, Any],
        on_request: Callable[..., Any] | None = None,
        on_head: Callable[..., Any] | None = None,
        on_body: Callable[..., Any] | None = None,
        on_response: Callable[..., Any] | None = None,
        on_end: Callable[..., Any] | None = None,
        takes_body: bool = False,
        open: bool = False,
        fallback: Destination | None = None,
        timeout: float | None = None,
        request_limit: int = 1048576,
        response_limit: int = 1048576,
    ) -> None:
        """The hooks are bound; `timeout` (seconds) is for those that wait. `open`: go on where it fails."""

@disjoint_base
class Refused(Destination):
    """The answer to a request that a plugin failed, or refused."""

@disjoint_base
class Wait(Waiter):
    """A hook that waits."""

@disjoint_base
class Expiry(Timed):
    """The end of its patience."""

@disjoint_base
class Afterwards(Waiter):
    """Hears of the end of an `on_end` that goes on for a while."""

    def __init__(self, work: Work) -> None: ...

@disjoint_base
class BodyFilter(Filter):
    """A response's body on its way through `on_body`."""
