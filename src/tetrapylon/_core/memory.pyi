"""Exchanges without connections, for tests and tools: both of an exchange's ends live in memory.

All calls belong to the thread of the pipeline's loop. Steps of a script are tuples:

- `("head", status)`, `("head", status, headers)`, `("interim", status)`: a response's head;
- `("body", piece)`; `("end",)`, `("end", trailers)`;
- `("fail",)`: the answer, or the rest of it, will never come;
- `("pause",)`, `("resume",)`: the request's source is told to;
- `("wait",)`: what follows has to be asked for by `advance`.
"""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination, Filter, Sink, Ticket
from tetrapylon._core.policy import Policy
from tetrapylon._core.stages import Pipeline

_Lines: TypeAlias = Iterable[tuple[bytes, bytes]]

@disjoint_base
class MemoryExchange(Sink):
    """One request through a pipeline, begun at once, and all that comes back.

    A `Host: memory` is put before `headers`, which say how the body is framed: `body` are its pieces,
    handed on as they are. With `complete` false more may follow by `say`.

    Raises ValueError for what is not the head of a request.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        method: bytes,
        target: bytes,
        headers: _Lines = (),
        *,
        body: Iterable[bytes] | None = None,
        trailers: _Lines = (),
        complete: bool = True,
    ) -> None: ...
    def say(self, piece: bytes) -> None:
        """Another piece of the body; it waits while the source is paused."""
    def complete_body(self) -> None:
        """The body's last piece was said."""
    def cancel(self) -> None:
        """As when a client goes away. Does nothing once the exchange is over."""
    def hold(self) -> None:
        """Asks the destination to pause the response."""
    def go_on(self) -> None:
        """Asks it to resume."""
    @property
    def slot(self) -> int:
        """Which exchange object of the free list served it."""
    @property
    def generation(self) -> int:
        """In which of its lives."""
    @property
    def over(self) -> bool: ...
    @property
    def interims(self) -> list[int]:
        """Statuses of the 1xx responses."""
    @property
    def status(self) -> int:
        """0: no head has come."""
    @property
    def headers(self) -> list[tuple[bytes, bytes]]: ...
    @property
    def received(self) -> bytes: ...
    @property
    def pieces_out(self) -> list[bytes]:
        """The response's body as it came."""
    @property
    def trailers(self) -> list[tuple[bytes, bytes]]: ...
    @property
    def fault(self) -> str | None:
        """The name, as in the access log, of the fault that ended it."""
    @property
    def heads(self) -> int:
        """How often a head, an end, an abort, the exchange's end, a pause and a resume were told."""
    @property
    def ends(self) -> int: ...
    @property
    def aborts(self) -> int: ...
    @property
    def finishes(self) -> int: ...
    @property
    def pauses(self) -> int: ...
    @property
    def resumes(self) -> int: ...

@disjoint_base
class MemoryDestination(Destination):
    """Answers each request by the script, one at a time; takes the request's body unless told not to."""

    def __init__(self, *script: tuple[Any, ...], takes: bool = True) -> None: ...
    def advance(self, *more: tuple[Any, ...]) -> None:
        """Goes on behind a "wait"; `more` steps are added to the script."""
    @property
    def request(self) -> MemoryPort:
        """What has come of requests."""
    @property
    def waiting(self) -> bool:
        """An exchange is open here."""
    @property
    def starts(self) -> int: ...
    @property
    def cancels(self) -> int: ...

@disjoint_base
class MemoryPort(Sink):
    """The destination's end: takes the request's body, and is asked to pause the response."""

    @property
    def received(self) -> bytes: ...
    @property
    def pieces(self) -> list[bytes]: ...
    @property
    def trailers(self) -> list[tuple[bytes, bytes]]: ...
    @property
    def ended(self) -> bool: ...
    @property
    def pauses(self) -> int: ...
    @property
    def resumes(self) -> int: ...

_Said: TypeAlias = Literal["continue", "answer", "wait", "collect"]

@disjoint_base
class MemoryPolicy(Policy):
    """Says these verdicts, then always "continue"; `answer` is what it answers with.

    `on_response` are those of its response side. After a "collect" it is asked again, with the body, which it
    replaces by `whole`; it takes `limit` bytes. `filter` is installed on its response side.
    """

    def __init__(
        self,
        *verdicts: _Said,
        answer: Destination | None = None,
        whole: bytes | None = None,
        on_response: Iterable[_Said] = (),
        filter: Filter | None = None,
        limit: int = 1048576,
    ) -> None: ...
    @property
    def tickets(self) -> list[Ticket]:
        """One for each "wait"."""
    @property
    def bodies(self) -> list[bytes | None]:
        """One for each "collect"."""
    @property
    def requests(self) -> int: ...
    @property
    def responses(self) -> int: ...
    @property
    def ends(self) -> int: ...

@disjoint_base
class MemoryFilter(Filter):
    """Puts `before` ahead of each piece, and `after` behind the last."""

    def __init__(self, before: bytes = b"", after: bytes = b"") -> None: ...
    @property
    def ends(self) -> int: ...
    @property
    def aborts(self) -> int: ...

def resume(pipeline: Pipeline, ticket: Ticket, answer: Destination | None = None) -> None:
    """Uses a ticket: its exchange goes on, or is answered. A late or repeated use is counted, no more."""
