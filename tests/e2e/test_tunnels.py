"""Upgrade tunnels: WebSocket with a real client and server, and any other protocol (RFC 9110, 7.8)."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.harness import (
    Client,
    Conversation,
    Gateway,
    Upstream,
    answers,
    eventually,
    promptly,
    proxy,
    request,
    through,
)

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "raw/1")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n"


def echo(server: ServerConnection) -> None:
    for message in server:
        server.send(message)


@contextmanager
def websocket_upstream(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    """A WebSocket server; gives its `host:port`."""
    with serve(handler, "127.0.0.1", 0, subprotocols=[Subprotocol("chat")], max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield "{}:{}".format(*server.socket.getsockname())
        finally:
            server.shutdown()
            thread.join(5)


@contextmanager
def websocket(
    handler: Callable[[ServerConnection], None] = echo,
) -> Iterator[tuple[ClientConnection, Gateway]]:
    """A WebSocket connection through the gateway."""
    with (
        websocket_upstream(handler) as address,
        Gateway(proxy(f"http://{address}")) as gateway,
        connect(
            f"ws://{gateway.address}/chat?room=1",
            subprotocols=[Subprotocol("chat")],
            max_size=None,
            proxy=None,
            close_timeout=2,
        ) as client,
    ):
        yield client, gateway


class TestWebSocket:
    def test_messages_both_ways(self) -> None:
        with websocket() as (client, _):
            assert client.subprotocol == "chat"
            for message in ("text \u2603", b"\x00\xff", "", os.urandom(1 << 20)):
                client.send(message)
                assert client.recv(5) == message

    def test_many_messages_before_the_first_is_read(self) -> None:
        with websocket() as (client, _):
            for number in range(200):
                client.send(str(number))
            assert [client.recv(5) for _ in range(200)] == [str(number) for number in range(200)]

    def test_pings_are_answered_by_the_far_end(self) -> None:
        with websocket() as (client, _):
            assert client.ping().wait(5)

    def test_the_client_closes(self) -> None:
        seen: list[tuple[int | None, str | None]] = []

        def handler(server: ServerConnection) -> None:
            with pytest.raises(ConnectionClosedError):
                server.recv()
            seen.append((server.close_code, server.close_reason))

        with websocket(handler) as (client, _):
            client.close(4001, "enough")
            eventually(lambda: bool(seen), "the server sees the close")
            assert seen == [(4001, "enough")]

    def test_the_server_closes(self) -> None:
        with websocket(lambda server: server.close(4002, "over")) as (client, _):
            with pytest.raises(ConnectionClosedError) as closed:
                client.recv(5)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4002, "over")

    def test_nothing_is_left_behind(self) -> None:
        with websocket() as (client, gateway):
            client.send("hello")
            client.recv(5)
            assert gateway.established() == 2
            client.close()
            with pytest.raises(ConnectionClosedOK):
                client.recv(5)
            eventually(lambda: gateway.established() == 0, "both sides are closed")

    def test_outlives_idle_timeouts_of_http(self) -> None:
        config = {
            "server": {"timeouts": {"keepalive": "1s", "header": "1s", "body_idle": "1s"}},
            "upstream": {"timeouts": {"response": "1s"}},
        }
        with (
            websocket_upstream(echo) as address,
            Gateway(proxy(f"http://{address}", **config)) as gateway,
            connect(f"ws://{gateway.address}/", subprotocols=[Subprotocol("chat")], proxy=None) as client,
        ):
            with pytest.raises(TimeoutError):
                client.recv(1.5)
            client.send("still here")
            assert client.recv(5) == "still here"


class TestRaw:
    def test_the_upgrade_is_asked_for_upstream(self) -> None:
        def script(peer: Conversation) -> None:
            head = peer.head()
            assert (head.headers.get("Connection") or "").lower() == "upgrade"
            assert head.headers.get("Upgrade") == "raw/1"
            peer.send(SWITCH)
            peer.until_ended()

        with through(script) as (client, _, _):
            head = client.send(request("GET", "/", UPGRADE)).head()
            assert head.status == 101
            assert (head.headers.get("Connection") or "").lower() == "upgrade"
            assert head.headers.get("Upgrade") == "raw/1"

    def test_bytes_right_behind_the_heads_are_not_lost(self) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(SWITCH + b"server first")
            assert peer.reader.exactly(12) == b"client first"
            peer.send(b" and second")

        with through(script) as (client, _, _):
            client.send(request("GET", "/", UPGRADE) + b"client first")
            client.head()
            assert client.until_eof() == b"server first and second"

    def test_each_direction_ends_by_itself(self) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(SWITCH)
            said = peer.reader.until_eof()
            peer.send(said[::-1])

        with through(script) as (client, _, _):
            client.send(request("GET", "/", UPGRADE)).head()
            client.send(b"abc").half_close()
            assert client.until_eof() == b"cba"

    def test_a_client_that_has_ended_before_the_switch_has_ended_in_the_tunnel(self) -> None:
        """Its end came while the upstream was asked: it is passed on, or nobody would ever hang up."""
        go = threading.Event()

        def script(peer: Conversation) -> None:
            peer.head()
            peer.wait(go)
            peer.send(SWITCH)
            said = peer.reader.until_eof()
            peer.send(said[::-1])

        with through(script) as (client, upstream, gateway):
            client.send(request("GET", "/", UPGRADE) + b"abc").half_close()
            eventually(lambda: bool(upstream.conversation().heads), "the request arrives")
            go.set()
            client.head()
            assert client.until_eof() == b"cba"
            eventually(lambda: gateway.established() == 0, "nothing is left")

    def test_the_clients_reset_reaches_the_upstream(self) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(SWITCH)
            peer.until_ended()

        def attempt() -> float:
            with through(script) as (client, upstream, gateway):
                client.send(request("GET", "/", UPGRADE)).head()
                client.reset()
                took = eventually(upstream.conversation().ended.is_set, "the upstream sees the end")
                eventually(lambda: gateway.established() == 0, "nothing is left")
                return took

        promptly(attempt)

    def test_the_upstreams_reset_reaches_the_client(self) -> None:
        go = threading.Event()

        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(SWITCH)
            peer.wait(go)
            peer.reset()

        with through(script) as (client, _, _):
            client.send(request("GET", "/", UPGRADE)).head()
            go.set()
            assert client.is_closed()

    def test_a_refused_upgrade_is_an_ordinary_answer(self) -> None:
        with through(answers.raw(answers.response(b"no", "426 Upgrade Required"))) as (client, _, _):
            assert client.ask("GET", "/", UPGRADE).status == 426
            assert client.ask("GET", "/").status == 426

    def test_101_without_being_asked_is_a_bad_answer(self) -> None:
        with through(answers.once(SWITCH)) as (client, _, _):
            assert client.ask().status == 502


class TestManyAndLong:
    def test_silence_ends_a_tunnel_and_words_keep_it(self) -> None:
        with tunnel({"upstream": {"timeouts": {"tunnel": "2s", "idle": "100ms"}}}) as (client, peer, _):
            for _ in range(5):
                client.send(b"ping")
                assert client.reader.exactly(4) == b"ping"
                assert client.is_idle(0.5)
            assert client.is_closed()
            eventually(peer.ended.is_set, "the upstream's side is closed too")

    def test_a_routes_own_patience(self) -> None:
        routes = [{"path": "/", "upstream": "backend", "timeouts": {"tunnel": "100ms"}}]
        with tunnel({"routes": routes}) as (client, _, _):
            assert client.is_closed()

    @pytest.mark.sockets("an embedding program has no admin address")
    def test_tunnels_are_counted(self) -> None:
        with tunnel({"admin": {"listen": "127.0.0.1:0"}}) as (client, _, gateway):
            assert gauge(gateway) == 1
            client.close()
            eventually(lambda: gauge(gateway) == 0, "it is gone")

    def test_a_draining_gateway_lets_tunnels_go_on_for_a_while(self) -> None:
        with tunnel({"server": {"timeouts": {"drain": "2s"}}}) as (client, peer, gateway):
            gateway.signal(signal.SIGTERM)
            client.send(b"last")
            assert client.reader.exactly(4) == b"last"
            assert client.is_closed()
            eventually(peer.ended.is_set, "the upstream's side is closed too")
            assert gateway.wait() == 0

    def test_what_nobody_reads_is_not_kept_for_long(self) -> None:
        """An ended tunnel has `body_idle` to be read, not its own long patience."""

        def flood(peer: Conversation) -> None:
            peer.request()
            peer.sock.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                peer.send(SWITCH, bytes(64_000_000))
            peer.reset()

        with Upstream(flood) as upstream:
            server = {"timeouts": {"body_idle": "300ms"}}
            patience = {"timeouts": {"tunnel": "1h"}}
            with (
                Gateway(proxy(upstream.url, server=server, upstream=patience)) as gateway,
                gateway.client(rcvbuf=4096, record=False) as client,
            ):
                client.send(request("GET", "/", UPGRADE))
                assert client.head().status == 101
                eventually(lambda: gateway.established() == 0, "both sides are given up")

    def test_one_thousand_at_once(self) -> None:
        with Upstream(talk) as upstream, Gateway(proxy(upstream.url, upstream=MANY)) as gateway:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(gateway.client()) for _ in range(1000)]
                for client in clients:
                    client.send(request("GET", "/", UPGRADE))
                for client in clients:
                    assert client.head().status == 101
                for number, client in enumerate(clients):
                    client.send(b"%04d" % number)
                assert [client.reader.exactly(4) for client in clients] == [b"%04d" % n for n in range(1000)]
            eventually(lambda: gateway.established() == 0, "all are gone", within=10)


MANY = {"pool": {"max_connections": 1000}}


def talk(peer: Conversation) -> None:
    """Switches, then says again what it hears."""
    peer.head()
    peer.send(SWITCH)
    while said := peer.reader.some():
        peer.send(said)


@contextmanager
def tunnel(config: dict[str, Any]) -> Iterator[tuple[Client, Conversation, Gateway]]:
    with through(talk, **config) as (client, upstream, gateway):
        client.send(request("GET", "/", UPGRADE))
        assert client.head().status == 101
        yield client, upstream.conversations[0], gateway


def gauge(gateway: Gateway) -> int:
    text = gateway.operate().body.decode()
    line = next(line for line in text.splitlines() if line.startswith("tetrapylon_tunnels"))
    return int(float(line.rpartition(" ")[2]))
