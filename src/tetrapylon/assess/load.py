"""How much traffic there is, how busy it keeps the gateway, and how it grows: from windows of time."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from tetrapylon.assess.jackknife import student
from tetrapylon.assess.result import Load, Trend
from tetrapylon.assess.tally import Tally, Window
from tetrapylon.errors import UsageError

__all__ = ["Growth", "load_of", "parse_growth", "trend_of"]

DAY = 86_400
DAYS = {"day": 1.0, "week": 7.0, "month": 30.44, "year": 365.25}
FEWEST_WEEKS = 5
TREND_LEVEL = 0.95
FEWEST_WINDOWS = 60
"""Windows below which it cannot be told whether requests take longer under load."""
POINTS = 200
"""Points of the plot of traffic over time, at most."""


def load_of(tally: Tally) -> Load | None:
    """None where no line has a moment."""
    windows = list(tally.dated())
    if not windows:
        return None
    width = tally.width
    count = sum(window.count for _, window in windows)
    busy = sum(window.total for _, window in windows) / 1e6
    span = _span(windows, width, tally)
    stretches = _stretches(windows, width, tally)
    fullest = max(each.total / each.seconds for each in stretches)
    most = max(stretches, key=lambda each: each.requests / each.seconds)
    calm, pressed = _under_load([window for _, window in windows])
    return Load(
        window_s=width,
        rate=count / span,
        peak_rate=most.requests / most.seconds,
        peak_at=most.begin,
        met_rate=tally.met / count,
        concurrency=busy / span,
        met_concurrency=tally.met_total / 1e6 / count,
        peak_concurrency=fullest / 1e6,
        request_ms=1000 * busy / count,
        own_ms=_per_request([window for _, window in windows]),
        own_ms_calm=calm,
        own_ms_pressed=pressed,
        errors=tally.errors / tally.requests,
        series=_series(windows, width),
    )


class _Stretch(NamedTuple):
    begin: float
    seconds: float
    requests: int
    total: int


def _stretches(windows: list[tuple[int, Window]], width: int, tally: Tally) -> list[_Stretch]:
    """What the peak may be in: windows that the log covers by half at least; all of it where it is short."""
    found = []
    for begin, window in windows:
        seconds = min(begin + width, tally.last) - max(begin, tally.first)
        if seconds >= width / 2:
            found.append(_Stretch(begin, seconds, window.count, window.total))
    if found:
        return found
    count, total = (sum(getattr(window, name) for _, window in windows) for name in ("count", "total"))
    return [_Stretch(tally.first, _span(windows, width, tally), count, total)]


def _span(windows: list[tuple[int, Window]], width: int, tally: Tally) -> float:
    """Seconds with requests in them: whole windows, but for what is cut off at both ends."""
    cut = tally.first - windows[0][0] + windows[-1][0] + width - tally.last
    return max(1.0, len(windows) * width - cut)


def _per_request(windows: Sequence[Window]) -> float | None:
    """Milliseconds of the gateway's own to each request that reached an upstream."""
    count = sum(window.forwarded for window in windows)
    return sum(window.own for window in windows) / count / 1000 if count else None


def _under_load(windows: list[Window]) -> tuple[float | None, float | None]:
    """The gateway's own time in the calmer half of the windows, and in the busiest tenth."""
    ordered = sorted((each for each in windows if each.forwarded), key=lambda each: each.count)
    if len(ordered) < FEWEST_WINDOWS:
        return None, None
    return _per_request(ordered[: len(ordered) // 2]), _per_request(ordered[-(len(ordered) // 10) :])


def _series(windows: list[tuple[int, Window]], width: int) -> list[tuple[float, float]]:
    """Moments and requests a second, the busiest window of each stretch: what a plot shows."""
    step = max(1, math.ceil(((windows[-1][0] - windows[0][0]) / width + 1) / POINTS)) * width
    highest: dict[int, int] = {}
    for moment, window in windows:
        key = moment // step
        highest[key] = max(highest.get(key, 0), window.count)
    return [(float(key * step), most / width) for key, most in sorted(highest.items())][-2 * POINTS :]


def trend_of(tally: Tally) -> Trend | str:
    """Growth by whole weeks, or why it cannot be told.

    A line through the logarithms of the weeks' requests; weeks, because days of a week differ by more than
    a week's growth.
    """
    days: dict[int, int] = {}
    for moment, window in tally.dated():
        days[moment // DAY] = days.get(moment // DAY, 0) + window.count
    whole = sorted(days)[1:-1]  # the first and the last are cut off
    weeks = len(whole) // 7
    if weeks < FEWEST_WEEKS:
        return f"the log covers {len(whole)} whole days; a trend needs {7 * FEWEST_WEEKS}"
    whole = whole[-7 * weeks :]
    if whole[-1] - whole[0] != 7 * weeks - 1:
        return "days are missing in the log"
    counts = [sum(days[day] for day in whole[7 * week : 7 * week + 7]) for week in range(weeks)]
    low, slope, high = _slope([math.log(each) for each in counts])
    if low <= 0 <= high:
        return f"{weeks} weeks show no growth that could not be chance"
    monthly = [math.expm1(each * DAYS["month"] / 7) for each in (slope, low, high)]
    return Trend(weeks=weeks, monthly=monthly[0], low=monthly[1], high=monthly[2])


def _slope(values: list[float]) -> tuple[float, float, float]:
    """Of the line of least squares, with its interval."""
    n = len(values)
    middle, mean = (n - 1) / 2, sum(values) / n
    spread = sum((x - middle) ** 2 for x in range(n))
    slope = sum((x - middle) * (y - mean) for x, y in enumerate(values)) / spread
    rest = sum((y - mean - slope * (x - middle)) ** 2 for x, y in enumerate(values))
    margin = student(n - 2, TREND_LEVEL) * math.sqrt(rest / (n - 2) / spread)
    return slope - margin, slope, slope + margin


class Growth(NamedTuple):
    """By month, as a share."""

    monthly: float
    text: str


def parse_growth(text: str) -> Growth:
    """Reads `8%/month`, `100%/year`. Raises UsageError."""
    found = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)%\s*/\s*(day|week|month|year)", text)
    if found is None or float(found[1]) <= -100:
        raise UsageError(f"--growth: {text!r} is no growth; expected one such as 8%/month or 100%/year")
    monthly = (1 + float(found[1]) / 100) ** (DAYS["month"] / DAYS[found[2]]) - 1
    return Growth(monthly, text)
