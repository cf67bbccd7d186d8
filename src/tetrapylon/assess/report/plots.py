"""Plots as SVG for the page: colours are its stylesheet's, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from tetrapylon.assess.result import Costs, Limits, Load, Split, Team
from tetrapylon.assess.wording import day, milliseconds, number, percent

__all__ = ["costs_plot", "curve_plot", "growth_plot", "share_plot", "team_plot", "traffic_plot"]

WIDTH, LEFT, RIGHT, ROW = 720, 130, 150, 34
HEIGHT, TOP, BOTTOM, AXIS = 260, 16, 34, 64
WIDE = 20
"""From this ratio of the longest to the shortest on, times are drawn on a logarithmic axis."""
MONTHS = 24
"""How far ahead growth is drawn at the least."""


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" class="{kind}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _path(points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> str:
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{steps}{"Z" if closed else ""}" class="{kind}"/>'


# ---- bars


def share_plot(split: Split) -> str:
    """At each quantile the upstreams' time and the gateway's own behind it, with its interval."""
    known = [each for each in split.quantiles if each.win is not None and each.upstream is not None]
    longest = max((each.total for each in known), default=0.0)
    if not longest:
        return ""
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts = []
    for row, each in enumerate(known):
        if each.win is None or each.upstream is None or each.share is None:
            continue
        y = TOP + row * ROW
        start = LEFT + each.upstream * scale
        end = LEFT + each.total * scale
        low, high = (end - each.win.high * scale, end - each.win.low * scale)
        parts += [
            _text(LEFT - 10, y + 17, f"p{100 * each.q:g}, {milliseconds(each.total)}", "end"),
            _rect(LEFT, y, start - LEFT, 24, "upstream"),
            _rect(start, y, end - start, 24, "own"),
            _line(max(LEFT, low), y + 12, high, y + 12, "spread"),
            _text(end + 8, y + 17, f"{milliseconds(each.win.value)}, {percent(each.share.value)}"),
        ]
    y = TOP + len(known) * ROW + 12
    parts += [
        _rect(LEFT, y - 10, 12, 12, "upstream"),
        _text(LEFT + 18, y, "upstreams", "quiet"),
        _rect(LEFT + 110, y - 10, 12, 12, "own"),
        _text(LEFT + 128, y, "the gateway's own, with its 99% interval", "quiet"),
    ]
    return _svg(
        y + 14, "Users' time at each quantile, divided into the upstreams' and the gateway's own", parts
    )


class Bar(NamedTuple):
    label: str
    value: float
    note: str
    kind: str


def _bars(bars: Sequence[Bar], label: str) -> str:
    longest = max((bar.value for bar in bars), default=0.0)
    if not longest:
        return ""
    left, right = 230, 130
    scale = (WIDTH - left - right) / longest
    parts = []
    for row, bar in enumerate(bars):
        y = TOP + row * ROW
        parts += [
            _text(left - 10, y + 17, bar.label, "end"),
            _rect(left, y, bar.value * scale, 24, bar.kind),
            _text(left + bar.value * scale + 8, y + 17, bar.note),
        ]
    return _svg(TOP + len(bars) * ROW + 4, label, parts)


def costs_plot(costs: Costs) -> str:
    """Money where it is known, else cores."""
    rows = [costs.now, *([costs.needed] if costs.needed else []), *costs.options]
    if costs.now.money is not None:
        told = [(each, each.money) for each in rows if each.money is not None]
        label, what = "Money by month, now and with each gateway that was measured", ""
    else:
        told = [(each, each.cores) for each in rows if each.cores is not None]
        label, what = "Cores, now and with each gateway that was measured", " cores"
    bars = [
        Bar(
            each.title,
            value,
            f"{number(value)}{what}",
            "upstream" if each.name in ("now", "needed") else "own",
        )
        for each, value in told
    ]
    return _bars(bars, label)


def team_plot(team: Team) -> str:
    bars = [
        Bar(
            f"{each.name}, {percent(each.share)} of the code",
            float(each.authors),
            number(each.authors),
            "own",
        )
        for each in team.languages
    ]
    return _bars(bars, "People who changed code in each language within a year")


# ---- curves


class Axes(NamedTuple):
    x: Callable[[float], float]
    y: Callable[[float], float]


def _axes(
    parts: list[str],
    x: tuple[float, float],
    y: tuple[float, float],
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    *,
    log: bool = False,
) -> Axes:
    def across(value: float) -> float:
        return AXIS + (value - x[0]) / ((x[1] - x[0]) or 1) * (WIDTH - AXIS - 20)

    def up(value: float) -> float:
        low, high, here = (math.log(max(each, 1e-9)) if log else each for each in (*y, value))
        return HEIGHT - BOTTOM - (here - low) / ((high - low) or 1) * (HEIGHT - BOTTOM - TOP)

    for value, text in y_ticks:
        parts += [
            _line(AXIS, up(value), WIDTH - 20, up(value), "grid"),
            _text(AXIS - 8, up(value) + 4, text, "end quiet"),
        ]
    for value, text in x_ticks:
        parts.append(_text(across(value), HEIGHT - BOTTOM + 20, text, "middle quiet"))
    return Axes(across, up)


def _nice(low: float, high: float, *, log: bool = False) -> list[float]:
    """Round numbers from `low` to `high`."""
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [n * 10.0**power for power in powers for n in (1, 2, 5) if low <= n * 10.0**power <= high]
        return found[:: max(1, len(found) // 6)]
    step = 10.0 ** math.floor(math.log10((high - low) or 1))
    step *= next(n for n in (0.1, 0.2, 0.5, 1, 2, 5) if (high - low) / (step * n) <= 6)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def curve_plot(split: Split) -> str:
    """Times over the share of requests that take less, the upstreams' and the whole."""
    if len(split.curve) < 2:
        return ""
    whole = [(q, max(total, 0.001)) for q, total, _ in split.curve]
    waited = [(q, max(upstream, 0.001)) for q, _, upstream in split.curve if upstream is not None]
    low = min(value for _, value in whole + waited)
    high = max(value for _, value in whole + waited)
    log = high > WIDE * low
    if not log:
        low = 0.0
    parts: list[str] = []
    axes = _axes(
        parts,
        (0, 1),
        (low, high),
        [(q, f"p{100 * q:g}") for q in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)],
        [(value, milliseconds(value)) for value in _nice(low, high, log=log)],
        log=log,
    )
    above = [(axes.x(q), axes.y(value)) for q, value in whole]
    below = [(axes.x(q), axes.y(value)) for q, value in waited]
    if below:
        parts += [
            _path([*above, *reversed(below)], "between", closed=True),
            _path(below, "curve upstream-line"),
        ]
    parts.append(_path(above, "curve own-line"))
    return _svg(
        HEIGHT, "How long requests take: the upper line whole, the lower one their upstreams' part", parts
    )


