"""What of an answer may be kept to show: secrets and people stay out of it (leaf)."""

from __future__ import annotations

import re
from typing import Any

from tetrapylon.diff.answer import ABSENT

__all__ = ["HEADERS", "redacted", "redacted_target", "shown"]

SECRET = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|api_?key|authori[sz]ation|credential|cookie|session|signature"
    r"|private|card_?number|cvc|cvv|iban|ssn|email|phone|birth|csrf|otp$|pin$",
    re.IGNORECASE,
)
"""Names whose values are never kept."""
VALUE = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # a mail address
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|\b(?:\d[ -]?){13,19}\b"  # a card's number
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]+",
    re.IGNORECASE,
)
HEADERS = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key"})
"""Fields whose values are never kept."""
LONGEST = 200
"""Characters of a value that are shown."""


def _hidden(value: Any) -> str:
    return f"(redacted, {len(value)} characters)" if isinstance(value, str) else "(redacted)"


def redacted(value: Any, name: str = "") -> Any:
    """A JSON value without what is secret by its name, or by its looks."""
    if value is not None and not isinstance(value, dict | list | bool) and SECRET.search(name):
        return _hidden(value)
    if isinstance(value, dict):
        return {each: redacted(inner, each) for each, inner in value.items()}
    if isinstance(value, list):
        return [redacted(inner, name) for inner in value]
    if isinstance(value, str):
        return VALUE.sub("(redacted)", value)
    return value


def redacted_target(target: str) -> str:
    """A request's target without the values of its query's secret parameters."""
    path, mark, query = target.partition("?")
    if not mark:
        return VALUE.sub("(redacted)", path)
    pairs = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        secret = SECRET.search(name) or VALUE.search(value)
        pairs.append(f"{name}{equals}redacted" if equals and secret else pair)
    return f"{VALUE.sub('(redacted)', path)}?{'&'.join(pairs)}"


def shown(value: Any, where: str) -> str:
    """A differing value as a person may see it, in one line."""
    import json

    if value is ABSENT:
        return "(absent)"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    name = re.split(r"[.\s\[\]]+", where.rstrip("[]"))[-1]
    if where.startswith("header set-cookie") and "; " not in where:
        return _hidden(value)
    text = json.dumps(redacted(value, name), ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
