"""Whether a process's memory grows without an end in sight, which is what a leak looks like from outside.

Its floors are looked at: the least that it had resident in each of some windows of time, for what comes and
goes between two collections is no growth. Two things look like a leak and are none. Warm-up, which is over
after a while; growth that slows down, as that of a cache that fills, and single jumps, as by the largest
request of the day, are told from it by their shape.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

__all__ = ["Grown", "Growth"]

WINDOWS = 12
"""Fewer say nothing. With twice as many, each two become one: all of a process's life is looked at."""
EACH = 4
"""Windows in the time of a warm-up, at first."""
LOOKS = 4
"""In a window, at first."""
LEAST = 64 << 20
"""Bytes of growth that are worth a word, if it has doubled, too."""
LATER = 0.4
"""Share of all growth that the later half of the windows has to have: half, where it is steady."""
FALLS = 0.02
"""Share of its memory by which a floor lies below the one before, where memory is given back."""


class Grown(NamedTuple):
    """From how many bytes to how many, in how many seconds."""

    before: int
    after: int
    seconds: float

    def __str__(self) -> str:
        an_hour = (self.after - self.before) / self.seconds * 3600
        return (
            f"its memory has grown from {self.before / 2**20:,.0f} MiB to {self.after / 2**20:,.0f} MiB in"
            f" {_span(self.seconds)} and grows on, by {an_hour / 2**20:,.0f} MiB an hour"
        )


class Growth:
    """Of one process. Times are CLOCK_MONOTONIC seconds, given by the caller."""

    def __init__(self, now: float, warmup: float) -> None:
        """It begins to serve now."""
        self.due = now
        """When it is to be looked at next."""
        self.last = 0
        """Bytes resident at the last look."""
        self._warm = now + warmup
        self._width = warmup / EACH
        self._end = self._warm + self._width
        """Of the window that is open."""
        self._floor: int | None = None
        self._floors: list[int] = []

    def see(self, now: float, resident: int) -> Grown | None:
        """To be called when it is `due`. What is known to have grown, at the end of a window."""
        self.last = resident
        self.due = now + self._width / LOOKS
        if now < self._warm or not resident:
            return None
        if now < self._end or self._floor is None:
            self._floor = resident if self._floor is None else min(self._floor, resident)
            return None
        self._floors.append(self._floor)
        self._floor = resident
        self._end = now + self._width
        if len(self._floors) == 2 * WINDOWS:
            self._floors = [min(pair) for pair in zip(self._floors[::2], self._floors[1::2], strict=True)]
            self._width *= 2
        return self._judge()

    def _judge(self) -> Grown | None:
        floors = self._floors
        if len(floors) < WINDOWS:
            return None
        before, middle, after = floors[0], floors[len(floors) // 2], floors[-1]
        grown = after - before
        if grown < max(LEAST, before) or after - middle < LATER * grown:
            return None
        steps = [then - now for now, then in pairwise(floors)]
        rises = sum(step > grown / len(steps) / 4 for step in steps)
        falls = any(step < -FALLS * after for step in steps)
        if rises < len(steps) / 2 or falls or max(steps) > grown / 2:
            return None
        return Grown(before, after, (len(floors) - 1) * self._width)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
