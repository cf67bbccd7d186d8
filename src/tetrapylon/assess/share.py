"""How much of users' time is the gateway's own: quantiles of the whole time against the upstreams'."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

from tetrapylon.assess.histogram import Distribution, empty, merged, without
from tetrapylon.assess.jackknife import Group, deviation, student
from tetrapylon.assess.logs.formats import Clock
from tetrapylon.assess.waits import Unseen

__all__ = ["FEWEST", "LEVEL", "Interval", "Share", "curve", "mean_share", "shares", "whole_times"]

LEVEL = 0.99
BEYOND = 50
"""Requests that have to lie beyond a quantile."""
FEWEST = 200
"""Requests below which nothing is said."""
STRAIGHT = 200
"""Microseconds that users themselves would wait for an upstream beyond what the gateway waits for it."""
QUANTILES = (0.5, 0.95, 0.99)
CURVE = [n / 100 for n in range(1, 100)]


class Interval(NamedTuple):
    low: float
    value: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


class Share(NamedTuple):
    """Of one quantile. Times in microseconds; `share` is (total - upstream) / total, from 0 to 1."""

    q: float
    total: float
    upstream: float
    share: Interval
    open: float
    """How wide the interval is by the clocks, and by what the log does not see, alone."""

    @property
    def win(self) -> Interval:
        """What a gateway that took no time at all would win, in microseconds."""
        return Interval(*(self.total * each for each in self.share))


def shares(
    whole: Sequence[Group], waited: Sequence[Group], total: Clock, upstream: Clock, unseen: Unseen
) -> Iterator[Share]:
    """For each quantile that there are enough requests for.

    `whole` are the groups whose whole times count, `waited` those whose upstreams' times do: the same ones,
    or those of a second log in the same stretches of time. The clocks are those of the two times; `unseen` is
    what users wait beyond.

    The whole time at a quantile less the upstreams' at the same one is what would be won there if the gateway
    took none. The interval is one of 99%: the clock's bounds with what it does not see, and beyond them the
    error of a sample, by a jackknife that leaves out a group at a time.
    """
    totals = _left_out([group.totals for group in whole], total)
    upstreams = _left_out([group.upstreams for group in waited], upstream)
    sizes = [group.count for group in whole]
    margin = student(len(sizes) - 1, LEVEL) if len(sizes) > 1 else float("inf")
    for q in QUANTILES:
        if min(totals[0].count, upstreams[0].count) * (1 - q) < BEYOND:
            continue
        around = unseen.before(totals[0], q), unseen.within(upstreams[0], q)
        here, *others = [
            _bounds(one, other, q, *around) for one, other in zip(totals, upstreams, strict=True)
        ]
        error = margin * deviation(sizes, here[1], [each[1] for each in others])
        low, high = min(here[0], here[1]) - error, max(here[2], here[1]) + error
        yield Share(
            q,
            totals[0].quantile(q).value,
            upstreams[0].quantile(q).value,
            Interval(max(0.0, low), max(0.0, here[1]), min(1.0, max(0.0, high))),
            here[2] - here[0],
        )


def curve(
    whole: Sequence[Group], waited: Sequence[Group] | None, total: Clock, upstream: Clock
) -> list[tuple[float, float, float | None]]:
    """Quantiles with both times in microseconds; without the upstreams' where `waited` is None."""
    sides = [_all([group.totals for group in whole], total)]
    if waited is not None:
        sides.append(_all([group.upstreams for group in waited], upstream))
    if not sides[0].count:
        return []
    found = [[side.quantile(q).value for q in CURVE] for side in sides]
    others: list[float | None] = [*found[1]] if len(found) > 1 else [None] * len(CURVE)
    return list(zip(CURVE, found[0], others, strict=True))


def _all(parts: list[array[int]], clock: Clock) -> Distribution:
    counts = reduce(merged, parts) if parts else empty()
    return Distribution(counts, clock, [index for index, count in enumerate(counts) if count])


def whole_times(groups: Sequence[Group], clock: Clock) -> Iterator[tuple[float, float]]:
    """Quantiles of the whole time, in microseconds, that there are enough requests for."""
    told = _all([group.totals for group in groups], clock)
    for q in QUANTILES:
        if told.count * (1 - q) >= BEYOND:
            yield q, told.quantile(q).value


def mean_share(
    whole: Sequence[Group], waited: Sequence[Group], total: Clock, upstream: Clock, unseen: Unseen
) -> Interval:
    """Of all the time together. The errors of phased clocks cancel out; those of others do not."""
    totals, upstreams = [group.sum_total for group in whole], [group.sum_upstream for group in waited]
    sizes, others = [group.count for group in whole], [group.count for group in waited]
    open_total = 0 if total.phased else total.tick
    open_upstream = 0 if upstream.phased else upstream.tick

    def statistic(without: int | None) -> tuple[float, float, float]:
        n, m = (sum(each) - (each[without] if without is not None else 0) for each in (sizes, others))
        t, u = (sum(each) - (each[without] if without is not None else 0) for each in (totals, upstreams))
        mean_t, mean_u = t / n, u / m
        least, most = mean_t + open_total + unseen.mean, mean_u + open_upstream
        return (
            1 - (most + STRAIGHT) / (mean_t + STRAIGHT) if mean_t else 0.0,
            1 - (mean_u + open_upstream / 2) / (mean_t + open_total / 2) if mean_t else 0.0,
            1 - mean_u / least if least else 0.0,
        )

    here, left = statistic(None), [statistic(group) for group in range(len(sizes))]
    margin = student(len(sizes) - 1, LEVEL) if len(sizes) > 1 else float("inf")
    errors = [deviation(sizes, here[i], [each[i] for each in left]) for i in range(3)]
    return Interval(
        max(0.0, here[0] - margin * errors[0]), max(0.0, here[1]), min(1.0, here[2] + margin * errors[2])
    )


def _left_out(parts: list[array[int]], clock: Clock) -> list[Distribution]:
    """All of them together, then all without each."""
    whole = reduce(merged, parts)
    occupied = [index for index, count in enumerate(whole) if count]
    return [
        Distribution(each, clock, occupied) for each in (whole, *(without(whole, part) for part in parts))
    ]


def _bounds(
    total: Distribution, upstream: Distribution, q: float, before: float, within: float
) -> tuple[float, float, float]:
    """The least, the likeliest and the greatest share by what the clocks leave open and do not see."""
    one, other = total.quantile(q), upstream.quantile(q)
    return (
        1 - (other.high + STRAIGHT) / (one.low + STRAIGHT) if one.low > 0 else 0.0,
        1 - other.value / one.value if one.value > 0 else 0.0,
        1 - max(0.0, other.low - within) / (one.high + before) if one.high > 0 else 0.0,
    )
