from typing import final

@final
class Flights:
    """Requests in flight per key, over all processes: `regions` for as many workers, `entries` keys in each.

    Raises ValueError where `fd` holds none, OSError where there is no memory.
    """

    regions: int
    entries: int
    mine: int
    """This process's region; -1: none claimed."""

    @property
    def fd(self) -> int:
        """The memfd."""

    def __new__(cls, regions: int, entries: int, fd: int = -1) -> Flights: ...
    def claim(self) -> None:
        """Takes a region for this process, until it ends. Raises OSError where all are taken."""

    def board(self, key: bytes, limit: int) -> bool | None:
        """Counts one more in flight, unless `limit` are already; None: there is no room to count it."""

    def land(self, key: bytes) -> None:
        """One less. Raises KeyError where this process has none in flight."""

    def aloft(self, key: bytes) -> int:
        """How many are in flight, in all processes."""
