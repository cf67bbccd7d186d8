"""What differs between two answers of the same service: learned, so that it is no finding.

Noise is narrow. A time stamp that changes with each answer may change in the second service's answers too,
but it has to be there, and be a time stamp of the same form.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from tetrapylon.diff.answer import ABSENT, Difference

__all__ = ["MOST", "Noise", "Seen", "magnitude", "shape"]

MOST = 500
"""Places that are remembered for one route; those beyond stay findings."""
SHAPES = 32
"""Forms of one place."""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# RFC 3339, and its cousins without a zone or with a space; fractions come and go with their zeros.
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)([T ])\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? ?(Z|[+-]\d\d:?\d\d|)", re.IGNORECASE
)
DATE = re.compile(r"\d{4}-\d\d-\d\d")
HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
HEX = re.compile(r"[0-9a-f]{8,}", re.IGNORECASE)
DIGITS = re.compile(r"-?\d+(?:\.\d+)?")
LARGE = 1000.0
"""From here on a number's magnitude means something: seconds are no milliseconds."""


def shape(value: Any) -> str:
    """What a value looks like."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return "array" if value else "empty array"
    if isinstance(value, dict):
        return "object"
    if value is ABSENT:
        return "absent"
    if not isinstance(value, str):
        return "bytes"
    return _text(value)


def _text(value: str) -> str:
    if not value:
        return "empty"
    if UUID.fullmatch(value):
        return "uuid"
    if (found := TIME.fullmatch(value)) is not None:
        zone = found[3].upper()
        return f"time {found[2].upper()} {'offset' if zone not in ('', 'Z') else zone}"
    if DATE.fullmatch(value):
        return "date"
    if HTTP_DATE.fullmatch(value):
        return "HTTP date"
    if HEX.fullmatch(value):
        return f"hex {len(value)}"
    if DIGITS.fullmatch(value):
        return "digits"
    return "text"


def magnitude(value: float) -> float:
    """An integer that no float holds is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class Seen(msgspec.Struct):
    """How one place varies."""

    count: int = 0
    shapes: set[str] = set()
    low: float = math.inf
    high: float = -math.inf

    def add(self, value: Any) -> None:
        form = shape(value)
        if len(self.shapes) < SHAPES:
            self.shapes.add(form)
        if form == "number":
            self.low = min(self.low, magnitude(value))
            self.high = max(self.high, magnitude(value))

    def covers(self, value: Any) -> bool:
        form = shape(value)
        if form == "number":
            return form in self.shapes and self._near(magnitude(value))
        if form in self.shapes:
            return True
        # A random token may happen to be all digits; a word may not become nothing.
        tokens = {"text", "digits", "date", "uuid"}
        return "text" in self.shapes and (form in tokens or form.startswith("hex "))

    def _near(self, value: float) -> bool:
        if value < 0 <= self.low:
            return False
        most = 10 * max(abs(self.low), abs(self.high), 1.0)
        least = self.low / 10 if self.low >= LARGE else -math.inf
        return abs(value) <= most and value >= least


KINDS = {"missing": "presence", "extra": "presence", "type": "value"}


class Noise:
    """Of one route."""

    def __init__(self, seen: dict[tuple[str, str], Seen] | None = None) -> None:
        self.seen = {} if seen is None else seen

    def __bool__(self) -> bool:
        return bool(self.seen)

    def learn(self, found: Difference) -> None:
        """A difference between two answers of the same service."""
        key = found.where, KINDS.get(found.kind, found.kind)
        seen = self.seen.get(key)
        if seen is None:
            if len(self.seen) >= MOST:
                return
            seen = self.seen[key] = Seen()
        seen.count += 1
        if found.kind == "status":
            seen.shapes |= {str(found.left), str(found.right)}
        else:
            seen.add(found.left)
            seen.add(found.right)

    def orderless(self, where: str) -> bool:
        return (where, "order") in self.seen

    def explains(self, found: Difference) -> bool:
        where, kind = found.where, KINDS.get(found.kind, found.kind)
        seen = self.seen.get((where, kind))
        if seen is None:
            return False
        if kind in ("presence", "order", "bytes"):
            return True
        if kind == "status":
            return found.right < 500 and str(found.right) in seen.shapes
        if kind == "length":
            return ("number" in seen.shapes) and (found.right != 0 or seen.low == 0)
        return seen.covers(found.right)
