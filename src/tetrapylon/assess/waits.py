"""Waits that a log does not have: before the call of the app, for a free worker and for the interpreter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from tetrapylon.assess.histogram import Distribution
from tetrapylon.assess.limits import erlang_wait
from tetrapylon.assess.logs.formats import Clock
from tetrapylon.assess.result import Load

__all__ = ["Capacity", "Unseen", "Wait", "unseen_of"]

LIVE = "measure live with --front and --behind"
BUSIEST = 0.8
"""From this utilisation on, how long is waited depends on everything, and no formula says it."""


class Capacity(NamedTuple):
    """What takes the requests. `slots`: how many at once; `cpu`: cores that are kept busy on average.

    None stands for what is not known.
    """

    workers: int | None = None
    slots: int | None = None
    slots_from: str = ""
    cpu: float | None = None


class Wait(NamedTuple):
    """Longer than t microseconds with probability chance * exp(-t / mean)."""

    chance: float
    mean: float


class Unseen(NamedTuple):
    """By how much users may wait longer than a log says: `least` microseconds each, and then `waits`.

    `cannot_tell`: why that is not known, and `do`, what would tell; `unknown`: what is not allowed for.
    """

    least: float
    waits: Sequence[Wait] = ()
    cannot_tell: str = ""
    do: str = ""
    unknown: str = ""

    @property
    def mean(self) -> float:
        return self.least + sum(wait.chance * wait.mean for wait in self.waits)

    def at(self, logged: Distribution, q: float) -> float:
        """How far the quantile of what users wait may lie above that of what was logged."""
        here = logged.quantile(q).value
        if not self.waits:
            return self.least
        before = 0
        times = []
        for low, high, up_to in zip(logged.lows, logged.highs, logged.sums, strict=True):
            times.append(((low + high) / 2, up_to - before))
            before = up_to
        longest = logged.highs[-1]

        def share(within: float) -> float:
            """Of requests that are over within so long."""
            over = sum(
                count * max(0.0, 1 - sum(w.chance * math.exp((time - within) / w.mean) for w in self.waits))
                for time, count in times
                if time <= within
            )
            return over / logged.count

        least, most = here, longest + 50 * sum(wait.mean for wait in self.waits)
        for _ in range(40):
            middle = (least + most) / 2
            least, most = (middle, most) if share(middle) < q else (least, middle)
        return self.least + most - here


def unseen_of(clock: Clock, capacity: Capacity, load: Load | None) -> Unseen:
    """What stands before the first thing that a server logs, by the traffic that its requests meet."""
    least = clock.unseen
    if load is None:
        return Unseen(least)
    if not clock.is_of_the_app:  # it reads requests by itself, as many as come, once it has its turn
        if capacity.workers is None or capacity.cpu is None:
            return Unseen(least)
        return _in_turn(least, [], capacity, capacity.workers, load)
    if capacity.workers is None or capacity.slots is None:
        unknown = "How long requests wait for a free worker is not in this log: say --workers and --threads."
        return Unseen(least, unknown=unknown)
    concurrency, slots = load.met_concurrency, capacity.slots
    if concurrency >= BUSIEST * slots:
        return Unseen(
            least,
            cannot_tell=f"{concurrency:.3g} of the {slots} requests that it can take are under way as others"
            " come, and how long these wait for their turn is not in this log",
            do=LIVE,
        )
    holds = load.request_ms * 1000
    mean = erlang_wait(concurrency, slots) * holds
    waits = [Wait(mean * (slots - concurrency) / holds, holds / (slots - concurrency))] if mean else []
    # A worker with threads, or with an event loop, has one interpreter for its requests.
    return (
        _in_turn(least, waits, capacity, capacity.workers, load)
        if slots > capacity.workers
        else Unseen(least, waits)
    )


def _in_turn(least: float, waits: list[Wait], capacity: Capacity, workers: int, load: Load) -> Unseen:
    """Each worker computes for one request at a time; others wait (a queue of type M/M/1)."""
    cpu_ms = load.own_ms if capacity.cpu is None else capacity.cpu / load.rate * 1000
    if not cpu_ms:
        return Unseen(least, waits)
    use = load.met_rate * cpu_ms / 1000 / workers
    if use < BUSIEST:
        return Unseen(least, [*waits, Wait(use, cpu_ms * 1000 / (1 - use))])
    known = capacity.cpu is not None
    return Unseen(
        least,
        cannot_tell=f"its workers are {'' if known else 'perhaps '}{min(use, 1.0):.0%} busy, and how long"
        " requests wait for their turn is not in this log",
        do=LIVE if known else "say --cpu, the cores that it keeps busy on average",
    )
