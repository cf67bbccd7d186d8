from typing import final

from tetrapylon._core.shared.segment import Segment

@final
class Flights(Segment):
    """Requests in flight per key, over all processes: `regions` for as many workers, `entries` keys in each.

    A process that has claimed a region keeps its descriptor, and has no other of the same file: whichever
    it closes, its claim ends with it (POSIX record locks). Raises ValueError for impossible numbers.
    """

    regions: int
    entries: int
    mine: int
    """This process's region; -1: none claimed."""

    def __new__(cls, regions: int, entries: int, fd: int = -1) -> Flights: ...
    def claim(self) -> None:
        """Takes a region for this process, until it ends. Raises OSError where all are taken."""

    def board(self, key: bytes, limit: int) -> bool | None:
        """Counts one more in flight, unless `limit` are already; None: there is no room to count it."""

    def land(self, key: bytes) -> None:
        """One less. Raises KeyError where this process has none in flight."""

    def aloft(self, key: bytes) -> int:
        """How many are in flight, in all processes."""
