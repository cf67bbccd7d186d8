"""Requests of the gateway's own: to an auth service, for a part of an answer, to refresh what is cached."""

from collections.abc import Callable, Iterable
from typing import Final, Self

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Plan, Sink, Stages
from tetrapylon._core.http.wire import Via
from tetrapylon._core.reactor import Reactor

class CallStages(Stages):
    """The stages of such exchanges: no route, no policies, no log. One serves all calls of a gateway."""

    def __init__(self, reactor: Reactor, via: Via) -> None: ...

@disjoint_base
class Call(Sink):
    """One request and its whole answer in memory.

    The plan says where it goes and under which timeouts. `headers` must have a Host; Content-Length is added
    with `body`. An answer of more than `limit` bytes of body fails. `on_done` is called once, in the loop's
    thread, and must not raise.
    """

    plan: Final[Plan]
    status: Final[int]
    """0: no whole answer has come."""
    fault: Final[str | None]
    """Why not: a fault's name, as the access log has it."""
    headers: Final[list[tuple[bytes, bytes]]]
    payload: Final[bytes]
    """Its body."""

    def __init__(
        self,
        stages: Stages,
        plan: Plan,
        method: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | None = None,
        *,
        limit: int = 1048576,
        on_done: Callable[[Call], object] | None = None,
    ) -> None: ...
    def start(self) -> None:
        """Raises ValueError for what is no request, RuntimeError the second time."""
    def cancel(self) -> None:
        """Gives it up; `on_done` hears of it at once. Nothing happens once it is over."""
    async def fetch(self) -> Self:
        """Starts it and waits for the answer, in place of `on_done`. Cancelling it cancels the call."""
