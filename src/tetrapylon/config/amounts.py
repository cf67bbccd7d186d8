"""Rates with their period, and what amounts are counted by, as a config writes them (leaf)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import TOKEN
from tetrapylon.config.secrets import without_password
from tetrapylon.config.units import RATE, RATE_PATTERN, SECONDS, Duration, Scalar

__all__ = [
    "CountedBy",
    "Ipv6Prefix",
    "KeyPart",
    "OnFailure",
    "Period",
    "RedisUrl",
    "StoreTimeout",
    "Told",
    "check_key",
    "check_store",
    "per",
    "several",
]

T = TypeVar("T")
PARTS = ("client", "consumer", "route")
FASTEST = 1_000_000
"""Requests a second; what is faster cannot be counted in nanoseconds without an error that shows."""


def per(text: str) -> tuple[float, float]:
    """How many and in how many seconds: `6000/m` is (6000.0, 60.0). Raises ValueError."""
    found = RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a rate; expected a number per unit of time, such as 100/s or 6000/m"
        )
    count, seconds = float(found[1]), SECONDS[found[2]]
    if count <= 0:
        raise ValueError(f"{text!r} lets nobody through; expected more than 0")
    if count / seconds > FASTEST:
        raise ValueError(f"{text!r} is too fast to be counted; expected at most {FASTEST}/s")
    return count, seconds


def _period(text: str) -> str:
    per(text)
    return text.replace(" ", "")


def _key_part(text: str) -> str:
    word, colon, name = text.partition(":")
    if word == "header" and colon:
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name; expected header:NAME, such as header:X-Tenant")
        return text
    if text not in PARTS:
        close = "header:NAME" if word == "header" else "client" if word in ("ip", "address") else ""
        hint = f"did you mean {close}?" if close else f"expected {', '.join(PARTS)} or header:NAME"
        raise ValueError(f"{text!r} is nothing to count by; {hint}")
    return text


def _redis_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("redis", "rediss", "unix") or not rest:
        raise ValueError(
            f"{without_password(text)!r} is not the URL of a Redis; expected redis://HOST:PORT/DATABASE,"
            " rediss://... or unix://PATH"
        )
    return text


def several(given: T | tuple[T, ...]) -> tuple[T, ...]:
    """One, or a list of them, as a tuple."""
    return given if isinstance(given, tuple) else (given,)


Period = Annotated[str, Meta(extra={"scalar": Scalar("a rate", _period, str, "100/s", RATE_PATTERN)})]
"""So many in a second, minute, hour or day; written `100/s`, `6000/m`."""

KeyPart = Annotated[
    str,
    Meta(
        extra={
            "scalar": Scalar(
                "what to count by", _key_part, str, "client", r"^(client|consumer|route|header:.+)$"
            )
        }
    ),
]
"""`client`, `consumer`, `route` or `header:NAME`."""

RedisUrl = Annotated[
    str, Meta(extra={"scalar": Scalar("a Redis URL", _redis_url, str, "redis://127.0.0.1:6379/0")})
]
"""`redis://[USER:PASSWORD@]HOST:PORT/DATABASE`, `rediss://...` for TLS, `unix://PATH`."""


# What the settings of several policies say in the same words.

CountedBy = Annotated[
    KeyPart | tuple[KeyPart, ...],
    doc(
        "What is counted apart: `client` (its address), `consumer` (the client, where none is known),"
        " `header:NAME`, `route`; or a list of these together."
    ),
]

Ipv6Prefix = Annotated[
    int, doc("IPv6 clients that share so many bits of their address are one.", ge=1, le=128)
]

Told = Annotated[
    Literal["always", "refused", "never"],
    doc("When to send `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."),
]

OnFailure = Annotated[
    Literal["open", "closed", "local"],
    doc("When Redis is away: let all through, refuse all with 503, or count on this machine alone."),
]

StoreTimeout = Annotated[
    Duration,
    doc("Redis is away when it takes longer; how long a request may wait for it.", ge=0.001, le=10),
]

MOST_PARTS = 8


def check_key(settings: Any) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is wrong with `key` of a policy that has it."""
    if not several(settings.key):
        yield ("key",), "the list is empty", f"expected {', '.join(PARTS)} or header:NAME in it"
    if len(several(settings.key)) > MOST_PARTS:
        yield ("key",), "a key has at most eight parts", "leave some out"


def check_store(settings: Any) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is wrong with `store` and `redis` of a policy that has them: path, fault and hint."""
    if settings.store == "redis":
        if settings.redis is None:
            yield ("store",), "it is not said where Redis is", "add `redis: redis://HOST:PORT/0`"
        if find_spec("redis") is None:
            yield ("store",), "the Redis client is not installed", "pip install 'tetrapylon[redis]'"
    elif settings.redis is not None:
        yield ("redis",), "nothing is kept in Redis", "add `store: redis`, or leave it out"
