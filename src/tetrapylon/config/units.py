"""Durations, sizes, rates and shares as people write them, and the field types made of them (leaf)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

__all__ = [
    "Above",
    "Below",
    "Duration",
    "Rate",
    "Scalar",
    "Share",
    "Size",
    "duration",
    "rate",
    "share",
    "size",
]


class Scalar(NamedTuple):
    """How a field's text is read and written: carried by the field's type as `Meta(extra={"scalar": ...})`.

    `parse` raises ValueError with what is wrong, and may put what to write instead after a semicolon.
    A quantity lies between 0 and `most`, unless its field says otherwise (`ge`, `le`), and `numbers` says
    whether a file may give it as a bare number.
    """

    name: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str]
    example: str
    pattern: str = ""
    most: float = 0
    numbers: bool = False


SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = 365 * SECONDS["d"]
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])")

BYTES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
LARGEST = 2**50
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
# What people write for binary multiples elsewhere: nginx's k and m, Kubernetes' Ki and Mi, lower case.
BINARY = {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}

RATE_PATTERN = r"^[0-9]+(\.[0-9]+)?/(s|m|h|d)$"
RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|h|d)")
SHARE_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"
SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")


def duration(text: str) -> float:
    """Seconds in `text`, such as `250ms`, `2s` or `1h30m`. Raises ValueError."""
    seconds, end = 0.0, 0
    for part in DURATION_PART.finditer(text):
        if part.start() != end:
            break
        seconds, end = seconds + float(part[1]) * SECONDS[part[2]], part.end()
    if end != len(text) or not text:
        number = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
        raise ValueError(f"{text!r} is not a duration; {_duration_hint(number)}")
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is longer than a year; expected at most 365d")
    return round(seconds, 9)


def _duration_hint(number: re.Match[str] | None) -> str:
    if number is not None:
        unit = number[2].lower()
        words = {"": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m"}
        words |= {"minute": "m", "minutes": "m", "hour": "h", "hours": "h", "day": "d", "days": "d"}
        if unit in SECONDS or unit in words:
            return f"did you mean {number[1]}{words.get(unit, unit)}?"
    return "expected a number with a unit, such as 250ms, 2s, 5m or 1h"


def format_duration(seconds: float) -> str:
    """The shortest text that `duration` reads back as `seconds`."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= SECONDS[unit] and (seconds / SECONDS[unit]).is_integer():
            return f"{seconds / SECONDS[unit]:.0f}{unit}"
    return f"{_decimal(seconds)}s" if seconds == 0 or seconds >= 1 else f"{_decimal(seconds * 1000)}ms"


def _decimal(number: float) -> str:
    """Without exponent and needless zeros."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def size(text: str) -> int:
    """Bytes in `text`, such as `64KiB`, `1MiB` or `10MB`. Raises ValueError."""
    found = SIZE.fullmatch(text)
    if found is None or found[2] not in BYTES:
        raise ValueError(f"{text!r} is not a size; {_size_hint(found)}")
    count = float(found[1]) * BYTES[found[2]]
    if not count.is_integer():
        raise ValueError(f"{text!r} is not a whole number of bytes; expected a size such as 1536B")
    if count > LARGEST:
        raise ValueError(f"{text!r} is too large; expected at most {LARGEST // 2**40}TiB")
    return int(count)


def _size_hint(found: re.Match[str] | None) -> str:
    if found is not None:
        unit = found[2].lower()
        known = {name.lower(): name for name in BYTES} | {f"{k}i": v for k, v in BINARY.items()} | BINARY
        unit = known.get(unit, "B" if unit in ("", "byte", "bytes") else "")
        if unit:
            return f"did you mean {found[1]}{unit}?"
    return "expected a number with a unit, such as 64KiB, 1MiB or 10MB"


def format_size(count: int) -> str:
    """The shortest text that `size` reads back as `count`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count >= BYTES[unit] and count % BYTES[unit] == 0:
            return f"{count // BYTES[unit]}{unit}"
    return f"{count}B"


def rate(text: str) -> float:
    """Events a second in `text`, such as `100/s` or `6000/m`. Raises ValueError."""
    found = RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a rate; expected a number per unit of time, such as 100/s or 6000/m"
        )
    return float(found[1]) / SECONDS[found[2]]


def format_rate(per_second: float) -> str:
    """Text that `rate` reads back as `per_second`, in the smallest unit that makes it a whole number."""
    for unit in ("s", "m", "h", "d"):
        count = round(per_second * SECONDS[unit], 6)
        if count.is_integer():
            return f"{count:.0f}/{unit}"
    return f"{_decimal(per_second)}/s"


def share(text: str) -> float:
    """The fraction, 0 to 1, in `text`, such as `20%`. Raises ValueError."""
    found = SHARE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a share; expected a percentage such as 20%, or a number from 0 to 1"
        )
    fraction = float(found[1]) / 100
    if fraction > 1:
        raise ValueError(f"{text!r} is more than the whole; expected at most 100%")
    return fraction


def format_share(fraction: float) -> str:
    """Text that `share` reads back as `fraction`."""
    return f"{_decimal(fraction * 100)}%"


def below(text: str) -> float:
    """The fraction in `text`, such as `<0.01%`. Raises ValueError."""
    try:
        return share(text.removeprefix("<").lstrip())
    except ValueError:
        raise ValueError(f"{text!r} is no bound of a share; expected one such as <0.01%") from None


def format_below(fraction: float) -> str:
    """Text that `below` reads back as `fraction`."""
    return f"<{format_share(fraction)}"


def above(text: str) -> float:
    """The fraction in `text`, such as `+20%`. Raises ValueError."""
    found = SHARE.fullmatch(text.removeprefix("+"))
    if found is None:
        raise ValueError(f"{text!r} does not say by how much; expected a percentage such as +20%")
    return float(found[1]) / 100


def format_above(fraction: float) -> str:
    """Text that `above` reads back as `fraction`."""
    return f"+{format_share(fraction)}"


def _quantity(scalar: Scalar) -> Meta:
    return Meta(extra={"scalar": scalar})


Duration = Annotated[
    float,
    _quantity(
        Scalar("a duration", duration, format_duration, "2s", DURATION_PATTERN, most=LONGEST, numbers=False)
    ),
]
"""Seconds; written `250ms`, `2s`, `5m`, `1h`. A bare number is refused: it does not say its unit."""

Size = Annotated[
    int,
    _quantity(Scalar("a size", size, format_size, "64KiB", SIZE_PATTERN, most=LARGEST, numbers=True)),
]
"""Bytes; written `64KiB`, `1MiB`, `10MB`, or as a bare number of bytes."""

Rate = Annotated[
    float,
    _quantity(Scalar("a rate", rate, format_rate, "100/s", RATE_PATTERN, most=1e9, numbers=False)),
]
"""Events a second; written `100/s`, `6000/m`."""

Share = Annotated[
    float,
    _quantity(Scalar("a share", share, format_share, "20%", SHARE_PATTERN, most=1, numbers=True)),
]
"""A fraction from 0 to 1; written `20%` or `0.2`."""

Below = Annotated[
    float,
    _quantity(
        Scalar("a bound", below, format_below, "<0.01%", r"^<?[0-9]+(\.[0-9]+)?%$", most=1, numbers=True)
    ),
]
"""A fraction that something stays below; written `<0.01%` or `0.0001`."""

Above = Annotated[
    float,
    _quantity(
        Scalar("an increase", above, format_above, "+20%", r"^\+?[0-9]+(\.[0-9]+)?%$", most=100, numbers=True)
    ),
]
"""By which fraction something may be above another; written `+20%` or `0.2`."""
