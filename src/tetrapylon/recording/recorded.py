"""Recorded requests: one JSON object a line, without what is secret or personal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from tetrapylon.config.net import TOKEN
from tetrapylon.diff.redact import hidden, is_secret, redacted, redacted_query, redacted_target
from tetrapylon.errors import UsageError

__all__ = ["NO_VALUE", "Recorded", "Taken", "Taking", "read", "recorded"]

TARGET = re.compile(r"/[\x21-\x7e\x80-\xff]*")
NO_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
"""What no field's value has in it (RFC 9110, 5.5), as Latin-1."""

HIDDEN = "redacted"
"""In place of a field's value that is not kept: that the field is there is told to policies and routes."""
FORM, TEXT = "application/x-www-form-urlencoded", "text/plain"
CLIENT = frozenset(
    {
        "forwarded",
        "x-forwarded-for",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "from",
    }
)
"""Fields that tell who a client is."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the file. `target` alone is needed."""

    time: str = ""
    """When its head was there (RFC 3339)."""
    method: str = "GET"
    target: str
    headers: list[tuple[str, str]] = []
    body: str | None = None
    left_out: str = ""
    """Why it has a body that is not here: such a request is not sent again."""
    route: str = ""
    """What it is counted under; left out, its method and path."""
    status: int = 0
    """What its client was told; 0: nothing, or it is not known."""


class Taken(NamedTuple):
    """As the `record` policy has it."""

    route: str
    time: float
    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes | None
    bodiless: bool
    status: int


Taking = list[Taken]
"""What a worker sends at once."""


def recorded(taken: Taken) -> Recorded:
    """The line of one request, redacted."""
    headers = [_field(name.decode("latin-1"), value.decode("latin-1")) for name, value in taken.fields]
    body, left_out = None, ""
    if taken.bodiless:
        left_out = "it was large, or of unknown length"
    elif taken.body:
        body, left_out = _body(headers, taken.body)
    return Recorded(
        time=datetime.fromtimestamp(taken.time, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        method=taken.method.decode("latin-1"),
        target=redacted_target(taken.target.decode("latin-1")),
        headers=headers,
        body=body,
        left_out=left_out,
        route=taken.route,
        status=taken.status,
    )


def _field(name: str, value: str) -> tuple[str, str]:
    if is_secret(name) or name.lower() in CLIENT:
        return name, HIDDEN
    return name, redacted_target(value) if name.lower() in ("referer", "origin") else hidden(value)


def _body(headers: list[tuple[str, str]], body: bytes) -> tuple[str | None, str]:
    """The body as it may be kept, or why it is not."""
    told = {name.lower(): value for name, value in headers}
    kind = told.get("content-type", "").partition(";")[0].strip().lower()
    json = kind == "application/json" or kind.endswith("+json")
    if told.get("content-encoding", "identity").lower() != "identity":
        return None, "it was encoded"
    if not json and kind not in (FORM, TEXT):
        return None, f"nobody here knows what is secret in {kind or 'what has no type'}"
    try:
        text = body.decode()
        if kind == FORM:
            return redacted_query(text), ""
        if kind == TEXT:
            return hidden(text), ""
        value = msgspec.json.decode(body)
    except (UnicodeDecodeError, msgspec.DecodeError):
        return None, f"it was no {'JSON' if json else 'text'}"
    kept = redacted(value)
    # What has nothing to hide stays as it was written, to the last space.
    return (text if kept == value else msgspec.json.encode(kept).decode()), ""


def read(path: str) -> Iterator[tuple[int, Recorded | None]]:
    """Each line's number with what it says; None for one that is broken. Raises UsageError."""
    decoder = msgspec.json.Decoder(Recorded)
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    found = decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    yield number, None
                else:
                    yield number, found if _can_be_sent(found) else None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _can_be_sent(request: Recorded) -> bool:
    """Whether it is a request as HTTP/1.1 has them, with a target in origin form (RFC 9112, 3.2.1)."""
    return (
        TARGET.fullmatch(request.target) is not None
        and TOKEN.fullmatch(request.method) is not None
        and all(TOKEN.fullmatch(name) and not NO_VALUE.search(value) for name, value in request.headers)
    )
