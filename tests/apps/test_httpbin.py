"""httpbin, an app that nobody here wrote, hosted as it is: each endpoint answers as under gunicorn alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

import pytest

from tests.apps.alone import gunicorn
from tests.harness.client import Client
from tests.harness.gateway import Gateway
from tests.harness.wire import Response
from tetrapylon.diff import Answer, Noise, Rules, compare
from tetrapylon.diff.compare import learn

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

VALUES = {
    "n": "64",
    "offset": "1",
    "codes": "418",
    "delay": "0",
    "numbytes": "64",
    "value": "SGVsbG8=",
    "etag": "a",
    "qop": "auth",
    "user": "ann",
    "passwd": "sesame",
    "algorithm": "SHA-256",
    "stale_after": "never",
    "name": "colour",
    "anything": "a/b%20c/d",
    "filename": "favicon.ico",
}
QUERIES = {
    "/drip": "?numbytes=5&duration=0&delay=0",
    "/redirect-to": "?url=/get",
    "/response-headers": "?X-A=1&X-A=2",
}
BODIES = (
    (b"", ()),
    (b'{"a": [1, 2.5, "\xc3\xa9"]}', (("Content-Type", "application/json"),)),
    (b"a=1&b=2&b=3", (("Content-Type", "application/x-www-form-urlencoded"),)),
)
SEED = {"PYTHONHASHSEED": "0"}
"""The order of a set, such as that of `Allow`, is one of chance otherwise."""
HOP = {"connection", "keep-alive", "date"}
"""Of one connection, or one second."""


class Asked(NamedTuple):
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.target} {dict(self.headers).get('Content-Type', '')}".rstrip()


def rules() -> list[Any]:
    return list(import_module("httpbin").app.url_map.iter_rules())


def requests() -> Iterator[Asked]:
    """Each rule with each of its methods, and what it takes of a body."""
    for rule in rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: VALUES[found[1]], rule.rule)
        target = path + QUERIES.get(rule.rule, "?q=1&q=two%20words")
        for method in sorted(rule.methods):
            for body, fields in BODIES if method in ("POST", "PUT", "PATCH", "DELETE") else BODIES[:1]:
                yield Asked(method, target, (("Accept", "*/*"), ("X-Tenant", "acme"), *fields), body)
    yield Asked("GET", "/basic-auth/ann/sesame", (("Authorization", "Basic YW5uOnNlc2FtZQ=="),), b"")
    yield Asked("GET", "/bearer", (("Authorization", "Bearer token"),), b"")
    yield Asked("GET", "/cookies", (("Cookie", "a=1; b=2"),), b"")
    yield Asked("GET", "/range/64", (("Range", "bytes=10-20"),), b"")
    yield Asked("GET", "/cache", (("If-None-Match", "x"),), b"")
    yield Asked("GET", "/image", (("Accept", "image/webp"),), b"")
    yield Asked("GET", "/ip", (("X-Real-Ip", "192.0.2.1"),), b"")
    yield Asked(
        "GET",
        "/headers?show_env=1",
        (("Connection", "TE"), ("TE", "trailers"), ("Accept-Language", "de")),
        b"",
    )
    yield Asked("GET", "/no/such/page", (), b"")
    yield Asked("POST", "/get", (), b"")
    yield Asked("GET", "/anything/%2Fescaped%3F?%26=%3D", (), b"")


def ask(address: str, asked: Asked) -> Response:
    with Client(address) as client:
        fields = "".join(f"{name}: {value}\r\n" for name, value in asked.headers)
        length = f"Content-Length: {len(asked.body)}\r\n" if asked.body else ""
        head = f"{asked.method} {asked.target} HTTP/1.1\r\nHost: bin.example:8080\r\n{fields}{length}\r\n"
        client.send(head.encode() + asked.body)
        return client.response(asked.method)


def fields(response: Response) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in response.headers if name.lower() not in HOP)


def answer(response: Response) -> Answer:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
    return Answer(response.status, headers, response.body)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[str, str]]:
    """The addresses of gunicorn alone, and of the gateway that hosts the same app."""
    options = ("--app", "httpbin:app", "--threads", "4", "--listen", "127.0.0.1:0")
    with gunicorn("httpbin:app", SEED) as alone, Gateway(None, *options, env=SEED) as gateway:
        yield alone, gateway.address


def test_there_is_a_request_for_each_rule() -> None:
    assert len(rules()) > 50
    assert len(list(requests())) > 200


@pytest.mark.parametrize("asked", list(requests()), ids=str)
def test_an_answer_is_as_gunicorns(both: tuple[str, str], asked: Asked) -> None:
    """Byte for byte where gunicorn answers twice the same, otherwise by meaning, without that noise."""
    alone, hosted = both
    first, again, found = ask(alone, asked), ask(alone, asked), ask(hosted, asked)
    noise = Noise()
    learn(answer(first), answer(again), Rules(), noise)
    assert not compare(answer(first), answer(found), Rules(), noise)
    if fields(first) == fields(again) and first.body == again.body:
        assert fields(found) == fields(first)
        assert found.body == first.body
    assert found.status == first.status
