"""Descriptors and deadlines that call Python: the reactor by itself, with nothing built on it."""

from collections.abc import Callable
from typing import Final

from typing_extensions import disjoint_base

from tetrapylon._core.reactor import Handle, Reactor, Timed

@disjoint_base
class Probe(Handle):
    """A descriptor in the epoll set; `on_ready(probe, readable, writable, hung_up)` hears of its events.

    Raises OSError for one that cannot be watched. `fd` belongs to the probe from then on.
    """

    open: Final[bool]
    """Still registered."""
    let_go: Final[bool]
    """Closed or forgotten, and the batch in which that happened is over."""

    def __init__(
        self,
        reactor: Reactor,
        fd: int,
        on_ready: Callable[[Probe, bool, bool, bool], object],
        *,
        read: bool = True,
        write: bool = False,
    ) -> None: ...
    def watch(self, *, read: bool = False, write: bool = False) -> None:
        """What to be told of from now on, apart from hang-ups and errors, which always are."""

    def park(self) -> None:
        """Out of the epoll set, where not even a hang-up is told."""

    def unpark(self) -> None:
        """Back into it, to read."""

    def close(self) -> None:
        """Closes the descriptor."""

    def forget(self) -> None:
        """Takes the descriptor out of the epoll set and leaves it open."""

@disjoint_base
class Alarm(Timed):
    """A deadline; `on_due(alarm)` is called when it has come."""

    def __init__(self, reactor: Reactor, on_due: Callable[[Alarm], object]) -> None: ...
    @property
    def armed(self) -> bool: ...
    def arm(self, seconds: float) -> None:
        """Sets it that far from now, in place of what was set before."""

    def after_turn(self) -> None:
        """Sets it at the end of the turn, or piece of work, that is under way. Elsewhere: of the next one."""

    def disarm(self) -> None: ...

def work(reactor: Reactor, piece: Callable[[], object]) -> None:
    """Runs a piece of work that the loop, not the epoll set, began: what it closes is let go at its end."""
