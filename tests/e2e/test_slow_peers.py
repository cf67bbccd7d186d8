"""Peers that are slow, stop reading, or end at a bad moment: nobody else pays, and nothing piles up."""

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    LAST_CHUNK,
    Conversation,
    Gateway,
    Growth,
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

MIB = 1 << 20


class TestSlowClients:
    def test_their_pauses_are_not_the_upstreams(self) -> None:
        script = answers.raw(answers.chunked_head() + chunk(bytes(100)) * 160_000 + LAST_CHUNK)
        idle = {"timeouts": {"idle": "1s"}}
        with through(script, rcvbuf=65536, record=False, upstream=idle) as (client, _, _):
            client.send(request())
            assert not threading.Event().wait(2.0)
            assert len(client.response().body) == 16_000_000

    def test_one_that_reads_steadily_is_not_taken_for_one_that_has_stopped(self) -> None:
        """What the kernel may hold for it is bounded: that it becomes less is told in time."""
        script = answers.raw(answers.chunked_head() + chunk(bytes(100_000)) * 400 + LAST_CHUNK)
        server = {"timeouts": {"body_idle": "1s"}}
        with through(script, rcvbuf=65536, record=False, server=server) as (client, _, _):
            client.send(request())
            begun = time.monotonic()
            taken = 0
            while time.monotonic() - begun < 5.0:
                taken += len(client.sock.recv(32768))
                assert not threading.Event().wait(0.1)
            while taken < 40_000_000:
                piece = client.sock.recv(1 << 20)
                assert piece, f"cut after {taken} bytes"
                taken += len(piece)

    def test_their_upstream_connection_serves_the_next_request(self, tmp_path: Path) -> None:
        """Small chunks fill the reactor's pieces, so that congestion is met before the last one is parsed.

        One of the sizes ends in the read that meets it: buffers of Unix sockets don't grow.
        """

        def script(peer: Conversation) -> None:
            while not peer.reader.at_end():
                chunks = int(peer.request().target[1:])
                peer.send(answers.chunked_head() + chunk(bytes(100)) * chunks + LAST_CHUNK)
                sent.set()

        sent = threading.Event()
        listen = {"listen": [f"unix:{tmp_path}/gateway"]}
        settings = {"pool": {"max_connections": 1}, "timeouts": {"response": "2s"}}
        with (
            Upstream(script, record=False) as upstream,
            Gateway(proxy(upstream.url, upstream=settings, server=listen)) as gateway,
            gateway.client(record=False) as slow,
            gateway.client() as other,
        ):
            for chunks in range(500, 6000, 250):
                sent.clear()
                slow.send(request("GET", f"/{chunks}"))
                assert sent.wait(5)
                assert other.is_idle()
                assert len(slow.response().body) == chunks * 100
                assert other.ask("GET", "/1").status == 200, chunks

    def test_answers_that_nobody_takes_are_not_made(self) -> None:
        """A pipeline of requests whose answers are not read is held back, however the answers come about."""
        text = "a" * 200_000
        with (
            Gateway(routed([{"path": "/", "respond": {"body": text}}])) as gateway,
            gateway.client(rcvbuf=65536, record=False) as client,
        ):
            growth = Growth(gateway.pid)
            client.sock.settimeout(1)
            with pytest.raises(TimeoutError):
                client.send(*[request() * 100] * 5000)
            assert growth.sample() < 8 * MIB
            client.sock.settimeout(5)
            for _ in range(100):
                assert len(client.response().body) == len(text)


class TestUploads:
    """While a request is coming, the client's time runs or the upstream's, never both."""

    EXPECTING = request("PUT", "/", [("Expect", "100-continue"), ("Content-Length", "5")])

    def test_a_clients_pause_is_not_the_upstreams(self) -> None:
        idle = {"timeouts": {"idle": "200ms", "response": "200ms"}}
        with through(answers.echo, upstream=idle) as (client, _, _):
            client.send(request("PUT", "/", [("Content-Length", "5")]) + b"ab")
            assert not threading.Event().wait(0.6)
            assert client.send(b"cde").response().status == 200

    def test_nor_is_it_once_the_upstream_has_said_go_on(self) -> None:
        idle = {"timeouts": {"idle": "200ms", "response": "200ms"}}
        with through(_go_on_then_answer, upstream=idle) as (client, _, _):
            assert client.send(self.EXPECTING).head().status == 100
            for byte in b"abcde":
                assert not threading.Event().wait(0.15)
                client.send(bytes([byte]))
            assert client.response().status == 200

    def test_a_client_that_stops_is_told_so_after_its_own_time(self) -> None:
        server = {"timeouts": {"body_idle": "300ms"}}
        with through(_go_on_then_answer, server=server) as (client, _, _):
            assert client.send(self.EXPECTING).head().status == 100
            assert client.response().status == 408

    def test_an_upstream_that_says_go_on_has_its_time_for_the_answer(self) -> None:
        def script(peer: Conversation) -> None:
            head = peer.head()
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            list(peer.reader.request_body(head))
            peer.until_ended()

        with through(script, upstream={"timeouts": {"response": "300ms"}}) as (client, _, _):
            assert client.send(self.EXPECTING).head().status == 100
            assert_problem(client.send(b"abcde").response(), 504, "http_response_timeout")

    def test_an_upstream_that_does_not_say_whether_to_go_on(self) -> None:
        """Nobody is to blame but it: the client does as it should."""
        upstream = {"timeouts": {"response": "300ms"}}
        with through(answers.silent_after_head, upstream=upstream) as (client, _, _):
            assert_problem(client.send(self.EXPECTING).response(), 504, "http_response_timeout")

    def test_an_upstream_that_takes_no_more_of_the_request(self) -> None:
        gate = threading.Event()

        def script(peer: Conversation) -> None:
            peer.head()
            peer.wait(gate)

        with through(script, record=False, upstream={"timeouts": {"idle": "500ms"}}) as (client, _, _):
            client.send(request("PUT", "/", [("Content-Length", "100000000")]))
            sender = threading.Thread(target=_send_until_refused, args=(client.sock,))
            sender.start()
            assert_problem(client.response(), 504, "http_response_timeout")
            client.reset()
            sender.join(5)
            gate.set()

    def test_interim_responses_do_not_buy_time(self) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            with contextlib.suppress(ConnectionError):
                while not peer.done.wait(0.05):
                    peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")

        with through(script, upstream={"timeouts": {"response": "500ms"}}) as (client, _, _):
            response = client.ask()
            assert response.status == 504
            assert response.interim


