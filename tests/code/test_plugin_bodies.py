"""`on_body` that waits: pieces keep their order, the source is held, and who leaves is let go."""

import asyncio
import gzip
import random
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.code.test_plugins import config
from tests.harness import LAST_CHUNK, Gateway, Upstream, answers, chunk, eventually, leaks
from tests.harness.gateway import ROOT, routed
from tetrapylon import HTTPError, Request, Response
from tetrapylon.testing import running

HERE = "tests.code.test_plugin_bodies"
THREADS: set[str] = set()


def use(kind: type, **settings: Any) -> dict[str, Any]:
    return {"use": f"{HERE}:{kind.__name__}", **settings}


class Slow:
    """Waits for as many turns of the loop as each piece asks for."""

    async def on_body(self, request: Request, piece: bytes) -> bytes | None:
        for _ in range(piece[0] % 4):
            await asyncio.sleep(0)
        return None if piece[0] % 2 else b"<" + piece + b">"


class Last:
    async def on_body(self, request: Request, piece: bytes) -> bytes | None:
        await asyncio.sleep(0.001)
        return piece + b"."


class Passes:
    async def on_body(self, request: Request, piece: bytes) -> None:
        await asyncio.sleep(0.001)


class Threaded:
    def on_body(self, request: Request, piece: bytes) -> bytes:
        THREADS.add(threading.current_thread().name)
        return piece.upper()


class Greets:
    async def on_response_head(self, request: Request, response: Response) -> None:
        await asyncio.sleep(0.001)
        response.headers["X-Greeted"] = "yes"


class Whole:
    def on_response(self, request: Request, response: Response) -> None:
        response.body = bytes(response.body or b"") + b"!"


class Refuses:
    async def on_response(self, request: Request, response: Response) -> None:
        await asyncio.sleep(0.001)
        raise HTTPError(403, "not this one")


class Breaks:
    class Settings(msgspec.Struct, frozen=True):
        how: str

    def __init__(self, settings: Settings) -> None:
        self.how = settings.how

    async def on_body(self, request: Request, piece: bytes) -> Any:
        try:
            await asyncio.sleep(60 if self.how == "hangs" else 0)
        except asyncio.CancelledError:
            print("let go", file=sys.stderr)
            raise
        if self.how == "raises":
            raise KeyError("secret")
        return 17


