"""Requests that are refused: malformed, ambiguous, too large or too slow. None reaches an upstream whole.

What an intermediary must not let through: RFC 9112, 11.2, and RFC 9110, 17.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import (
    LAST_CHUNK,
    Gateway,
    Upstream,
    answers,
    assert_problem,
    chunk,
    eventually,
    proxy,
    request,
    routed,
    through,
)

HOST = b"Host: gateway.test\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def get(target: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"


MALFORMED = {
    "rubbish": b"rubbish\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "version of two digits": b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    "version that is none": b"GET / HTTP/x.y\r\n" + HOST + b"\r\n",
    "another protocol's version": b"OPTIONS / RTSP/2.0\r\n" + HOST + b"\r\n",
    "lower-case protocol": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "bad method": b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: other.test\r\n\r\n",
    "host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a path": b"GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n",
    "space before the colon": post(b"X-A : b"),
    "no colon": post(b"X-A"),
    "empty name": post(b": b"),
    "obsolete folding": post(b"X-A: b", b" c"),
    "leading space": b"GET / HTTP/1.1\r\n X-A: b\r\n" + HOST + b"\r\n",
    "bare LF after a line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF after a field": b"GET / HTTP/1.1\r\nHost: gateway.test\n\r\n",
    "bare CR in a value": post(b"X-A: b\rc"),
    "NUL in a value": post(b"X-A: b\x00c"),
    "NUL in a name": post(b"X\x00A: b"),
    "control character in a value": post(b"X-A: b\x01c"),
    "length and chunked": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=LAST_CHUNK),
    "chunked and length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=LAST_CHUNK),
    "differing lengths": post(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"),
    "a list of lengths": post(b"Content-Length: 1, 2", body=b"ab"),
    "length with a sign": post(b"Content-Length: +1", body=b"a"),
    "negative length": post(b"Content-Length: -1"),
    "length in hex": post(b"Content-Length: 0x1", body=b"a"),
    "length past 64 bits": post(b"Content-Length: 18446744073709551617", body=b"a"),
    "empty length": post(b"Content-Length:"),
    "chunked is not last": post(b"Transfer-Encoding: chunked, gzip", body=LAST_CHUNK),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=LAST_CHUNK),
    "unknown coding": post(b"Transfer-Encoding: xchunked", body=LAST_CHUNK),
    "coding with a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=LAST_CHUNK),
    "coding in 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + LAST_CHUNK,
    "no target": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "target without a slash": get(b"users"),
    "fragment": get(b"/a#b"),
    "bad escape": get(b"/a%zz"),
    "cut escape": get(b"/a%4"),
    "escaped NUL": get(b"/a%00b"),
    "byte past ASCII": get(b"/caf\xe9"),
    "CONNECT": b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n",
}

MALFORMED_CHUNKS = {
    "no size": b"x\r\n",
    "size in words": b"five\r\nhello\r\n",
    "size with a sign": b"+5\r\nhello\r\n",
    "size with 0x": b"0x5\r\nhello\r\n",
    "size past 64 bits": b"10000000000000005\r\nhello\r\n",
    "bare LF after the size": b"5\nhello\r\n",
    "bare LF after the data": b"5\r\nhello\n",
    "bare CR in an extension": b"5;a\rb\r\nhello\r\n",
    "bare LF in an extension": b"5;a\nb\r\nhello\r\n",
    "data longer than its size": b"5\r\nhello!\r\n",
    "folded trailer": b"0\r\nX-T: a\r\n b\r\n\r\n",
    "trailer without a colon": b"0\r\nX-T\r\n\r\n",
}


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[Gateway, Upstream]]:
    """One gateway for all that must not get past it."""
    with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url)) as gateway:
        yield gateway, upstream


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_heads_are_400_and_the_connection_is_closed(
    name: str, target: tuple[Gateway, Upstream]
) -> None:
    gateway, upstream = target
    before = len(upstream.conversations), len(upstream.requests)
    with gateway.client() as client:
        response = client.send(MALFORMED[name] + request("GET", "/smuggled")).response()
        assert_problem(response, 400, "http_request_error")
        assert response.headers.get("Connection") == "close"
        assert client.until_eof() == b""
    assert (len(upstream.conversations), len(upstream.requests)) == before


@pytest.mark.parametrize("name", MALFORMED_CHUNKS)
def test_malformed_chunks_never_complete_a_request(name: str, target: tuple[Gateway, Upstream]) -> None:
    gateway, upstream = target
    before = len(upstream.requests)
    with gateway.client() as client:
        response = client.send(CHUNKED, MALFORMED_CHUNKS[name], request("GET", "/smuggled")).response("POST")
        assert_problem(response, 400, "http_request_error")
        assert client.until_eof() == b""
    assert len(upstream.requests) == before


def test_same_lengths_twice_are_refused_or_become_one(
    target: tuple[Gateway, Upstream],
) -> None:  # RFC 9112, 6.3
    gateway, upstream = target
    with gateway.client() as client:
        response = client.send(post(b"Content-Length: 1", b"Content-Length: 1", body=b"a")).response()
        assert response.status == 400 or upstream.requests[-1].headers.all("Content-Length") == ["1"]


@pytest.mark.parametrize("name", ["rubbish", "obsolete folding", "length and chunked", "NUL in a value"])
def test_where_reads_end_does_not_matter(name: str, target: tuple[Gateway, Upstream]) -> None:
    gateway, _ = target
    with gateway.client() as client:
        try:
            client.send_bytewise(MALFORMED[name])
        except ConnectionError:  # refused before the last byte
            return
        assert client.response().status == 400


def test_a_good_request_before_a_bad_one_is_answered(target: tuple[Gateway, Upstream]) -> None:
    gateway, _ = target
    with gateway.client() as client:
        client.send(request() + b"rubbish\r\n\r\n")
        assert client.response().body == b"ok"
        assert client.response().status == 400
        assert client.is_closed()


VERSIONS = {
    version: b"GET /case " + version.encode() + b"\r\n" + HOST + b"\r\n"
    for version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0")
} | {"HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}


@pytest.mark.parametrize("name", VERSIONS)
def test_other_versions_of_http_are_505(name: str, target: tuple[Gateway, Upstream]) -> None:  # RFC 9110, 2.5
    gateway, upstream = target
    before = len(upstream.requests)
    with gateway.client() as client:
        assert_problem(client.send(VERSIONS[name]).response(), 505, "http_request_error")
        assert client.until_eof() == b""
    with gateway.client() as client:
        with contextlib.suppress(ConnectionError):  # refused before the last byte
            client.send_bytewise(VERSIONS[name])
        assert client.response().status == 505, "wherever reads end"
    assert len(upstream.requests) == before


class TestExpectations:
    """RFC 9110, 10.1.1: 417 for what cannot be met. Nearly `100-continue` is none of it."""

    @pytest.mark.parametrize(
        "value", [b"the-unexpected", b"y 100-continue", b"100-continue, other", b"100-continue; q=1", b"100"]
    )
    def test_what_nobody_can_meet_is_417(self, value: bytes, target: tuple[Gateway, Upstream]) -> None:
        gateway, upstream = target
        before = len(upstream.requests)
        with gateway.client() as client:
            said = post(b"Expect: " + value, b"Content-Length: 4", body=b"body")
            assert_problem(client.send(said).response(), 417, "http_request_error")
            assert client.until_eof() == b""
        assert len(upstream.requests) == before

    @pytest.mark.parametrize(
        "fields", [[b"Expect: 100-Continue"], [b"Expect:"], [b"Expect: 100-continue"] * 2]
    )
    def test_what_can_be_met_goes_on(self, fields: list[bytes], target: tuple[Gateway, Upstream]) -> None:
        gateway, _ = target
        with gateway.client() as client:
            said = post(*fields, b"Content-Length: 4", body=b"body")
            assert client.send(said).response("POST").status == 200

    def test_a_client_of_http_10_cannot_mean_it(self, target: tuple[Gateway, Upstream]) -> None:
        gateway, upstream = target
        with gateway.client() as client:
            said = b"GET / HTTP/1.0\r\n" + HOST + b"Expect: the-unexpected\r\n\r\n"
            assert client.send(said).response().status == 200
        assert upstream.requests[-1].headers.get("Expect") is None


@pytest.mark.sockets("there is an admin address")
@pytest.mark.parametrize(
    ("said", "reason", "told"),
    [
        (VERSIONS["HTTP/2.0"], "version", {"status": 505, "error": "bad_version"}),
        (VERSIONS["HTTP/2 preface"], "version", {"status": 505, "error": "bad_version"}),
        (
            post(b"Expect: x"),
            "expectation",
            {"status": 417, "error": "bad_expectation", "protocol": "HTTP/1.1"},
        ),
        (MALFORMED["rubbish"], "malformed", {"status": 400, "error": "bad_request"}),
    ],
)
def test_what_is_refused_is_counted_by_its_reason_and_logged(
    said: bytes, reason: str, told: dict[str, Any]
) -> None:
    with through(answers.ok, admin={"listen": "127.0.0.1:0"}) as (client, _, gateway):
        assert client.send(said).response().status == told["status"]
        assert rejects(gateway) == [reason]
        eventually(lambda: bool(gateway.access_log), "it is logged")
        (line,) = gateway.access_log
        assert {key: line[key] for key in told} == told
        assert reason != "version" or "protocol" not in line, "it is none of those that could be told"


def rejects(gateway: Gateway) -> list[str]:
    told = gateway.operate("/metrics").body.decode()
    return re.findall(r'^tetrapylon_rejects_total\{reason="(\w+)"\} [1-9]', told, re.MULTILINE)


@pytest.mark.parametrize("method", [b"POST", b"GET", b"DELETE"])
def test_the_first_request_ever_may_be_malformed(method: bytes) -> None:
    """Nothing that an earlier request left behind may be needed to refuse one."""
    with through(answers.ok) as (client, _, gateway):
        response = client.send(method + b" / HTTP/1.1\r\nHost : a\r\n\r\n").response()
        assert_problem(response, 400)
        with gateway.client() as another:
            assert another.ask().status == 200


LIMITS: dict[str, Any] = {
    "server": {"limits": {"header_bytes": "2KiB", "headers": 20, "target_bytes": 1000, "body": "1KiB"}}
}


class TestSizes:
    @pytest.mark.parametrize(
        ("said", "status"),
        [
            (request("GET", "/" + "a" * 999), 200),
            (request("GET", "/" + "a" * 1000), 414),
            (request("GET", "/?" + "a" * 100_000), 414),
            (request(headers=[("X-A", "a" * 1800)]), 200),
            (request(headers=[("X-A", "a" * 2048)]), 431),
            (request(headers=[("X-" + "a" * 2048, "a")]), 431),
            (request(headers=[(f"X-{n}", "a" * 120) for n in range(19)]), 431),
            (request(headers=[(f"X-{n}", "") for n in range(19)]), 200),
            (request(headers=[(f"X-{n}", "") for n in range(20)]), 431),
            (request("POST", body=b"a" * 1024), 200),
            (request("POST", body=b"a" * 1025), 413),
            (request("POST", headers=[("Content-Length", "99999999999999")]), 413),
        ],
    )
    def test_up_to_the_limit_and_no_further(self, said: bytes, status: int) -> None:
        with through(answers.ok, **LIMITS) as (client, upstream, _):
            response = client.send(said).response()
            if status == 200:
                assert response.status == 200
            else:
                assert_problem(response, status)
                assert upstream.requests == []

    def test_blank_lines_before_a_request_are_few(self) -> None:  # RFC 9112, 2.2
        with through(answers.ok, **LIMITS) as (client, upstream, _):
            assert client.send(b"\r\n" * 4 + request()).response().status == 200
            assert_problem(client.send(b"\r\n" * 40, request()).response(), 400)
            assert client.is_closed()
            assert len(upstream.requests) == 1

    def test_a_head_that_never_ends_is_not_collected(self) -> None:
        with through(answers.ok, **LIMITS) as (client, _, _):
            client.send(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 4096)
            assert_problem(client.response(), 431)

    def test_a_chunked_body_is_counted(self) -> None:
        with through(answers.ok, **LIMITS) as (client, upstream, _):
            client.send(CHUNKED, chunk(b"a" * 1000), chunk(b"a" * 25))
            assert_problem(client.response(), 413)
            assert client.is_closed()
            assert upstream.requests == []

    def test_a_chunked_body_at_the_limit_passes(self) -> None:
        with through(answers.echo, **LIMITS) as (client, _, _):
            assert client.send(CHUNKED, chunk(b"a" * 1024), LAST_CHUNK).response().status == 200

    def test_trailers_count_as_fields(self) -> None:
        with through(answers.ok, **LIMITS) as (client, upstream, _):
            client.send(CHUNKED, chunk(b"a"), b"0\r\nX-T: " + b"a" * 4096 + b"\r\n\r\n")
            assert client.response().status in (400, 431)
            assert upstream.requests == []

    def test_a_routes_own_limit_goes_before_the_servers(self) -> None:
        with Upstream(answers.ok) as upstream:
            routes = [
                {"path": "/small", "upstream": "backend", "limits": {"body": 10}},
                {"path": "/large", "upstream": "backend", "limits": {"body": "none"}},
            ]
            with Gateway(routed(routes, upstream.url, **LIMITS)) as gateway, gateway.client() as client:
                assert client.ask("POST", "/large", body=b"a" * 5000).status == 200
                assert client.ask("POST", "/small", body=b"a" * 10).status == 200
                assert client.ask("POST", "/small", body=b"a" * 11).status == 413


class TestTimes:
    def test_a_head_that_takes_too_long(self) -> None:
        with through(answers.ok, server={"timeouts": {"header": "200ms"}}) as (client, upstream, _):
            client.send(b"GET / HTTP/1.1\r\nHost:")
            assert_problem(client.response(), 408)
            assert client.is_closed()
            assert upstream.conversations == []

    def test_byte_by_byte_does_not_buy_time(self) -> None:
        with through(answers.ok, server={"timeouts": {"header": "300ms"}}) as (client, _, _):
            client.send(b"GET / HTTP/1.1\r\nX-Slow: ")
            while client.is_idle(0.05):
                client.send(b"a")
            assert client.response().status == 408

    def test_a_connection_that_never_says_a_word_is_closed(self) -> None:
        with through(answers.ok, server={"timeouts": {"header": "200ms", "keepalive": "200ms"}}) as (
            client,
            _,
            _,
        ):
            assert client.until_eof() == b""

    def test_blank_lines_do_not_buy_time(self) -> None:
        with through(answers.ok, server={"timeouts": {"header": "300ms"}}) as (client, _, _):
            for _ in range(20):
                client.send(b"\r\n")
                if not client.is_idle(0.05):
                    break
            assert client.is_closed()

    def test_a_steady_trickle_has_its_end_too(self) -> None:
        with through(answers.ok, server={"timeouts": {"body": "300ms"}}) as (client, upstream, gateway):
            client.send(request("POST", headers=[("Content-Length", "1000")]))
            while client.is_idle(0.05):
                client.send(b"a")
            assert_problem(client.response(), 408)
            assert client.is_closed()
            assert upstream.requests == []
            with gateway.client() as another:
                assert another.ask("POST", body=b"at once").status == 200

    @pytest.mark.parametrize(
        ("begins", "goes_on"),
        [(b"5;", b"a"), (b"0", b"0"), (b"1\r\na\r\n0\r\nX: ", b"a"), (b"fff\r\n", b"a")],
        ids=["extension", "size", "trailer", "data"],
    )
    def test_nor_does_a_trickle_of_chunks(self, begins: bytes, goes_on: bytes) -> None:
        with through(answers.ok, server={"timeouts": {"body": "300ms"}}) as (client, _, _):
            client.send(request("POST", headers=[("Transfer-Encoding", "chunked")]), begins)
            while client.is_idle(0.05):
                client.send(goes_on)
            assert_problem(client.response(), 408)
            assert client.is_closed()

    def test_a_trickle_behind_the_answer(self) -> None:
        """What was answered already is read for the connection's sake; not for longer than any other body."""
        routes = [{"path": "/", "respond": {"body": "no"}}]
        with (
            Gateway(routed(routes, server={"timeouts": {"body": "300ms"}})) as gateway,
            gateway.client() as client,
        ):
            client.send(request("POST", headers=[("Content-Length", "1000")]))
            assert client.response().status == 200
            while client.is_idle(0.05):
                client.send(b"a")
            assert client.is_closed()

    def test_a_body_that_stalls(self) -> None:
        with through(answers.ok, server={"timeouts": {"body_idle": "200ms"}}) as (client, upstream, _):
            client.send(request("POST", headers=[("Content-Length", "10")]), b"half")
            assert_problem(client.response(), 408)
            assert client.is_closed()
            assert upstream.requests == []

    @pytest.mark.sockets("there is an admin address")
    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (b"GET / HTTP/1.1\r\nHost:", "head_timeout"),
            (request("POST", headers=[("Content-Length", "10")]) + b"half", "body_timeout"),
        ],
    )
    def test_heads_and_bodies_are_counted_apart(self, said: bytes, reason: str) -> None:
        times = {"timeouts": {"body_idle": "200ms", "header": "200ms"}}
        with through(answers.ok, server=times, admin={"listen": "127.0.0.1:0"}) as (client, _, gateway):
            assert client.send(said).response().status == 408
            assert rejects(gateway) == [reason]
