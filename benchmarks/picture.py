"""The picture of the experiment: CPU time per request, one bar a system, on a logarithmic scale, as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from .e2e.summary import Spread

WIDTH = 800
LEFT = 215
RIGHT = 160
ROW = 30
TOP = 64
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; font-size: 12px; }
.ours { font-weight: 600; }
.grid { stroke: #d1d9e0; }
.bar { fill: #8c959f; }
.bar.ours { fill: #1a7f37; }
.spread { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .bar { fill: #656c76; }
  .bar.ours { fill: #3fb950; }
  .spread { stroke: #f0f6fc; }
}"""


@dataclass(frozen=True)
class Row:
    """One bar. `value` in microseconds of CPU a request; `note` stands behind it."""

    label: str
    value: Spread
    note: str
    ours: bool


def position(value: float, low: float, high: float) -> float:
    """The x of a value on a logarithmic axis from `low` to `high`, both greater than 0."""
    share = (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20 ... within the axis."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [n * 10.0**power for power in powers for n in (1, 2, 5) if low <= n * 10.0**power <= high]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value < 99.95 else "100"


def draw(rows: Sequence[Row], title: str, subtitle: str) -> str:
    """The SVG, readable on light and dark ground. Raises ValueError when there is nothing to draw."""
    if not rows:
        raise ValueError("no system to draw: the results hold no run of the main scenario")
    low = min(5.0, *(row.value.low for row in rows))
    high = max(row.value.high for row in rows) * 1.05
    height = TOP + ROW * len(rows) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'width="{WIDTH}" height="{height}" aria-label={quoteattr(title)}>',
        f"<style>{STYLE}\n</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        f'<text class="quiet" x="12" y="44">{escape(subtitle)}</text>',
    ]
    bottom = TOP + ROW * len(rows)
    for tick in ticks(low, high):
        x = position(tick, low, high)
        out.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}"/>')
        out.append(
            f'<text class="quiet" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:,.0f}</text>'
        )
    for index, row in enumerate(rows):
        y = TOP + ROW * index
        middle = y + ROW / 2
        end = position(row.value.median, low, high)
        left, right = (position(value, low, high) for value in (row.value.low, row.value.high))
        own = " ours" if row.ours else ""
        out += [
            f'<text class="label{own}" x="{LEFT - 8}" y="{middle + 4:.0f}" text-anchor="end">'
            f"{escape(row.label)}</text>",
            f'<rect class="bar{own}" x="{LEFT}" y="{y + 5}" width="{end - LEFT:.1f}" '
            f'height="{ROW - 10}" rx="2"/>',
            f'<line class="spread" x1="{left:.1f}" y1="{middle}" x2="{right:.1f}" y2="{middle}"/>',
            f'<text class="value{own}" x="{max(end, right) + 6:.1f}" y="{middle + 4:.0f}">'
            f'{number(row.value.median)} <tspan class="quiet">{escape(row.note)}</tspan></text>',
        ]
    return "\n".join([*out, "</svg>", ""])