def pieces(*said: bytes) -> Any:
    def up(request: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            for piece in said:
                yield piece

        return Response(stream())

    return up


def marked(said: list[bytes]) -> bytes:
    return b"".join(piece if piece[0] % 2 else b"<" + piece + b">" for piece in said)


class TestOrder:
    def test_pieces_leave_in_the_order_in_which_they_came(self) -> None:
        said = [b"3one", b"0two", b"2three", b"1four", b"4five"]
        with running(config(use(Slow)), up=pieces(*said)) as served:
            for _ in range(3):
                assert served.get("/").body == marked(said)

    def test_two_plugins_may_wait_one_behind_the_other(self) -> None:
        said = [b"3one", b"2two", b"1three"]
        with running(config(use(Last), use(Slow)), up=pieces(*said)) as served:
            assert served.get("/").body == b"3one.<2two>.1three."

    def test_one_that_waits_stands_behind_a_filter_that_keeps_the_rest_to_the_end(self) -> None:
        """`compress` emits what it still has when the body ends: then the end itself has to wait."""
        text = random.Random(4).randbytes(3000).hex()
        policies = [use(Passes), {"use": "compress", "min_size": 1}]
        with running(config(*policies), up=lambda request: Response(text)) as served:
            answer = served.get("/", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.body).decode() == text

    def test_one_that_waits_stands_behind_a_filter_that_makes_many_pieces_of_one(self) -> None:
        """`decompress` does: what the upstream says while all of these are waited for is not lost."""
        text = random.Random(5).randbytes(1000).hex() * 400
        coded = gzip.compress(text.encode())
        half = len(coded) // 2
        said = chunk(coded[:half]) + chunk(coded[half:]) + LAST_CHUNK
        script = answers.raw(answers.chunked_head(headers=[("Content-Encoding", "gzip")]) + said)
        with Upstream(script) as upstream:
            policies = [use(Passes), {"use": "decompress", "max_ratio": 10_000}]
            with gateway(upstream.url, *policies) as served, served.client() as client:
                assert client.ask().body.decode() == text

    def test_an_answer_of_the_gateways_own_passes_too(self) -> None:
        route = {"path": "/", "respond": {"body": "pong"}, "policies": [use(Last)]}
        with running({"routes": [route]}) as served:
            assert served.get("/").body == b"pong."

    @pytest.mark.parametrize("between", [[], [Last]], ids=["alone", "with pieces"])
    def test_a_body_that_is_wanted_whole_behind_one_that_waited_for_the_head_is_read_on(
        self, between: list[type]
    ) -> None:
        """The upstream was paused while the head was waited for, and is to be read on."""
        gate = threading.Event()
        script = answers.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", gate, b"first", b".")
        with (
            Upstream(script) as upstream,
            gateway(upstream.url, use(Whole), use(Greets), *map(use, between)) as served,
            served.client() as client,
        ):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.is_idle()
            gate.set()
            answer = client.response()
            assert answer.headers.get("X-Greeted") == "yes"
            assert answer.body.startswith(b"first.")
            assert answer.body.endswith(b"!")

    def test_in_a_thread_too(self) -> None:
        THREADS.clear()
        with running(config(use(Threaded, run_in="thread")), up=pieces(b"a", b"b")) as served:
            assert served.get("/").body == b"AB"
        assert THREADS
        assert threading.main_thread().name not in THREADS


class TestFailures:
    @pytest.mark.parametrize("how", ["raises", "rubbish", "hangs"])
    def test_the_answer_is_cut_or_goes_on(self, how: str, capfd: pytest.CaptureFixture[str]) -> None:
        policy = use(Breaks, how=how, timeout="30ms")
        with running(config(policy), up=pieces(b"one", b"two")) as served:
            for _ in range(2):
                with pytest.raises(ConnectionAbortedError):
                    served.get("/")
        assert f"plugin {HERE}:Breaks" in capfd.readouterr().err
        with running(config({**policy, "on_error": "continue"}), up=pieces(b"one", b"two")) as served:
            assert served.get("/").body == b"onetwo"


def test_trailers_go_with_the_response_that_they_belong_to() -> None:
    """What takes its place has none, also where it is sent in chunks as well."""
    trailers = [("X-Last", "the upstream's")]
    with Upstream(answers.chunked(b"whole", trailers=trailers)) as upstream:
        with gateway(upstream.url, use(Passes)) as served, served.client() as client:
            assert client.ask().trailers == trailers
        with gateway(upstream.url, use(Passes), use(Refuses)) as served, served.client() as client:
            answer = client.ask()
            assert (answer.status, answer.headers.get("Transfer-Encoding")) == (403, "chunked")
            assert answer.trailers == []


def gateway(target: str, *policies: dict[str, Any]) -> Gateway:
    routes: list[dict[str, Any]] = [
        {"path": "/", "upstream": "backend", "policies": list(policies)},
        {"path": "/ping", "respond": {}},
    ]
    return Gateway(routed(routes, target), env={"PYTHONPATH": str(ROOT)})


class TestFlow:
    def test_an_upstream_is_read_no_faster_than_the_plugin_takes_it(self) -> None:
        size = 16 << 20
        with (
            Upstream(answers.sized(size)) as upstream,
            gateway(upstream.url, use(Passes)) as served,
            served.client() as client,
        ):
            before = leaks.pss(served.workers[0])
            assert len(client.ask().body) == size
            assert leaks.pss(served.workers[0]) - before < size / 4

    def test_who_leaves_while_the_plugin_waits_is_let_go(self) -> None:
        with (
            Upstream(answers.ok) as upstream,
            gateway(upstream.url, use(Breaks, how="hangs", timeout="60s")) as served,
        ):
            with served.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                client.head()
                client.reset()
            served.wait_line("let go")
            eventually(lambda: served.established() <= 1, "only the upstream's connection is kept")
            with served.client() as client:
                assert client.ask("GET", "/ping").status == 200
