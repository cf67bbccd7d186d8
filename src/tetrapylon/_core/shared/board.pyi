"""What all processes know of the targets: shared memory, one slot a target, found by two names."""

from typing import Any, Final

from typing_extensions import disjoint_base

from tetrapylon._core.shared.segment import Segment

@disjoint_base
class Spare:
    """A slot that only this process sees."""

@disjoint_base
class Board(Segment):
    """Health, breakers and weights."""

    capacity: Final[int]

    def __new__(cls, capacity: int = 1024, fd: int = -1) -> Board: ...
    def rows(self) -> list[dict[str, Any]]:
        """What is known of each target that a worker has; under "" of its upstream as a whole."""

    def set_weight(self, upstream: str, target: str, weight: int | None) -> None:
        """For all workers, from their next pick on; 0 sends nothing there, None is the config's own.

        Raises KeyError where there is no such target.
        """

    def renew(self, upstream: str, target: str) -> None:
        """Another server is to have this name: its health, breaker and weight begin anew; totals go on."""

    def release(self, upstream: str, target: str) -> None:
        """No server has this name now. Its totals go on should one have it soon."""

    def check(self, upstream: str, target: str, passed: bool) -> None:
        """Counts an active check."""

    def mark(self, upstream: str, target: str, healthy: bool) -> bool:
        """What active checks have come to; whether that is news."""

    def unmark(self, upstream: str, target: str) -> None:
        """No active check looks at the target any more."""

    def lead(self, pid: int) -> bool:
        """Whether this process is the one that does what one does for all. To be asked every second."""

    def resign(self, pid: int) -> None:
        """Another may lead at once."""

    @property
    def epoch(self) -> int:
        """Counts the changes that pickers must know of."""

def names(row: dict[str, Any]) -> tuple[str, str]:
    """What rows are sorted by."""

CHECKED: Final[tuple[str, ...]]
CIRCUITS: Final[tuple[str, ...]]
