"""What the admin's answers are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

Query = dict[str, str]
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


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes | Iterator[bytes]
    """All of it, or its pieces, none empty, each made when the last is on its way."""


def json(value: Any, status: int = 200) -> Answer:
    return Answer(status, [("Content-Type", JSON)], msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def problem(status: int, detail: str, headers: Sequence[tuple[str, str]] = (), **more: Any) -> Answer:
    """An error as RFC 9457 writes it; `more` are members of its own."""
    body = {"type": "about:blank", "title": REASONS[status], "status": status, "detail": detail, **more}
    return Answer(status, [("Content-Type", PROBLEM), *headers], msgspec.json.encode(body) + b"\n")


class Endpoint(NamedTuple):
    """`answer` is given the query's parameters."""

    text: str
    answer: Callable[[Query], Answer | Awaitable[Answer]]
    methods: tuple[str, ...] = READ
    parameters: tuple[str, ...] = ()
