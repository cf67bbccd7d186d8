from collections.abc import Iterable
from typing import TypedDict, final, type_check_only

from tetrapylon._core.shared.segment import Segment

@type_check_only
class Taken(TypedDict):
    """What became of one request; times in ns of CLOCK_MONOTONIC."""

    at: int
    """When it was decided."""
    remaining: int
    """Requests that may come at once, in the tightest window."""
    reset: int
    """Until that window is as good as new."""
    retry: int
    """Until the next request is allowed; 0: now."""
    window: int
    """Which window it is."""
    allowed: bool
    evicted: int
    """Keys that were forgotten before their time, for want of room."""

@final
class Windows:
    """The rates that hold for each key, each `(requests, seconds, burst)`; shortest first whatever the order.

    Raises ValueError for none or more than four, and for what no clock of 64 bits can count.
    """

    count: int

    def __new__(cls, rates: Iterable[tuple[float, float, int]]) -> Windows: ...
    def __len__(self) -> int: ...

@final
class Table(Segment):
    """Counts of keys, at least `entries` of them.

    Every decision is one compare-and-swap: no process can leave a key locked. Where the eight places that a
    key may take are all alive, the one that would be forgotten soonest makes room.

    Raises ValueError for impossible numbers.
    """

    entries: int

    def __new__(cls, entries: int, fd: int = -1, *, name: str = "limits") -> Table: ...
    def record(self, path: str, room: int) -> None:
        """Write down decisions on rates in a file, which processes that do so have in common.

        Three words of 64 bits, of which the first counts decisions, then three for each of the first `room`:
        when it was made (ns), half of the key's hash, and whether it was allowed. All are 0 where a process
        was killed before it could say. Raises OSError.
        """

    def decide(self, key: bytes, windows: Windows, at: int = 0) -> Taken:
        """One request of `key`, now or `at` a time (ns): charged in all windows, or in none."""

    def count(self, key: bytes, today: int, over: int, limit: int, add: int = 1) -> tuple[bool, int]:
        """One more of `limit` in the period that is over on day `over`: allowed, and used.

        Days are counted from 1970, in UTC.
        """

    def remember(self, key: bytes, today: int, over: int, used: int) -> None:
        """The period's count is at least `used`."""
