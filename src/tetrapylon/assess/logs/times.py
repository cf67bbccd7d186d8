"""Times as access logs write them: moments, durations, and the times of several upstreams in one field."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["LONGEST", "MICROSECONDS", "NONE", "duration", "moment_of", "upstream_duration"]

NONE = -1
"""Stands for an upstream time of `-`: the gateway answered by itself."""

MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}

MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
CLF = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
# nginx puts ", " between the servers that it tried in turn and " : " between internal redirects: a comma
# with nothing after it is a decimal one.
SEPARATOR = re.compile(rb",\s+|\s+:\s+|\s+")
NUMBER = re.compile(rb"\d+(?:[.,]\d+)?")
LONGEST = 366 * 86_400 * 1_000_000
"""Microseconds; what is longer is no request's time."""
FIRST_YEAR, LAST_YEAR = 1990, 2100


def duration(text: bytes, unit: int) -> int:
    """Microseconds in a number of `unit` microseconds each. Raises ValueError."""
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no time")
    number = float(text.replace(b",", b".")) * unit
    if number > LONGEST:  # so is one with too many digits for a float, which is infinite
        raise ValueError(f"{text!r} is longer than a year")
    return round(number)


def upstream_duration(text: bytes, unit: int) -> int:
    """All the time that was spent with upstreams, in microseconds; `NONE` where none was asked.

    `0.010, 0.020` are two servers tried in turn, `0.010 : 0.020` two requests of one internal redirect:
    the client waited for both. A `-` among them is an upstream that was not reached. Raises ValueError.
    """
    return duration(text, unit) if NUMBER.fullmatch(text) else _several(text, unit)


def _several(text: bytes, unit: int) -> int:
    parts = [part for part in SEPARATOR.split(text.strip()) if part not in (b"-", b"")]
    return sum(duration(part, unit) for part in parts) if parts else NONE


def moment_of(style: str) -> Callable[[bytes], float]:
    """What reads moments of a style (`clf`, `iso`, `epoch`) into seconds since 1970, or raises ValueError."""
    read = {"clf": _clf, "iso": _iso, "epoch": _epoch}[style]
    last, known = b"", 0.0

    def cached(text: bytes) -> float:
        nonlocal last, known
        if text != last:
            known = read(text)
            last = text
        return known

    return cached


def _clf(text: bytes) -> float:
    found = CLF.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    if month not in MONTHS:
        raise ValueError(f"{month!r} is no month")
    away = timedelta(hours=int(hours), minutes=int(minutes))
    zone = timezone(-away if sign == b"-" else away)
    # A leap second is written as 60.
    whole = datetime(int(year), MONTHS[month], int(day), int(hour), int(minute), 0, tzinfo=zone)
    return _sane(whole.timestamp() + int(second))


def _iso(text: bytes) -> float:
    moment = datetime.fromisoformat(text.decode("ascii"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _sane(moment.timestamp())


def _epoch(text: bytes) -> float:
    return _sane(float(text))


def _sane(seconds: float) -> float:
    if not (FIRST_YEAR - 1970) * 31_556_952 < seconds < (LAST_YEAR - 1970) * 31_556_952:
        raise ValueError(f"{seconds} is no time of this age")
    return seconds
