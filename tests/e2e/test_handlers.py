"""Handlers over real connections: streams and their clients, bodies that come in pieces or not at all."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import LAST_CHUNK, Client, Gateway, Truncated, chunk, eventually, request

MIB = 1 << 20
HANDLERS = '''\
import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from tetrapylon import Body, Event, HTTPError

SEEN = {"yielded": 0, "closed": 0, "called": 0}


def seen() -> dict[str, int]:
    return SEEN


async def events() -> AsyncIterator[Event]:
    """Endless, and never waits by itself."""
    try:
        while True:
            SEEN["yielded"] += 1
            yield Event(data={"n": SEEN["yielded"], "pad": "x" * 10_000})
    finally:
        SEEN["closed"] += 1


async def trickle() -> AsyncIterator[bytes]:
    """Likewise, and slower than any client reads."""
    try:
        while True:
            yield b"."
    finally:
        SEEN["closed"] += 1


async def quiet() -> AsyncIterator[Event]:
    """Waits for ever between its first event and its second."""
    try:
        yield Event(data="first")
        await asyncio.Event().wait()
    finally:
        SEEN["closed"] += 1


async def breaks() -> AsyncIterator[bytes]:
    yield b"begun"
    await asyncio.sleep(0.001)
    raise ValueError("on the way")


async def refuses() -> AsyncIterator[bytes]:
    await asyncio.sleep(0)
    raise HTTPError(404, "no such stream")
    yield b""


async def short() -> AsyncIterator[bytes]:
    yield b"one "
    await asyncio.sleep(0)
    yield b"two"


def size(data: Annotated[bytes, Body()]) -> int:
    SEEN["called"] += 1
    return len(data)
'''
STREAMS = ("events", "trickle", "quiet")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    (tmp_path / "streams.py").write_text(HANDLERS)
    names = (*STREAMS, "seen", "breaks", "refuses", "short")
    routes: list[dict[str, Any]]
    routes = [{"path": f"/{name}", "methods": ["GET"], "handler": f"streams:{name}"} for name in names]
    routes.append({"path": "/size", "handler": "streams:size", "limits": {"body": "3MiB"}})
    held = {"use": "fault", "delay": "1ms"}
    routes.append({"path": "/held/short", "handler": "streams:short", "policies": [held]})
    with Gateway({"routes": routes}, cwd=tmp_path, tracebacks=True) as running:
        yield running


def seen(gateway: Gateway, name: str) -> int:
    with gateway.client() as client:
        return int(json.loads(client.ask("GET", "/seen").body)[name])


class TestStreams:
    def test_one_ends_and_the_connection_goes_on(self, gateway: Gateway) -> None:
        with gateway.client() as client:
            client.send(request("GET", "/short"), request("GET", "/short"), request("GET", "/seen"))
            assert [client.response().body for _ in range(2)] == [b"one two"] * 2
            assert client.response().status == 200

    def test_one_that_raises_on_the_way_is_cut(self, gateway: Gateway) -> None:
        for version in ("1.1", "1.0"):
            with gateway.client() as client, pytest.raises((Truncated, ConnectionResetError)):
                client.send(request("GET", "/breaks", version=version)).response()
        assert "ValueError: on the way" in gateway.wait_line("streams:breaks raised")
        eventually(lambda: len(gateway.access_log) == 2, "both are logged")
        assert [each["error"] for each in gateway.access_log] == ["response_cut"] * 2

    def test_one_that_refuses_before_its_first_item_answers_with_that(self, gateway: Gateway) -> None:
        with gateway.client() as client:
            assert client.ask("GET", "/refuses").status == 404

    @pytest.mark.parametrize("name", STREAMS)
    def test_head_is_answered_with_the_head_alone_and_ends_it(self, gateway: Gateway, name: str) -> None:
        with gateway.client() as client:
            answer = client.ask("HEAD", f"/{name}")
            assert (answer.status, answer.body) == (200, b"")
            assert client.ask("GET", "/short").body == b"one two"
        assert seen(gateway, "closed") == 1

    def test_what_follows_a_head_in_one_breath_is_not_taken_for_it(self, gateway: Gateway) -> None:
        """The HEAD ends within its first step, and that is where the next request's stream begins."""
        asked = [request("HEAD", "/held/short"), request("GET", "/short")]
        with gateway.client() as client:
            client.send(b"".join(asked * 3))
            for _ in range(3):
                assert client.response("HEAD").body == b""
                assert client.response().body == b"one two"

    def test_one_that_never_waits_leaves_others_their_turns(self, gateway: Gateway) -> None:
        with gateway.client(record=False) as reader, gateway.client() as other:
            reader.send(request("GET", "/trickle"))
            reader.head()
            thread = threading.Thread(target=drain, args=(reader,), daemon=True)
            thread.start()
            for _ in range(20):
                assert other.ask("GET", "/short").status == 200
            reader.reset()
            thread.join(5)
        eventually(lambda: seen(gateway, "closed") == 1, "it has ended")
        assert "held the loop" not in gateway.stderr

    def test_a_client_that_does_not_read_holds_it_back_and_misses_nothing(self, gateway: Gateway) -> None:
        with gateway.client(rcvbuf=65536, record=False) as client:
            client.send(request("GET", "/events"))
            counts = [0, -1]

            def rests() -> bool:
                counts.append(seen(gateway, "yielded"))
                return counts[-1] == counts[-2] > 0

            eventually(rests, "it waits")
            assert counts[-1] * 10_000 < 8 * MIB
            body = client.reader.response_body(client.head())
            data = b""
            while data.count(b"\n\n") < 3 * counts[-1]:
                data += next(body)
            whole = data.split(b"\n\n")[:-1]
            numbers = [json.loads(each.removeprefix(b"data: "))["n"] for each in whole]
            assert numbers == list(range(1, len(numbers) + 1))

    @pytest.mark.parametrize("name", STREAMS)
    def test_a_client_that_goes_away_ends_it(self, gateway: Gateway, name: str) -> None:
        with gateway.client(record=False) as client:
            client.send(request("GET", f"/{name}"))
            assert client.head().status == 200
            client.reset()
            eventually(lambda: seen(gateway, "closed") == 1, "the iterator is closed")
        eventually(
            lambda: any(each.get("error") == "client_gone" for each in gateway.access_log), "it is logged"
        )


