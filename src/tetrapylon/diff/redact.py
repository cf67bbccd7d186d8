"""What of an answer may be kept to show: secrets and people stay out of it (leaf)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

from tetrapylon.diff.answer import ABSENT

__all__ = ["hidden", "is_private", "is_secret", "redacted", "redacted_query", "redacted_target", "shown"]

SECRET = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|api[_-]?key|authori[sz]ation|credential|cookie|session|signature"
    r"|private|card_?number|cvc|cvv|iban|ssn|email|phone|birth|csrf|otp$|pin$",
    re.IGNORECASE,
)
"""Names whose values are never kept."""
VALUE = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # a mail address
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]+",
    re.IGNORECASE,
)
CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
LONGEST = 200
"""Characters of a value that are shown."""


def is_secret(name: str) -> bool:
    """Whether what has this name is never kept."""
    return SECRET.search(name) is not None


def hidden(text: str) -> str:
    """Without what looks like a mail address, a token or a card's number."""
    return CARD.sub(_card, VALUE.sub("(redacted)", text))


def _card(found: re.Match[str]) -> str:
    """Its digits as zeros, so that a path stays one of its route's; a number that is no card's stays."""
    return re.sub(r"\d", "0", found[0]) if _is_card(re.sub(r"\D", "", found[0])) else found[0]


def _is_card(digits: str) -> bool:
    """By its check digit (ISO/IEC 7812-1, annex B)."""
    total = sum(int(digit) for digit in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def _hidden(value: Any) -> str:
    return f"(redacted, {len(value)} characters)" if isinstance(value, str) else "(redacted)"


def redacted(value: Any, name: str = "") -> Any:
    """A JSON value without what is secret by its name, or by its looks."""
    if value is not None and not isinstance(value, dict | list | bool) and is_secret(name):
        return _hidden(value)
    if isinstance(value, dict):
        return {each: redacted(inner, each) for each, inner in value.items()}
    if isinstance(value, list):
        return [redacted(inner, name) for inner in value]
    if isinstance(value, str):
        return hidden(value)
    return value


def redacted_query(query: str) -> str:
    """`a=b&c=d` without the values of secret names, and without those that look like secrets."""
    pairs = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        plain = unquote_plus(value)
        secret = is_secret(unquote_plus(name)) or hidden(plain) != plain
        pairs.append(f"{name}{equals}redacted" if equals and secret else pair)
    return "&".join(pairs)


def redacted_target(target: str) -> str:
    """A request's target without what is secret in its path and its query."""
    path, mark, query = target.partition("?")
    segments = [hidden(unquote_plus(each)) if "%40" in each else hidden(each) for each in path.split("/")]
    return "/".join(segments) + (f"?{redacted_query(query)}" if mark else "")


def is_private(where: str) -> bool:
    """Whether nothing is shown of what is at that place of an answer."""
    return _is_cookie(where) or is_secret(_name(where))


def _is_cookie(where: str) -> bool:
    return where.startswith("header set-cookie") and "; " not in where


def _name(where: str) -> str:
    return re.split(r"[.\s\[\]]+", where.rstrip("[]"))[-1]


def shown(value: Any, where: str) -> str:
    """A differing value as a person may see it, in one line."""
    import json

    if value is ABSENT:
        return "(absent)"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if _is_cookie(where):
        return _hidden(value)
    text = json.dumps(redacted(value, _name(where)), ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
