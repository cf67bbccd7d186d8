"""What the admin's answers are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

READ = ("GET", "HEAD")
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
PROBLEM = "application/problem+json"

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    409: "Conflict",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Asked(NamedTuple):
    """What an endpoint is told of a request: the parameters of its query, and its fields in lower case."""

    query: dict[str, str]
    headers: Mapping[str, str]


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes | Iterator[bytes]
    """All of it, or its pieces, none empty, each made when the last is on its way."""


def json(value: Any, *, compact: bool = False) -> Answer:
    text = msgspec.json.encode(value)
    return Answer(200, [("Content-Type", JSON)], (text if compact else msgspec.json.format(text)) + b"\n")


def problem(status: int, detail: str, headers: Sequence[tuple[str, str]] = (), **more: Any) -> Answer:
    """An error as RFC 9457 writes it; `more` are members of its own."""
    body = {"type": "about:blank", "title": REASONS[status], "status": status, "detail": detail, **more}
    return Answer(status, [("Content-Type", PROBLEM), *headers], msgspec.json.encode(body) + b"\n")


class Endpoint(NamedTuple):
    text: str
    answer: Callable[[Asked], Answer | Awaitable[Answer]]
    methods: tuple[str, ...] = READ
    parameters: tuple[str, ...] = ()
