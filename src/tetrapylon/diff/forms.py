"""What a value looks like: its form, and the tokens of a text (leaf)."""

from __future__ import annotations

import math
import re
from typing import Any

from tetrapylon.diff.answer import ABSENT

__all__ = ["is_data", "magnitude", "shape", "tokens"]

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
# RFC 3339, and its cousins without a zone or with a space; fractions come and go with their zeros.
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)([T ])\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? ?(Z|[+-]\d\d:?\d\d|)", re.IGNORECASE
)
# What languages have where nothing was set: a zeroed identifier, the first second of Go or of Unix.
NOTHING = re.compile(
    r"0{16,}|0{8}-0{4}-0{4}-0{4}-0{12}|(?:0001|1970)-01-01[T ]00:00:00(?:\.0+)?(?:Z|[+-]00:?00)?"
)
DATE = re.compile(r"\d{4}-\d\d-\d\d")
HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
HEX = re.compile(r"[0-9a-f]{8,}", re.IGNORECASE)
DIGITS = re.compile(r"-?\d+(?:\.\d+)?")
# Base64 (RFC 4648 section 4) has + and / in it by chance: it is one token where its padding or its mixture of
# capitals and digits tells it from a path.
TOKEN = re.compile(
    r"(?<![\w/+])[A-Za-z0-9+/]{16,}={1,2}(?![\w=])"
    r"|(?<![\w/+])(?=(?:[a-z0-9+/]*[A-Z]){3})(?=(?:[A-Za-z+/]*\d){2})(?:[A-Za-z0-9+/]{4}){6,}(?![\w+/.:-])"
    r"|[\w.:+-]+|\s+|[^\w\s]"
)
LONG = 16
"""Characters of a token that no word has."""


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
    if NOTHING.fullmatch(value):
        return "zero"
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
    if ULID.fullmatch(value):
        return "ulid"
    if JWT.fullmatch(value):
        return "jwt"
    return "text"


def magnitude(value: float) -> float:
    """An integer that no float holds is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def tokens(text: str) -> list[str]:
    """Words, numbers and times in one piece, white space, and every other character; together the text."""
    return TOKEN.findall(text)


def is_data(token: str) -> bool:
    """Rather a value that was put into a text than a word of it."""
    return any(char.isdigit() for char in token) or len(token) >= LONG