class TestBodies:
    def test_one_in_pieces_is_taken_whole(self, gateway: Gateway) -> None:
        with gateway.client() as client:
            client.send(
                request("POST", "/size", [("Transfer-Encoding", "chunked")]),
                *[chunk(b"x" * 1000) for _ in range(100)],
                LAST_CHUNK,
            )
            assert client.response().body == b"100000"

    def test_one_that_is_too_large_is_refused_as_it_comes(self, gateway: Gateway) -> None:
        with gateway.client() as client:
            client.send(request("POST", "/size", [("Content-Length", str(4 * MIB))]))
            assert client.response().status == 413
        with gateway.client() as client:
            client.send(request("POST", "/size", [("Transfer-Encoding", "chunked")]))
            for _ in range(3):
                client.send(chunk(b"x" * MIB))
            client.send(chunk(b"x"))
            assert client.response().status == 413
        assert seen(gateway, "called") == 0

    def test_one_that_never_ends_calls_nobody(self, gateway: Gateway) -> None:
        client = gateway.client()
        client.send(request("POST", "/size", [("Content-Length", "10")]), b"12345")
        client.reset()
        eventually(lambda: any(each["route"] == "/size" for each in gateway.access_log), "it is logged")
        assert seen(gateway, "called") == 0

    def test_a_client_that_asks_for_leave_is_given_it(self, gateway: Gateway) -> None:
        with gateway.client() as client:
            client.send(request("POST", "/size", [("Content-Length", "4"), ("Expect", "100-continue")]))
            assert client.head().status == 100
            assert client.send(b"1234").response().body == b"4"


def drain(client: Client) -> None:
    try:
        while client.sock.recv(65536):
            pass
    except OSError:
        pass
