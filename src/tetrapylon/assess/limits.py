"""How far the limit is, by workers (Little, Erlang) and by cores, and when growth gets there."""

from __future__ import annotations

import math

from tetrapylon.assess.result import Arrival, Limits, Load, Trend

__all__ = ["CPU_LIMIT", "WAIT_LIMIT", "erlang_wait", "limits_of"]

WAIT_LIMIT = 0.1
"""Requests that wait for a free worker for this share of a request's time, on average, are queueing."""
CPU_LIMIT = 0.8
HORIZON = 120
"""Months that are looked ahead."""


def erlang_wait(load: float, slots: int) -> float:
    """The mean wait for one of `slots`, as a share of the time that a request holds one (Erlang C).

    `load` is the mean number of requests under way, as Little's law gives it: rate times time.
    """
    if load >= slots:
        return math.inf
    if load <= 0:
        return 0.0
    # Erlang's B is 1 over the sum of slots! / (slots - k)! / load ** k. Its terms rise until k = slots - load
    # and fall from there: some roots of `slots` of them say it all.
    whole = term = 1.0
    for k in range(slots):
        term *= (slots - k) / load
        whole += term
        if term < 1e-12 * whole or whole > 1e15:
            break
    waits = 1 / (whole - load / slots * (whole - 1))
    return waits / (slots - load)


def _most(slots: int) -> float:
    """The load at which the wait meets its limit."""
    low, high = 0.0, float(slots)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if erlang_wait(middle, slots) < WAIT_LIMIT else (low, middle)
    return low


def limits_of(
    load: Load,
    *,
    slots: int | None,
    slots_from: str,
    workers: int | None,
    cores: float | None,
    cpu: float | None,
    growth: tuple[float, str] | None,
    trend: Trend | str,
) -> Limits:
    """`cpu`: cores that the gateway kept busy on average, as told. `growth`: by month, and its source."""
    notes: list[str] = []
    headrooms: list[float] = []
    utilisation = wait = slots_headroom = None
    if slots is not None:
        utilisation = load.peak_concurrency / slots
        share = erlang_wait(load.peak_concurrency, slots)
        wait = None if math.isinf(share) else share * load.request_ms
        slots_headroom = _most(slots) / load.peak_concurrency if load.peak_concurrency else math.inf
        headrooms.append(slots_headroom)
    else:
        notes.append(
            "how many requests it can take at once was neither told nor found: say --workers and --threads"
        )
    per_request = cpu / load.rate * 1000 if cpu is not None and load.rate else None
    bound = per_request is None
    if per_request is None:
        per_request = load.own_ms
    usable = cores if workers is None or cores is None else min(cores, float(workers))
    cpu_use = cpu_headroom = None
    if per_request is not None and usable:
        cpu_use = load.peak_rate * per_request / 1000 / usable
        cpu_headroom = CPU_LIMIT / cpu_use if cpu_use else math.inf
        if not bound or cpu_headroom > 1:
            headrooms.append(cpu_headroom)
    elif cores is None:
        notes.append("how many cores it has was not told: say --cores")
    headroom = min(headrooms) if headrooms else None
    return Limits(
        slots=slots,
        slots_from=slots_from,
        utilisation=utilisation,
        wait_ms=wait,
        slots_headroom=_finite(slots_headroom),
        cpu_ms=per_request,
        cpu_is_bound=bound,
        cpu_utilisation=cpu_use,
        cpu_headroom=_finite(cpu_headroom),
        headroom=_finite(headroom),
        arrival=None if headroom is None else _arrival(headroom, growth, trend),
        trend=trend if isinstance(trend, Trend) else None,
        no_trend=trend if isinstance(trend, str) else "",
        notes=notes,
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def _arrival(headroom: float, growth: tuple[float, str] | None, trend: Trend | str) -> Arrival | None:
    """When growth meets the limit; None where no growth is known."""
    if growth is not None:
        monthly, source = growth
        months = _months(headroom, monthly)
        return Arrival(months=months, soonest=months, latest=months, growth=monthly, source=source)
    if isinstance(trend, Trend):
        soonest, months, latest = (_months(headroom, each) for each in (trend.high, trend.monthly, trend.low))
        return Arrival(
            months=months, soonest=soonest, latest=latest, growth=trend.monthly, source="as in the log"
        )
    return None


def _months(headroom: float, monthly: float) -> float | None:
    """None: not in the years that are looked ahead."""
    if headroom <= 1:
        return 0.0
    if monthly <= 0 or math.isinf(headroom):
        return None
    months = math.log(headroom) / math.log1p(monthly)
    return months if months <= HORIZON else None
