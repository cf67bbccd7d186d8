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

    `turn` is one of them that a request meets again when its upstream has answered, where the log counts it
    as the upstream's time. `cannot_tell`: why it is not known, and `do`, what would tell; `unknown`: what is
    not allowed for.
    """

    least: float
    waits: Sequence[Wait] = ()
    turn: Wait | None = None
    cannot_tell: str = ""
    do: str = ""
    unknown: str = ""

    @property
    def mean(self) -> float:
        return self.least + sum(wait.chance * wait.mean for wait in self.waits)

    def before(self, whole: Distribution, q: float) -> float:
        """How far the quantile of what users wait may lie above that of what was logged."""
        return self.least + shift(whole, self.waits, q)

    def within(self, upstream: Distribution, q: float) -> float:
        """How far the quantile of the upstreams' own time may lie below that of what was logged."""
        return 0.0 if self.turn is None else shift(upstream, [self.turn], q)


def shift(logged: Distribution, waits: Sequence[Wait], q: float) -> float:
    """By how much waits move a quantile, in microseconds."""
    if not waits:
        return 0.0
    here, before = logged.quantile(q).value, 0
    times = []
    for low, high, up_to in zip(logged.lows, logged.highs, logged.sums, strict=True):
        times.append(((low + high) / 2, up_to - before))
        before = up_to

    def share(within: float) -> float:
        """Of requests that are over within so long."""
        over = sum(
            count * max(0.0, 1 - sum(wait.chance * math.exp((time - within) / wait.mean) for wait in waits))
            for time, count in times
            if time <= within
        )
        return over / logged.count

    least, most = here, logged.highs[-1] + 50 * sum(wait.mean for wait in waits)
    for _ in range(40):
        middle = (least + most) / 2
        least, most = (middle, most) if share(middle) < q else (least, middle)
    return most - here


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
    if slots == capacity.workers:
        return Unseen(least, waits)
    return _in_turn(least, waits, capacity, capacity.workers, load)


def _in_turn(least: float, waits: list[Wait], capacity: Capacity, workers: int, load: Load) -> Unseen:
    """Each worker computes for one request at a time; others wait (a queue of type M/M/1)."""
    cpu_ms = load.own_ms if capacity.cpu is None else capacity.cpu / load.rate * 1000
    if not cpu_ms:
        return Unseen(least, waits)
    use = load.met_rate * cpu_ms / 1000 / workers
    if use < BUSIEST:
        # No turn is longer than what a request has of its own, in the log and before it.
        turn = min(cpu_ms * 1000, (load.own_ms or 0.0) * 1000 + least)
        wait = Wait(use, turn / (1 - use))
        return Unseen(least, [*waits, wait], wait)
    known = capacity.cpu is not None
    return Unseen(
        least,
        cannot_tell=f"its workers are {'' if known else 'perhaps '}{min(use, 1.0):.0%} busy, and how long"
        " requests wait for their turn is not in this log",
        do=LIVE if known else "say --cpu, the cores that it keeps busy on average",
    )
