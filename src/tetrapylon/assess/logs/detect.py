"""Which format a line has, when nobody says: the combined one with what a team put behind it, or JSON."""

from __future__ import annotations

import re

from tetrapylon.assess.logs.formats import AGENTS, NGINX_START, Format, compile_format, role_of
from tetrapylon.assess.logs.json_lines import json_format

__all__ = ["format_of"]

QUOTED = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
START = re.compile(
    rb"\S+ \S+ (?:\S+|.*?) (\[?)\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}(\]?) "
    rb"(" + QUOTED + rb") (?:\d{3}|-) (?:\d+|-)(?P<agents> " + QUOTED + rb" " + QUOTED + rb")?(?P<tail>.*)",
    re.S,
)
# A label with its value, a quoted text, or a word; nginx lists the times of several upstreams with spaces.
TIMES = rb"(?:\d+\.\d+|-)(?:(?:, | : )(?:\d+\.\d+|-))*"
TOKEN = re.compile(
    rb"(?P<space>\s+)|(?P<label>[A-Za-z_][\w-]*[=:])?(?:(?P<quoted>" + QUOTED + rb")"
    rb"|(?P<times>" + TIMES + rb")(?=[\s,;|]|$)|(?P<word>[^\s\"]+))",
    re.S,
)
SECONDS = re.compile(rb"\d+\.\d{3}")
MICROSECONDS = re.compile(rb"\d+\.\d{6}")
LABELS = {
    "rt": "$request_time",
    "request_time": "$request_time",
    "urt": "$upstream_response_time",
    "upstream_response_time": "$upstream_response_time",
    "upstream_time": "$upstream_response_time",
}
ANYTHING = "$_"


def format_of(line: bytes) -> Format | None:
    """The format that a line shows by itself; None where it shows none that is known.

    Behind the combined format, times are known by their labels (`rt=`, `urt=`, `upstream_us=` ...) or, where
    there are at most two without any, by their place: nginx's `$request_time` and, after it,
    `$upstream_response_time`; with six decimals, gunicorn's `%(L)s`. A whole number could be anything, but
    beside `upstream_us=`.
    """
    if line.startswith(b"{"):
        return json_format(line)
    found = START.fullmatch(line)
    if found is None:
        return None
    text = NGINX_START if found[1] else NGINX_START.replace("[", "").replace("]", "")
    if found["agents"]:
        text += AGENTS
    tail = _tail(found["tail"])
    return None if tail is None else compile_format(text + tail, _name(tail))


def _name(tail: str) -> str:
    return "combined with times" if "_time" in tail or "%(" in tail or "upstream" in tail else "combined"


def _tail(tail: bytes) -> str | None:
    tokens: list[re.Match[bytes]] = []
    end = 0
    while end < len(tail):
        token = TOKEN.match(tail, end)
        if token is None:
            return None
        tokens.append(token)
        end = token.end()
    bare = [
        token for token in tokens if not token["space"] and not token["label"] and _value(token) is not None
    ]
    whole = [token for token in tokens if token["word"] and not token["label"] and token["word"].isdigit()]
    by_place = _by_place([_value(token) or b"" for token in bare]) if not whole else {}
    # Beside an upstream time in microseconds the one whole number can only be the whole time in that unit,
    # too: were it not, it would be shorter than the upstream's, which is noticed.
    micro = any((token["label"] or b"").lower().endswith(b"upstream_us=") for token in tokens)
    text = ""
    for token in tokens:
        if token["space"]:
            text += token["space"].decode()
            continue
        label = (token["label"] or b"").decode()
        name = label[:-1]
        variable = LABELS.get(name.lower()) or (f"${name}" if name and role_of(name) else None)
        if variable is None:
            variable = by_place.get(bare.index(token), ANYTHING) if token in bare else ANYTHING
            if micro and whole == [token]:
                variable = "%(D)s"
        quoted = token["quoted"] is not None
        text += label + (f'"{variable}"' if quoted else variable)
    return text


def _value(token: re.Match[bytes]) -> bytes | None:
    """The time or times that a token may be."""
    text = token["quoted"].strip(b'"') if token["quoted"] else token["times"] or b""
    return text if re.fullmatch(TIMES, text) else None


def _by_place(values: list[bytes]) -> dict[int, str]:
    if len(values) == 1 and MICROSECONDS.fullmatch(values[0]):
        return {0: "%(L)s"}
    if not 1 <= len(values) <= 2 or not SECONDS.fullmatch(values[0]):
        return {}
    return dict(enumerate(("$request_time", "$upstream_response_time")[: len(values)]))
