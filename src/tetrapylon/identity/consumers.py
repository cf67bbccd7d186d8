"""Consumers as policies know them, and what upstreams are told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tetrapylon._core.identity import Known, Place

if TYPE_CHECKING:
    from tetrapylon.config.model import Config, Consumer

__all__ = ["Untellable", "by_name", "claimed", "known", "places"]


class Untellable(ValueError):
    """A value that no header field can hold."""


def by_name(config: Config) -> dict[str, Consumer]:
    return {consumer.name: consumer for consumer in config.consumers}


def known(
    consumer: Consumer,
    headers: Mapping[str, str],
    *,
    groups: Iterable[str] = (),
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | None = None,
    subject: str = "",
) -> Known:
    """The consumer, told in `headers` (field -> what it holds). Raises Untellable."""
    every = {*consumer.groups, *groups}
    held: dict[str, Any] = {
        "name": consumer.name,
        "groups": ",".join(sorted(every)),
        "scopes": " ".join(sorted(scopes)),
        "subject": subject,
        **{f"metadata.{key}": value for key, value in consumer.metadata.items()},
        **{f"claims.{key}": value for key, value in (claims or {}).items()},
    }
    lines = [(field.encode("ascii"), _told(held.get(what))) for field, what in headers.items()]
    return Known(
        consumer.name,
        groups=every,
        metadata=consumer.metadata,
        scopes=scopes,
        lines=[line for line in lines if line[1]],
    )


def _told(value: Any) -> bytes:
    """Text as it is, lists of text with commas, everything else as JSON; nothing for nothing."""
    if value is None:
        return b""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ",".join(value)
    text = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    # RFC 9110 section 5.5: without control characters; beyond ASCII it is opaque to recipients.
    if any(byte < 0x20 or byte == 0x7F for byte in text):
        raise Untellable("a control character has no place in a header field")
    return bytes(text.strip(b" "))


def claimed(claims: Mapping[str, Any], name: str, separator: str) -> list[str]:
    """A claim that lists words: a JSON list, or a string with separators. Anything else lists none."""
    value = claims.get(name)
    if isinstance(value, str):
        return [word for word in value.split(separator) if word]
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def places(
    header: str | None, cookie: str | None, query: str | None, *, usual: str, strip: bool
) -> tuple[Place, ...]:
    """Where a credential is looked for: what is given, or else the `usual` header field.

    In `Authorization`, it is a bearer token (RFC 6750, section 2.1).
    """
    if header is None and cookie is None and query is None:
        header = usual
    found = []
    if header is not None:
        scheme = "bearer" if header.lower() == "authorization" else None
        found.append(Place("header", header, scheme=scheme, strip=strip))
    if cookie is not None:
        found.append(Place("cookie", cookie, strip=strip))
    if query is not None:
        found.append(Place("query", query, strip=strip))
    return tuple(found)
