"""Two answers to one request, compared: status, header fields, body."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from tetrapylon.diff import headers, texts, values
from tetrapylon.diff.answer import Answer, Difference
from tetrapylon.diff.noise import Noise
from tetrapylon.diff.rules import Rules
from tetrapylon.messages.codings import KINDS, Broken, Decoder, Expanding

__all__ = ["compare"]

MOST = 200
"""Differences that one pair may have; what is beyond tells nothing more."""
LARGEST = 1 << 22
"""Bytes of a body, decoded."""
TEXT = ("text/", "application/xml", "application/javascript", "application/x-www-form-urlencoded")


def compare(left: Answer, right: Answer, rules: Rules, noise: Noise | None = None) -> list[Difference]:
    """Where the right answer is not as the left, but for what `noise` explains."""
    known = noise if noise is not None else Noise()
    found = (each for each in _all(left, right, rules, known) if not known.explains(each))
    return list(islice(found, MOST))


def learn(left: Answer, right: Answer, rules: Rules, noise: Noise) -> None:
    """From two answers of one service. One that fails teaches nothing."""
    if left.fault or right.fault or left.status >= 500 or right.status >= 500:
        return
    for each in islice(_all(left, right, rules, noise), MOST):
        noise.learn(each)


def _all(left: Answer, right: Answer, rules: Rules, noise: Noise) -> Iterator[Difference]:
    if left.fault or right.fault:
        if left.fault != right.fault:
            yield Difference("answer", "error", left.fault or left.status, right.fault or right.status)
        return
    if left.status != right.status:
        yield Difference("status", "status", left.status, right.status)
        if left.status // 100 != right.status // 100:
            return  # an error's page has nothing to do with the page
    yield from headers.differences(left, right, rules.headers)
    yield from _bodies(left, right, rules, noise)


def _bodies(left: Answer, right: Answer, rules: Rules, noise: Noise) -> Iterator[Difference]:
    coded = headers.coding(left), headers.coding(right)
    if left.body == right.body and coded[0] == coded[1]:
        return
    try:
        old = _decoded(left.body, coded[0])
    except (Broken, Expanding, LookupError):
        # What cannot be read is compared as it is.
        yield Difference("body", "bytes", left.body, right.body)
        return
    try:
        new = _decoded(right.body, coded[1])
    except (Broken, Expanding, LookupError) as error:
        yield Difference("body", "type", left.body, f"not {', '.join(coded[1])}: {error}")
        return
    if old != new:
        yield from _contents(left, old, right, new, rules, noise)


def _contents(
    left: Answer, old: bytes, right: Answer, new: bytes, rules: Rules, noise: Noise
) -> Iterator[Difference]:
    kind = headers.media_type(left)
    if _is_json(kind, old):
        try:
            value = values.read(old)
        except values.Unreadable:
            pass  # it says so and is not: the text it is compared as tells
        else:
            try:
                other = values.read(new)
            except values.Unreadable as error:
                yield Difference("body", "type", value, f"not JSON: {error}" if new else "")
                return
            yield from values.differences(value, other, rules, noise)
            return
    if kind.startswith(TEXT) or _is_json(kind, old) or kind.endswith("+xml") or b"\0" not in old:
        # Of other types, what is UTF-8 is text: lines of JSON, YAML, calendars.
        try:
            text = old.decode(headers.charset(left) or "utf-8")
            another = new.decode(headers.charset(right) or "utf-8")
        except (UnicodeDecodeError, LookupError):
            yield Difference("body", "bytes", old, new)
            return
        if text == another:
            yield Difference("body", "bytes", old, new)
        yield from texts.differences(text, another)
        return
    yield Difference("body", "bytes", old, new)


def _is_json(kind: str, body: bytes) -> bool:
    if not kind:
        return body[:1] in (b"{", b"[")
    return kind == "application/json" or kind.endswith("+json")


def _decoded(body: bytes, codings: list[str]) -> bytes:
    """Raises Broken, Expanding, and LookupError for a coding that nobody here reads."""
    for name in reversed(codings):
        name = {"x-gzip": "gzip"}.get(name, name)
        if name not in KINDS:
            raise LookupError(f"no reader for {name}")
        try:
            decoder = Decoder(name, most=LARGEST)
        except ModuleNotFoundError as error:
            raise LookupError(str(error)) from None
        body = b"".join(decoder.feed(body))
        decoder.finish()
    return body
