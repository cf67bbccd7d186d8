"""Whose time it was: each exchange's is told apart into the gateway's, the upstream's and the client's."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.test_failures import full_backlog
from tests.harness import (
    LAST_CHUNK,
    Conversation,
    Gateway,
    Rig,
    Upstream,
    answers,
    ask,
    chunk,
    eventually,
    proxy,
    request,
    through,
)

PAUSE = 0.3
MOST = 0.15
"""More than the gateway ever takes, and less than anybody pauses here."""


def pause() -> None:
    assert not threading.Event().wait(PAUSE)


class Split(NamedTuple):
    """Seconds."""

    whole: float
    gateway: float
    upstream: float
    client: float


def split(gateway: Gateway, number: int = 0) -> Split:
    """As the access log tells it, whose parts make up the whole."""
    eventually(lambda: len(gateway.log) > number, "the line of the access log")
    line = gateway.access_log[number]
    parts = [line["gateway_us"], line["upstream_us"], line.get("client_us", 0)]
    assert sum(parts) == line["duration_us"]
    return Split(line["duration_us"] / 1e6, *(part / 1e6 for part in parts))


def assert_waited_for(whom: str, told: Split) -> None:
    others = {"gateway", "upstream", "client"} - {whom}
    assert getattr(told, whom) >= PAUSE * 0.9, told
    assert all(getattr(told, other) < MOST for other in others), told


class TestUpstreams:
    """Each takes its time somewhere else."""

    @staticmethod
    def before_it_answers(peer: Conversation) -> None:
        peer.request()
        pause()
        peer.send(answers.response(b"at last"))

    @staticmethod
    def within_its_head(peer: Conversation) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nX-Half: ")
        pause()
        peer.send(b"1\r\nContent-Length: 0\r\n\r\n")

    @staticmethod
    def within_its_body(peer: Conversation) -> None:
        peer.request()
        peer.send(answers.chunked_head() + chunk(b"one"))
        pause()
        peer.send(chunk(b"two") + LAST_CHUNK)

    @staticmethod
    def behind_early_hints(peer: Conversation) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        pause()
        peer.send(answers.response(b"at last"))

    @staticmethod
    def before_it_breaks_off(peer: Conversation) -> None:
        peer.request()
        pause()
        peer.reset()

    @pytest.mark.parametrize(
        "script",
        [before_it_answers, within_its_head, within_its_body, behind_early_hints, before_it_breaks_off],
        ids=lambda script: script.__name__,
    )
    def test_that_are_slow(self, script: Callable[[Conversation], None]) -> None:
        with through(script) as (client, _, gateway):
            client.ask()
            assert_waited_for("upstream", split(gateway))

    def test_that_say_go_on_and_then_think(self) -> None:
        def script(peer: Conversation) -> None:
            head = peer.head()
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            list(peer.reader.request_body(head))
            pause()
            peer.send(answers.response(b"thought"))

        with through(script) as (client, _, gateway):
            client.send(request("PUT", "/", [("Expect", "100-continue"), ("Content-Length", "4")]))
            assert client.head().status == 100
            assert client.send(b"body").response().status == 200
            assert_waited_for("upstream", split(gateway))

    def test_that_take_long_to_say_go_on(self) -> None:
        def script(peer: Conversation) -> None:
            head = peer.head()
            pause()
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            list(peer.reader.request_body(head))
            peer.send(answers.response(b"done"))

        with through(script) as (client, _, gateway):
            client.send(request("PUT", "/", [("Expect", "100-continue"), ("Content-Length", "4")]))
            assert client.head().status == 100
            client.send(b"body").response()
            assert_waited_for("upstream", split(gateway))

    def test_that_do_not_take_what_is_sent(self) -> None:
        body = bytes(30_000_000)

        def script(peer: Conversation) -> None:
            head = peer.head()
            pause()
            list(peer.reader.request_body(head))
            peer.send(answers.response(b"done"))

        with through(script, record=False) as (client, _, gateway):
            client.send(request("PUT", "/", body=body)).response()
            told = split(gateway)
            assert told.upstream >= PAUSE * 0.9, told

    def test_whose_connections_are_all_taken(self) -> None:
        gate = threading.Event()

        def script(peer: Conversation) -> None:
            while not peer.reader.at_end():
                peer.request()
                peer.wait(gate)
                peer.send(answers.response(b"done"))

        pool = {"pool": {"max_connections": 1}}
        with through(script, upstream=pool) as (first, upstream, gateway), gateway.client() as second:
            first.send(request("GET", "/first"))
            upstream.wait_requests(1)
            second.send(request("GET", "/second"))
            pause()
            gate.set()
            first.response()
            second.response()
            eventually(lambda: len(gateway.log) == 2, "both lines")
            assert_waited_for("upstream", split(gateway, 0))
            assert_waited_for("upstream", split(gateway, 1))

    def test_that_cannot_be_connected_to_in_time(self) -> None:
        with full_backlog() as address:
            upstream = {"timeouts": {"connect": f"{PAUSE * 1000:.0f}ms"}}
            with Gateway(proxy(f"http://{address}", upstream=upstream)) as gateway:
                assert ask(gateway.address).status == 504
                assert_waited_for("upstream", split(gateway))


@contextmanager
def echoing(**config: Any) -> Iterator[Rig]:
    with through(answers.echo, **config) as rig:
        yield rig


class TestClients:
    def test_that_send_their_head_slowly(self) -> None:
        with echoing() as (client, _, gateway):
            client.send(b"GET / HTTP/1.1\r\nHost: gate")
            pause()
            client.send(b"way.test\r\n\r\n").response()
            assert_waited_for("client", split(gateway))

    def test_that_never_send_it_whole(self) -> None:
        with echoing(server={"timeouts": {"header": f"{PAUSE * 1000:.0f}ms"}}) as (client, _, gateway):
            assert client.send(b"GET / HTTP/1.1\r\nHost: gate").response().status == 408
            assert_waited_for("client", split(gateway))

    def test_that_send_their_body_slowly(self) -> None:
        with echoing() as (client, _, gateway):
            client.send(request("POST", "/", [("Content-Length", "8")]) + b"half")
            pause()
            client.send(b"half").response()
            assert_waited_for("client", split(gateway))

    def test_that_are_told_to_go_on_and_take_their_time(self) -> None:
        def script(peer: Conversation) -> None:
            head = peer.head()
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            list(peer.reader.request_body(head))
            peer.send(answers.response(b"done"))

        with through(script) as (client, _, gateway):
            client.send(request("PUT", "/", [("Expect", "100-continue"), ("Content-Length", "4")]))
            assert client.head().status == 100
            pause()
            client.send(b"body").response()
            assert_waited_for("client", split(gateway))

    def test_that_read_slowly(self) -> None:
        body = bytes(30_000_000)
        script = answers.raw(answers.response(body))
        with through(script, rcvbuf=65536, record=False) as (client, _, gateway):
            client.send(request())
            pause()
            assert len(client.response().body) == len(body)
            told = split(gateway)
            assert told.client >= PAUSE * 0.9, told

    def test_a_tunnels_time_is_nobodys_work(self) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n")
            peer.until_ended()

        with through(script) as (client, _, gateway):
            client.send(request("GET", "/", [("Upgrade", "test"), ("Connection", "Upgrade")]))
            assert client.head().status == 101
            pause()
            client.close()
            assert_waited_for("client", split(gateway))


def test_what_is_quick_waits_for_nobody_long() -> None:
    with echoing() as (client, _, gateway):
        client.ask("POST", "/", body=b"quick")
        told = split(gateway)
        assert told.gateway > 0
        assert "client_us" not in gateway.access_log[0]


@pytest.mark.sockets("there is an admin address")
def test_metrics_and_server_timing_say_the_same() -> None:
    def script(peer: Conversation) -> None:
        while not peer.reader.at_end():
            head = peer.head()
            list(peer.reader.request_body(head))
            pause()
            peer.send(answers.chunked_head() + chunk(b"one"))
            pause()
            peer.send(chunk(b"two") + LAST_CHUNK)

    config: dict[str, Any] = {"admin": {"listen": "127.0.0.1:0"}, "policies": [{"use": "server_timing"}]}
    with through(script, **config) as (client, _, gateway):
        client.send(request("POST", "/", [("Content-Length", "8")]) + b"half")
        pause()
        client.send(b"half")
        timing = client.response().headers.get("Server-Timing")
        assert timing is not None
        durations = dict(part.strip().split(";dur=") for part in timing.split(","))
        assert float(durations["gateway"]) < MOST * 1000
        assert PAUSE * 900 <= float(durations["upstream"]) < PAUSE * 1900  # up to the first byte
        told = split(gateway)
        assert told.gateway < MOST
        assert told.upstream >= 2 * PAUSE * 0.9
        assert told.client >= PAUSE * 0.9
        text = gateway.operate().body.decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        share = families["tetrapylon_gateway_duration_seconds"]
        (seconds,) = (sample.value for sample in share.samples if sample.name.endswith("_sum"))
        assert seconds == pytest.approx(told.gateway, abs=1e-5)
        (waited,) = (sample.value for sample in families["tetrapylon_upstream_duration_seconds"].samples)
        assert waited == pytest.approx(told.upstream, abs=1e-5)


def test_an_aggregates_parts_are_its_upstream() -> None:
    def script(peer: Conversation) -> None:
        peer.request()
        pause()
        peer.send(answers.response(b'{"a": 1}', "200 OK", [("Content-Type", "application/json")]))

    with Upstream(script) as upstream:
        config = {
            "upstreams": {"backend": {"targets": [upstream.url]}},
            "routes": [{"path": "/", "aggregate": {"part": {"upstream": "backend", "path": "/part"}}}],
        }
        with Gateway(config) as gateway, gateway.client() as client:
            assert client.ask().status == 200
            assert_waited_for("upstream", split(gateway))
