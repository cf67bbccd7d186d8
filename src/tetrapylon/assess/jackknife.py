"""Requests in groups that follow each other, for the jackknife: memory that does not grow with the log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from tetrapylon.assess.histogram import bin_of, empty, merged

__all__ = ["FIRST", "FIRST_SECONDS", "Group", "Groups", "deviation", "student"]

MOST = 40
FIRST = 32
"""Requests of a group to begin with."""
FIRST_SECONDS = 1


class Group:
    """Some requests: histograms of their whole times and of their upstreams' times, and the sums of both."""

    __slots__ = ("count", "sum_total", "sum_upstream", "totals", "upstreams")

    def __init__(self) -> None:
        self.count = 0
        self.totals, self.upstreams = empty(), empty()
        self.sum_total = self.sum_upstream = 0

    def add(self, total: int, upstream: int) -> None:
        self.count += 1
        self.totals[bin_of(total)] += 1
        self.upstreams[bin_of(upstream)] += 1
        self.sum_total += total
        self.sum_upstream += upstream

    def behind(self) -> Group:
        """The same requests as those of a service: their whole time is what the gateway waited."""
        turned = Group()
        turned.count = self.count
        turned.upstreams, turned.sum_upstream = self.totals, self.sum_total
        return turned

    def absorb(self, other: Group) -> None:
        self.count += other.count
        self.totals = merged(self.totals, other.totals)
        self.upstreams = merged(self.upstreams, other.upstreams)
        self.sum_total += other.sum_total
        self.sum_upstream += other.sum_upstream


class Groups:
    """Groups by place in the log or by time: neighbours become one whenever there are too many.

    What follows each other is alike, so only groups of neighbours differ as much as the next log would.
    """

    def __init__(self, first: int = FIRST) -> None:
        """`first`: how many places a group has to begin with."""
        self._first = first
        self._groups: dict[int, Group] = {}
        self._shift = 0

    def add(self, place: int, total: int, upstream: int) -> None:
        """`place`: the request's number, or its second."""
        key = (place // self._first) >> self._shift
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group()
            if len(self._groups) > 2 * MOST:
                self._halve()
                group = self._groups[key >> 1]
        group.add(total, upstream)

    def _halve(self) -> None:
        self._shift += 1
        halved: dict[int, Group] = {}
        for key in sorted(self._groups):
            group = self._groups[key]
            known = halved.setdefault(key >> 1, group)
            if known is not group:
                known.absorb(group)
        self._groups = halved

    @property
    def count(self) -> int:
        return sum(group.count for group in self._groups.values())

    def aligned(self, other: Groups) -> tuple[Groups, Groups]:
        """Both by the coarser of their steps, and of the keys that both have, the first and last left out."""
        while self._shift < other._shift:
            self._halve()
        while other._shift < self._shift:
            other._halve()
        both = sorted(self._groups.keys() & other._groups.keys())[1:-1]
        pair = Groups(), Groups()
        for one, source in zip(pair, (self, other), strict=True):
            one._shift = source._shift
            one._groups = {key: source._groups[key] for key in both}
        most = max(1, min(MOST, math.isqrt(min(pair[0].count, pair[1].count))))
        while len(pair[0]._groups) > most:
            for one in pair:
                one._halve()
        return pair

    def final(self) -> list[Group]:
        """At most `MOST`, and no more than the root of the number of requests: a jackknife of quantiles needs
        to leave out more than that root at a time (Shao and Wu 1989)."""
        most = max(1, min(MOST, math.isqrt(self.count)))
        while len(self._groups) > most:
            self._halve()
        return self.list()

    def list(self) -> list[Group]:
        return [self._groups[key] for key in sorted(self._groups)]


def deviation(sizes: Sequence[int], whole: float, left_out: Sequence[float]) -> float:
    """The jackknife's standard error of a statistic, with groups of unequal `sizes` (Busing et al. 1999).

    `whole` is its value for all, `left_out` those without each group.
    """
    n, groups = sum(sizes), len(sizes)
    parts = [(n / size, each) for size, each in zip(sizes, left_out, strict=True)]
    center = groups * whole - sum((1 - 1 / h) * each for h, each in parts)
    return math.sqrt(sum((h * whole - (h - 1) * each - center) ** 2 / (h - 1) for h, each in parts) / groups)


def student(freedom: int, level: float = 0.99) -> float:
    """How many standard errors to either side hold `level` of Student's t (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return math.fsum(term / math.pow(freedom, power) for power, term in enumerate(terms))
