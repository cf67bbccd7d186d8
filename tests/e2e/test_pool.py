"""Connections to an upstream: how many, who waits, in which order and for how long.

The gateway listens on a Unix socket here, where a client can tell that its request has been taken
(`wait_taken`), so that the order of arrival is certain.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.harness import (
    Client,
    Conversation,
    Gateway,
    Upstream,
    answers,
    assert_problem,
    eventually,
    proxy,
    request,
    wait_taken,
)


class Queue:
    """An upstream that answers only when its gate is open, behind a gateway whose pool is set so."""

    def __init__(
        self, stack: ExitStack, listen: str, pool: dict[str, Any], timeouts: dict[str, Any] | None = None
    ) -> None:
        self._stack = stack
        self.gate = threading.Event()
        self.served: list[str] = []
        self.upstream = stack.enter_context(Upstream(self._script))
        config = proxy(
            self.upstream.url,
            upstream={"pool": pool, "timeouts": timeouts or {}},
            server={"listen": [listen]},
        )
        self.gateway = stack.enter_context(Gateway(config))
        stack.callback(self.gate.set)

    def _script(self, peer: Conversation) -> None:
        while not peer.reader.at_end():
            self.served.append(peer.request().target)
            peer.wait(self.gate)
            peer.send(answers.response(b"ok"))

    def ask(self, target: str) -> Client:
        """A client of its own whose request the gateway has taken."""
        client = self._stack.enter_context(self.gateway.client())
        client.send(request("GET", target))
        if self.gateway.address.startswith("unix:"):
            wait_taken(client)
        return client

    def occupy(self) -> Client:
        """A request that holds an upstream connection."""
        count = len(self.served)
        client = self.ask("/first")
        eventually(lambda: len(self.served) > count, "the request is upstream")
        return client


@contextmanager
def queue(directory: Path, **pool: Any) -> Iterator[Queue]:
    with ExitStack() as stack:
        yield Queue(stack, f"unix:{directory}/gateway", pool)


def test_connections_are_bounded_and_shared_in_order_of_arrival(tmp_path: Path) -> None:
    with queue(tmp_path, max_connections=1) as pool:
        clients = [pool.occupy(), *(pool.ask(f"/{number}") for number in range(10))]
        pool.gate.set()
        assert [client.response().body for client in clients] == [b"ok"] * 11
        assert pool.served == ["/first", *(f"/{number}" for number in range(10))]
        assert len(pool.upstream.conversations) == 1


def test_two_connections_serve_two(tmp_path: Path) -> None:
    with queue(tmp_path, max_connections=2) as pool:
        clients = [pool.occupy(), pool.occupy(), pool.ask("/third")]
        assert pool.served == ["/first", "/first"]
        pool.gate.set()
        assert [client.response().status for client in clients] == [200] * 3
        assert len(pool.upstream.conversations) == 2


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    with queue(tmp_path, max_connections=1, max_pending=1) as pool:
        first, second = pool.occupy(), pool.ask("/second")
        assert_problem(pool.ask("/third").response(), 503, "connection_limit_reached")
        pool.gate.set()
        assert first.response().status == second.response().status == 200


def test_no_queue_at_all(tmp_path: Path) -> None:
    with queue(tmp_path, max_connections=1, max_pending=0) as pool:
        first = pool.occupy()
        assert_problem(pool.ask("/second").response(), 503, "connection_limit_reached")
        pool.gate.set()
        assert first.response().status == 200


def test_waiting_has_a_deadline(tmp_path: Path) -> None:
    with queue(tmp_path, max_connections=1, max_wait="200ms") as pool:
        first = pool.occupy()
        assert_problem(pool.ask("/second").response(), 503)
        pool.gate.set()
        assert first.response().status == 200
        assert pool.served == ["/first"]


def test_a_client_that_goes_leaves_the_queue() -> None:
    with ExitStack() as stack:
        pool = Queue(stack, "127.0.0.1:0", {"max_connections": 1, "max_pending": 1})
        first, gone = pool.occupy(), pool.ask("/gone")
        eventually(lambda: pool.gateway.established() == 3, "two clients and the upstream")
        refused = pool.ask("/refused")
        assert refused.response().status == 503
        refused.close()
        gone.reset()
        eventually(lambda: pool.gateway.established() == 2, "two clients have gone")
        third = pool.ask("/third")
        eventually(lambda: pool.gateway.established() == 3, "the third has come")
        pool.gate.set()
        assert first.response().status == third.response().status == 200
        assert pool.served == ["/first", "/third"]


def test_a_failed_connection_makes_room_for_the_next(tmp_path: Path) -> None:
    with queue(tmp_path, max_connections=1) as pool:
        first, second = pool.occupy(), pool.ask("/second")
        pool.upstream.conversation().reset()
        assert first.response().status == 502
        pool.gate.set()
        assert second.response().status == 200


def test_a_target_that_goes_away_is_told_to_all_who_wait(tmp_path: Path) -> None:
    """A Unix socket refuses at once: each failure makes room for the next in the queue."""
    path = tmp_path / "upstream"
    with ExitStack() as stack, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        config = proxy(f"unix:{path}", upstream={"pool": {"max_connections": 1, "max_wait": "30s"}})
        gateway = stack.enter_context(Gateway({**config, "server": {"listen": [f"unix:{tmp_path}/gateway"]}}))
        clients = [stack.enter_context(gateway.client()) for _ in range(5)]
        clients[0].send(request())
        served, _ = listener.accept()
        for client in clients[1:]:
            client.send(request())
            wait_taken(client)
        listener.close()
        path.unlink()
        served.close()
        assert [client.response().status for client in clients] == [502] * 5


def test_waiting_is_part_of_the_whole(tmp_path: Path) -> None:
    """`timeouts.total` goes on in the queue."""
    with ExitStack() as stack:
        pool = {"max_connections": 1, "max_wait": "30s"}
        rig = Queue(stack, f"unix:{tmp_path}/gateway", pool, {"total": "3s"})
        first = rig.ask("/first")
        began = time.monotonic()
        assert first.is_idle(1.0)
        second = rig.ask("/second")
        third = rig.ask("/third")
        assert_problem(first.response(), 504)
        assert_problem(second.response(), 504)
        assert_problem(third.response(), 504)
        assert time.monotonic() - began < 7.5


def test_the_most_recently_used_connection_comes_first(tmp_path: Path) -> None:
    with queue(tmp_path, max_connections=4) as pool:
        clients = [pool.occupy() for _ in range(3)]
        pool.gate.set()
        for client in clients:
            assert client.response().status == 200
        for _ in range(5):
            assert clients[0].send(request("GET", "/again")).response().status == 200
        assert sorted(len(conversation.requests) for conversation in pool.upstream.conversations) == [1, 1, 6]


class TestUploads:
    """Requests that are still coming from their clients take three connections of four at most."""

    def test_slow_ones_leave_room_for_others(self) -> None:
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, upstream={"pool": {"max_connections": 4}})) as gateway,
            ExitStack() as stack,
        ):
            slow = [stack.enter_context(gateway.client()) for _ in range(8)]
            for client in slow:
                client.send(request("POST", "/slow", headers=[("Content-Length", "4")]), b"a")
            eventually(lambda: len(upstream.conversations) == 3, "three have a connection")
            with gateway.client() as other:
                assert [other.ask().status for _ in range(5)] == [200] * 5
                assert other.ask("POST", "/whole", body=b"").status == 200
            assert len(upstream.conversations) == 4
            for client in slow:
                client.send(b"aaa")
                assert client.response("POST").status == 200

    def test_one_that_has_come_whole_is_none(self) -> None:
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, upstream={"pool": {"max_connections": 4}})) as gateway,
            ExitStack() as stack,
        ):
            for _ in range(8):
                slow = stack.enter_context(gateway.client())
                slow.send(request("POST", "/slow", headers=[("Content-Length", "4")]), b"a")
            eventually(lambda: len(upstream.conversations) == 3, "three have a connection")
            with gateway.client() as other:
                assert [other.ask("POST", "/login", body=b"abcd").status for _ in range(5)] == [200] * 5
                pipelined = request("POST", "/login", body=b"a" * 5000) * 3
                other.send(pipelined)
                assert [other.response("POST").status for _ in range(3)] == [200] * 3

    def test_the_next_follows_as_soon_as_one_is_whole(self) -> None:
        """Though its response is still awaited."""
        gate = threading.Event()

        def script(peer: Conversation) -> None:
            peer.request()
            peer.wait(gate)
            peer.send(answers.response(b"ok"))

        with (
            Upstream(script) as upstream,
            Gateway(proxy(upstream.url, upstream={"pool": {"max_connections": 4}})) as gateway,
            ExitStack() as stack,
        ):
            stack.callback(gate.set)
            clients = [stack.enter_context(gateway.client()) for _ in range(4)]
            for client in clients:
                client.send(request("POST", "/", headers=[("Content-Length", "4")]), b"a")
            eventually(lambda: len(upstream.conversations) == 3, "three have a connection")
            clients[0].send(b"aaa")
            eventually(lambda: len(upstream.conversations) == 4, "the fourth has one")
            gate.set()
            for client in clients[1:]:
                client.send(b"aaa")
            assert [client.response("POST").status for client in clients] == [200] * 4

    def test_one_that_goes_makes_room(self) -> None:
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, upstream={"pool": {"max_connections": 1}})) as gateway,
            gateway.client() as first,
            gateway.client() as second,
        ):
            upload = request("POST", "/", headers=[("Content-Length", "4")]) + b"a"
            first.send(upload)
            eventually(lambda: len(upstream.conversations) == 1, "one has the connection")
            second.send(upload)
            assert second.is_idle()
            first.reset()
            eventually(lambda: len(upstream.conversations) == 2, "the other has one")