def traffic_plot(load: Load, limits: Limits | None) -> str:
    """Requests a second over the time of the log; the limit where it is near enough to be drawn."""
    if len(load.series) < 2:
        return ""
    begin, end = load.series[0][0], load.series[-1][0]
    most = max(value for _, value in load.series)
    limit = load.peak_rate * limits.headroom if limits is not None and limits.headroom is not None else None
    near = limit is not None and limit <= 4 * most
    top = 1.05 * max(most, limit if near and limit is not None else 0.0)
    parts: list[str] = []
    axes = _axes(
        parts,
        (begin, end),
        (0, top),
        [(begin + (end - begin) * n / 4, day(begin + (end - begin) * n / 4)[5:]) for n in (0.4, 2, 3.6)],
        [(value, f"{number(value)}/s") for value in _nice(0, top)],
    )
    parts.append(_path([(axes.x(moment), axes.y(value)) for moment, value in load.series], "curve own-line"))
    label = "Requests a second, the busiest minute of each stretch"
    if limit is not None:
        label += f"; the limit is at {number(limit)}/s"
        if near:
            parts += [
                _line(AXIS, axes.y(limit), WIDTH - 20, axes.y(limit), "limit"),
                _text(WIDTH - 24, axes.y(limit) - 6, f"limit, {number(limit)}/s", "end"),
            ]
    return _svg(HEIGHT, label, parts)


def growth_plot(load: Load, limits: Limits) -> str:
    """From today's peak to the limit."""
    arrival = limits.arrival
    if arrival is None or arrival.growth <= 0 or limits.headroom is None or limits.headroom <= 1:
        return ""
    limit = load.peak_rate * limits.headroom
    months = max(MONTHS, math.ceil(1.2 * (arrival.months or 0)))
    points = [(month, load.peak_rate * (1 + arrival.growth) ** month) for month in range(months + 1)]
    top = 1.1 * max(limit if limit < 20 * points[-1][1] else 0, points[-1][1])
    points = [(month, value) for month, value in points if value <= top]
    parts: list[str] = []
    step = max(1, months // 6)
    axes = _axes(
        parts,
        (0, months),
        (0, top),
        [(month, "today" if not month else f"{month} months") for month in range(0, months + 1, step)],
        [(value, f"{number(value)}/s") for value in _nice(0, top)],
    )
    parts.append(_path([(axes.x(month), axes.y(value)) for month, value in points], "curve own-line"))
    if limit <= top:
        parts += [
            _line(AXIS, axes.y(limit), WIDTH - 20, axes.y(limit), "limit"),
            _text(AXIS + 8, axes.y(limit) - 6, f"limit, {number(limit)}/s"),
        ]
        if arrival.months is not None:
            parts.append(
                _line(axes.x(arrival.months), axes.y(0), axes.x(arrival.months), axes.y(limit), "limit")
            )
    return _svg(
        HEIGHT, f"Requests a second at the peak, with {percent(arrival.growth)} growth a month", parts
    )