def _go_on_then_answer(peer: Conversation) -> None:
    head = peer.head()
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    list(peer.reader.request_body(head))
    peer.send(answers.response(b"thanks"))


def _send_until_refused(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(bytes(1 << 20))


class TestEndings:
    def test_an_answer_is_read_though_the_request_cannot_be_sent(self) -> None:
        """The upstream refuses a body early and resets: RFC 9112, 9.5."""
        refused = threading.Event()

        def script(peer: Conversation) -> None:
            peer.head()
            ready.set()
            peer.wait(refused)
            peer.send(answers.response(b"no", "413 Content Too Large", [("Connection", "close")]))
            peer.reset()
            over.set()

        ready, over = threading.Event(), threading.Event()
        with through(script, record=False) as (client, _, gateway):
            worker = (gateway.workers or [gateway.pid])[0]
            total = 64 * MIB
            client.send(request("PUT", "/", [("Content-Length", str(total))]))
            assert ready.wait(5)
            client.sock.setblocking(False)
            still = time.monotonic()
            while time.monotonic() - still < 0.3:  # until every buffer on the way is full
                try:
                    client.sock.send(bytes(MIB))
                    still = time.monotonic()
                except BlockingIOError:
                    pass
            client.sock.settimeout(5)
            os.kill(worker, signal.SIGSTOP)
            refused.set()
            assert over.wait(5)
            os.kill(worker, signal.SIGCONT)
            assert client.response().status == 413

    def test_a_worker_ends_with_open_tunnels(self) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n")
            peer.until_ended()

        config = {"timeouts": {"drain": "100ms"}}
        freed = {"PYTHONMALLOC": "debug"}  # what is freed is overwritten
        with Upstream(script) as upstream, Gateway(proxy(upstream.url, server=config), env=freed) as gateway:
            clients = [gateway.client() for _ in range(20)]
            for client in clients:
                client.send(request(headers=[("Connection", "Upgrade"), ("Upgrade", "raw/1")]))
                assert client.head().status == 101
            assert gateway.stop() == 0
            assert "Fatal" not in gateway.stderr
            for client in clients:
                assert client.is_closed()
                client.close()

    def test_a_body_that_was_cut_behind_another_request_is_given_up(self) -> None:
        gate = threading.Event()

        def script(peer: Conversation) -> None:
            peer.request()
            peer.wait(gate)
            peer.send(answers.response(b"ok"))

        with through(script) as (client, _, gateway):
            client.send(request(), request("POST", "/cut", [("Content-Length", "10")]) + b"half")
            client.half_close()
            assert client.is_idle()
            gate.set()
            assert client.response().status == 200
            assert client.is_closed()
            eventually(lambda: gateway.established() <= 1, "the cut request is let go")

    def test_nothing_is_served_behind_a_close(self) -> None:
        """RFC 9112, 9.6: the answer that says `close` is the last, though it is still on its way."""
        text = "a" * 6_000_000
        with Upstream(answers.ok) as upstream:
            routes: list[dict[str, Any]] = [
                {"path": "/large", "respond": {"body": text}},
                {"path": "/", "upstream": "backend"},
            ]
            limits = {"limits": {"requests_per_connection": 1}}
            with (
                Gateway(routed(routes, upstream.url, server=limits)) as gateway,
                gateway.client(rcvbuf=4096, record=False) as client,
            ):
                client.send(request("GET", "/large") + request("POST", "/second", body=b""))
                assert len(client.response().body) == len(text)
                assert client.is_closed()
            assert upstream.requests == []
