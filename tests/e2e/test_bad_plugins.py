"""A plugin that misbehaves on one route, under load: the other routes lose nothing.

What others would lose is told by what they have in the same run beside a route without the plugin.
"""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.harness import Client, Gateway, Upstream, answers, ask, eventually, request
from tests.harness.load import load

ROUNDS = 40
POOLED = 8
"""Connections to the upstream that may stay: as many as there were requests at once, and some."""
NOISE = 0.02
"""Seconds by which two medians of a busy machine may differ."""
PLUGINS = '''\
import asyncio
import time

from tetrapylon import ExchangeOver, Request

KEPT = []
LATE = {"refused": 0, "reached": 0}


class Raises:
    def on_request(self, request):
        raise KeyError("lost")


class RaisesLate:
    async def on_response_head(self, request, response):
        await asyncio.sleep(0.001)
        raise KeyError("lost")


class Hangs:
    async def on_request(self, request):
        await asyncio.Event().wait()


class Leaks:
    def on_request(self, request):
        KEPT.append((request, request.headers, bytes(4096), asyncio.get_running_loop().create_future()))


class Rubbish:
    def on_request(self, request):
        return {"status": 200}


class RubbishHead:
    def on_response_head(self, request, response):
        response.headers["X-Broken"] = "a\\r\\nX-Smuggled: yes"


class Exits:
    def on_request(self, request):
        raise SystemExit(3)


class Blocks:
    def on_request(self, request):
        time.sleep(0.2)


class Late:
    """Calls back into an exchange that has ended, when others have taken its place."""

    def on_request(self, request):
        if request.path == "/bad/told":
            from tetrapylon import Response

            return Response(LATE)
        KEPT.append(asyncio.ensure_future(self.later(request)))

    async def later(self, request):
        await asyncio.sleep(0.05)
        for touch in (lambda: request.path, lambda: request.headers.add("X-Late", "yes"), request.json):
            try:
                touch()
                LATE["reached"] += 1
            except ExchangeOver:
                LATE["refused"] += 1
'''


@contextmanager
def beside(plugin: str, directory: Path, **settings: object) -> Iterator[Gateway]:
    """A gateway with one worker, whose route /bad has the plugin, and /good has none."""
    (directory / "bad_plugins.py").write_text(PLUGINS)
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(answers.each(answers.echo_of)))
        bad = {"use": f"bad_plugins:{plugin}", **settings}
        config = {
            "admin": {"listen": "127.0.0.1:0"},
            "upstreams": {"up": {"targets": [upstream.url]}},
            "routes": [
                {"path": "/good", "upstream": "up"},
                {"path": "/plain/x", "upstream": "up"},
                {"path": "/bad/{rest:path}", "upstream": "up", "policies": [bad]},
            ],
        }
        yield stack.enter_context(Gateway(config, env={"PYTHONPATH": str(directory)}, tracebacks=True))


def counted(gateway: Gateway, name: str, plugin: str) -> float:
    assert gateway.admin is not None
    with urlopen(f"http://{gateway.admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    label = f'{name}{{code="plugin bad_plugins:{plugin}"}} '
    return sum(float(line.removeprefix(label)) for line in text.splitlines() if line.startswith(label))


def hammer(gateway: Gateway, status: int, rounds: int = ROUNDS, *, lost: float = 0.0) -> None:
    """The bad route is asked while the good one is under load.

    Not one request of the good one may fail, and each takes as long as beside a route without the plugin, or
    `lost` seconds more.
    """
    plain: list[float] = []
    bad: list[float] = []
    with (
        load(gateway.address, "/good") as loads,
        Client(gateway.address) as good,
        Client(gateway.address) as client,
    ):
        before = sum(each.answered for each in loads)
        for _ in range(rounds):
            for path, expected, took in (("/plain/x", 200, plain), ("/bad/x", status, bad)):
                client.send(request("GET", path))
                began = time.monotonic()
                assert good.ask("GET", "/good").status == 200
                took.append(time.monotonic() - began)
                answer = client.response()
                assert answer.status == expected
                assert answer.headers.get("X-Smuggled") is None
        eventually(lambda: sum(each.answered for each in loads) > before, "others are served")
    usual, beside_it = statistics.median(plain), statistics.median(bad)
    assert beside_it <= 2 * usual + NOISE + lost, f"{beside_it:.4f} s beside it, {usual:.4f} s without"


@pytest.mark.parametrize(
    ("plugin", "status"),
    [
        ("Raises", 500),
        ("RaisesLate", 500),
        ("Rubbish", 500),
        ("RubbishHead", 500),
        ("Exits", 500),
    ],
)
def test_one_that_fails_is_named_and_counted(plugin: str, status: int, tmp_path: Path) -> None:
    with beside(plugin, tmp_path) as gateway:
        hammer(gateway, status)
        assert counted(gateway, "tetrapylon_code_errors_total", plugin) == ROUNDS
        assert f"plugin bad_plugins:{plugin} raised" in gateway.stderr
        assert "bad_plugins.py" in gateway.stderr or plugin == "Rubbish"


def test_one_that_hangs_holds_its_own_request_alone(tmp_path: Path) -> None:
    with beside("Hangs", tmp_path, timeout="30ms") as gateway:
        hammer(gateway, 504)
        assert counted(gateway, "tetrapylon_code_timeouts_total", "Hangs") == ROUNDS


def test_one_that_leaks_keeps_neither_connections_nor_what_others_ask(tmp_path: Path) -> None:
    with beside("Leaks", tmp_path) as gateway:
        hammer(gateway, 200)
        eventually(lambda: gateway.established() <= POOLED, "the clients' connections are closed")
        for _ in range(10 * ROUNDS):
            assert ask(gateway.address, "GET", "/bad/x").status == 200
        eventually(lambda: gateway.established() <= POOLED, "none is held by what was kept")
        assert counted(gateway, "tetrapylon_code_errors_total", "Leaks") == 0


def test_one_that_comes_back_too_late_reaches_no_other_exchange(tmp_path: Path) -> None:
    with beside("Late", tmp_path) as gateway:
        hammer(gateway, 200)
        told: dict[str, int] = {}

        def settled() -> bool:
            with Client(gateway.address) as client:
                told.update(json.loads(client.ask("GET", "/bad/told").body))
            return told["refused"] + told["reached"] >= 3 * ROUNDS

        eventually(settled, "all have come back")
        assert told == {"refused": 3 * ROUNDS, "reached": 0}


def test_one_that_blocks_costs_time_that_is_named(tmp_path: Path) -> None:
    rounds = 5
    with beside("Blocks", tmp_path) as gateway:
        hammer(gateway, 200, rounds, lost=0.2)
        assert counted(gateway, "tetrapylon_code_blocked_total", "Blocks") == rounds
        assert counted(gateway, "tetrapylon_code_blocked_seconds_total", "Blocks") >= 0.2 * rounds
        assert "plugin bad_plugins:Blocks held the loop for 2" in gateway.stderr


@pytest.mark.parametrize("where", ["thread", "process"])
def test_one_that_blocks_elsewhere_costs_others_nothing(where: str, tmp_path: Path) -> None:
    with beside("Blocks", tmp_path, run_in=where) as gateway:
        hammer(gateway, 200, 5)
        assert counted(gateway, "tetrapylon_code_blocked_total", "Blocks") == 0
        assert "held the loop" not in gateway.stderr
