"""What is kept of a log while it streams by: groups for the share, windows of time for load, counts."""

from __future__ import annotations

from collections.abc import Iterator

from tetrapylon.assess.jackknife import FIRST, FIRST_SECONDS, Groups
from tetrapylon.assess.logs.formats import ABSENT, Line
from tetrapylon.assess.logs.times import NONE

__all__ = ["Tally", "Window"]

MINUTE = 60
MOST_WINDOWS = 20_000
JUMP = 60
"""Seconds that the clock may go back before it counts: lines of several processes are not in strict order."""
CLOSED_BY_CLIENT = 499
SWITCHED = 101


class Window:
    """Requests that ended in one stretch of time. Times in microseconds; `forwarded` have both times."""

    __slots__ = ("count", "forwarded", "own", "total")

    def __init__(self) -> None:
        self.count = self.forwarded = 0
        self.total = self.own = 0

    def absorb(self, other: Window) -> None:
        self.count += other.count
        self.forwarded += other.forwarded
        self.total += other.total
        self.own += other.own


class Tally:
    """Takes lines one by one.

    Attributes:
        groups: of requests with both times, or with the whole time alone where no line has the other.
        slack: microseconds by which an upstream's time may exceed the whole before that is impossible.
        width: seconds of a window.
    """

    def __init__(self, *, by_time: bool = False) -> None:
        """`by_time`: groups are stretches of time, so that two logs can be held against each other."""
        self.by_time = by_time
        first = FIRST_SECONDS if by_time else FIRST
        self.groups = Groups(first)
        self.alone = Groups(first)
        """Requests whose upstream time is not in the log."""
        self.slack = 0
        self.requests = self.untimed = self.undated = 0
        self.aborted = self.switched = self.impossible = self.jumps = 0
        self.own = self.own_total = 0
        """Requests that no upstream saw, and their time."""
        self.errors = 0
        """Answers of 5xx."""
        self.first = self.last = 0.0
        self.width = MINUTE
        self.windows: dict[int, Window] = {}
        self.met = 0
        """Requests in the same second, summed over requests; `met_total`: their times, summed so, too."""
        self.met_total = 0
        self._second = self._count = self._total = 0
        self._previous = 0.0

    def add(self, line: Line) -> None:
        moment, total, upstream, status = line
        self.requests += 1
        if status >= 500:
            self.errors += 1
        if status == SWITCHED:
            self.switched += 1
            return
        window = self._window(moment, total) if moment is not None else None
        if moment is None:
            self.undated += 1
        if status == CLOSED_BY_CLIENT:
            self.aborted += 1
        elif total < 0:
            self.untimed += 1
        elif upstream == NONE:
            self.own += 1
            self.own_total += total
        elif upstream > total + self.slack:
            self.impossible += 1
        elif not self.by_time or moment is not None:
            place = int(moment or 0) if self.by_time else self.requests
            if upstream == ABSENT:
                self.alone.add(place, total, 0)
            else:
                self.groups.add(place, total, upstream)
                if window is not None:
                    window.forwarded += 1
                    window.own += max(0, total - upstream)

    def _window(self, moment: float, total: int) -> Window:
        if moment < self._previous - JUMP:
            self.jumps += 1
        self._previous = moment
        if not self.first or moment < self.first:
            self.first = moment
        if moment > self.last:
            self.last = moment
        second = int(moment)
        if second != self._second:
            self._meet()
            self._second = second
        self._count += 1
        self._total += max(0, total)
        key = second // self.width
        window = self.windows.get(key)
        if window is None:
            window = self.windows[key] = Window()
            if len(self.windows) > MOST_WINDOWS:
                self._widen()
                window = self.windows[key >> 1]
        window.count += 1
        if total > 0:
            window.total += total
        return window

    def _meet(self) -> None:
        self.met += self._count * self._count
        self.met_total += self._count * self._total
        self._count = self._total = 0

    def new_file(self) -> None:
        """Rotated files may come in any order: the clock does not jump between them."""
        self._previous = 0.0

    def _widen(self) -> None:
        self.width *= 2
        wider: dict[int, Window] = {}
        for key, window in self.windows.items():
            known = wider.setdefault(key >> 1, window)
            if known is not window:
                known.absorb(window)
        self.windows = wider

    def dated(self) -> Iterator[tuple[int, Window]]:
        """Windows in their order, with the second that each begins with."""
        self._meet()
        for key in sorted(self.windows):
            yield key * self.width, self.windows[key]
