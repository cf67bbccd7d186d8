"""Metrics whose labels are known when a config is compiled: words in shared memory that have names."""

from typing import Final, final

from tetrapylon._core.shared.segment import Segment

DROPPED: Final[bytes]
"""The series that counts for those that had no room."""

def text_of(family: str, labels: dict[str, object] | None = None) -> bytes:
    """`family{label="value"}` as Prometheus text writes it."""

@final
class Series(Segment):
    """A table of names and, for each worker and the supervisor, a row of words that it alone writes.

    Any process may name a new one; names stay. At most `capacity - 1` of them, of up to 240 bytes; what has
    no room is counted as `overflow`. Each name has `width` words, of which the last `gauges` are gauges.

    Raises ValueError for impossible numbers.
    """

    workers: Final[int]
    capacity: Final[int]

    width: Final[int]

    def __new__(
        cls,
        workers: int,
        capacity: int = 2048,
        *,
        width: int = 1,
        gauges: int = 0,
        overflow: bytes = ...,
        name: str = "series",
        fd: int = -1,
    ) -> Series: ...
    def add(self, worker: int, text: bytes, value: int = 1, *, gauge: bool = False) -> None:
        """For what is not compiled; compiled code keeps the pointer.

        A `gauge` is true now, and cleared with its worker. Raises IndexError for a worker there is not.
        """
    def clear_gauges(self, worker: int) -> None:
        """A worker is gone: what was true of it is so no longer."""
    def totals(self) -> list[tuple[str, int]]:
        """The sums over all workers of each name's first word, sorted by name."""
    def blocks(self) -> list[tuple[str, list[int]]]:
        """Likewise of all its words."""
