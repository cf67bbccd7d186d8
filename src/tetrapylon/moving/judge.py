"""Whether the new side does worse than the old one: by more than chance may bring about (leaf).

Both sides serve at the same time, and chance decides who is served by which, so they differ in nothing but
the service. What is judged again and again as requests come needs bounds that hold for all those looks: hence
Z, with which a service that is as good as the old one is next to never sent back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import ceil, floor, sqrt
from typing import NamedTuple

__all__ = ["Counts", "Limits", "Window", "excess", "quantile", "regression", "wilson"]

Z = 4.0
LEAST = 5
"""Requests of the new side, of which fewer tell nothing."""
QUANTILE = 0.95


class Counts(NamedTuple):
    """Of one side since some moment."""

    ended: int
    errors: int
    refusals: int
    times: Sequence[int]
    """By class, of what ended without an error."""
    late: int = 0
    """Requests that have not ended, and have been under way for far longer than the old side takes."""


class Window(NamedTuple):
    """What is compared: both sides over the same time."""

    old: Counts
    new: Counts


class Limits(NamedTuple):
    """By how much the new side may be worse; None: that is not looked at."""

    errors: float | None
    """Of all requests, so much more."""
    client_errors: float | None
    p95: float | None
    """Of the old side's, so much more."""
    different: float | None
    """Of the answers that are compared, so many."""


def wilson(count: int, of: int, z: float = Z) -> tuple[float, float]:
    """Bounds of the share that `count` of `of` tells (Wilson, 1927)."""
    if not of:
        return 0.0, 1.0
    share = count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    spread = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - spread), min(1.0, middle + spread)


def excess(new: int, of_new: int, old: int, of_old: int, z: float = Z) -> float:
    """How much larger the new share is than the old one, at least (Newcombe, 1998, method 10)."""
    if not of_new or not of_old:
        return -1.0
    one, other = new / of_new, old / of_old
    low, high = wilson(new, of_new, z)[0], wilson(old, of_old, z)[1]
    return one - other - sqrt((one - low) ** 2 + (high - other) ** 2)


def quantile(
    times: Sequence[int], edges: Sequence[float], q: float, z: float = Z
) -> tuple[float, float, float] | None:
    """The quantile, and its bounds by order statistics, whatever the distribution; None: too few to tell.

    `edges` are where the classes begin.
    """
    total = sum(times)
    spread = z * sqrt(total * q * (1 - q))
    low, high = floor(total * q - spread), ceil(total * q + spread)
    if low < 1 or high > total:
        return None
    below = list(accumulate(times))

    def place(rank: int) -> int:
        return next(at for at, count in enumerate(below) if count >= rank)

    def end(at: int) -> float:
        return edges[at + 1] if at + 1 < len(edges) else float("inf")

    at = place(ceil(total * q))
    middle = (edges[at] + min(end(at), 2 * edges[at] or end(at))) / 2
    return middle, edges[place(low)], end(place(high))


def regression(window: Window, limits: Limits, edges: Sequence[float]) -> str | None:
    """Why the new side has to go back; None: nothing speaks for that."""
    old, new = window
    seen_old, seen_new = old.ended + old.late, new.ended + new.late
    if seen_new < LEAST:
        return None
    if limits.errors is not None:
        failed_old, failed_new = old.errors + old.late, new.errors + new.late
        if excess(failed_new, seen_new, failed_old, seen_old) > limits.errors:
            late = f", {new.late} of them without an answer for long" if new.late else ""
            return _worse("errors", failed_new, seen_new, failed_old, seen_old, limits.errors, late)
    if (
        limits.client_errors is not None
        and excess(new.refusals, new.ended, old.refusals, old.ended) > limits.client_errors
    ):
        return _worse("client errors", new.refusals, new.ended, old.refusals, old.ended, limits.client_errors)
    if limits.p95 is not None:
        before, after = (quantile(side.times, edges, QUANTILE) for side in window)
        if before is not None and after is not None and after[1] > before[2] * (1 + limits.p95):
            return (
                f"p95: {after[0] * 1000:.3g} ms, where the old side has {before[0] * 1000:.3g} ms: more than"
                f" {limits.p95:.0%} above it"
            )
    return None


def _worse(what: str, new: int, of_new: int, old: int, of_old: int, most: float, more: str = "") -> str:
    return (
        f"{what}: {new} of {of_new}{more} ({new / of_new:.1%}), where the old side has {old} of {of_old}"
        f" ({old / of_old:.1%}): more than {most:.2%} above it"
    )
