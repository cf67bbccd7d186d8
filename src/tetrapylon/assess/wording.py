"""Numbers, times and counts as people read them; what came from a log or a repository, made harmless."""

from __future__ import annotations

import os
import time

from tetrapylon.assess.result import Range

__all__ = [
    "day",
    "gigabytes",
    "harmless",
    "milliseconds",
    "number",
    "percent",
    "points",
    "readable",
    "several",
]


def milliseconds(value: float) -> str:
    """Three digits, and the unit that suits."""
    if value >= 10_000:
        return f"{value / 1000:.3g} s" if value < 1_000_000 else f"{value / 1000:,.0f} s"
    return f"{value:.3g} ms" if value < 1_000 else f"{value:,.0f} ms"


def percent(value: float) -> str:
    digits = 2 if value < 0.0995 else 3
    return "100%" if value >= 0.9995 else f"{100 * value:.{digits}g}%"


def points(told: Range) -> str:
    """A share with its interval."""
    return f"{percent(told.value)} ({percent(told.low)} to {percent(told.high)})"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def several(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))


def harmless(text: str, most: int = 80) -> str:
    """Without what does something to a terminal (controls, and what changes the direction of writing)."""
    clean = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return clean if len(clean) <= most else clean[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def readable(path: str) -> str:
    """A file's name as text that can be encoded: it may have bytes that are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def gigabytes(value: float) -> str:
    return f"{value:.3g} GB" if value >= 1 else f"{1000 * value:.3g} MB"
