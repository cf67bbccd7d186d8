"""Plugins across a reload: the new begin before they serve, the same live on, who waits ends as it began."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers, eventually
from tests.harness.load import load

PLUGIN = """\
import asyncio
import sys

import msgspec

GATES = {}


class Named:
    class Settings(msgspec.Struct, frozen=True):
        name: str
        fails: bool = False

    def __init__(self, settings):
        self.settings = settings
        self.count = 0

    def on_start(self, shared):
        print(f"start {self.settings.name}", file=sys.stderr, flush=True)
        if self.settings.fails:
            raise OSError("no database")

    def on_stop(self, shared):
        print(f"stop {self.settings.name}", file=sys.stderr, flush=True)

    async def on_request(self, request):
        self.count += 1
        gate = request.headers.get("X-Gate")
        if gate == "wait":
            GATES["gate"] = asyncio.Event()
            print("waits", file=sys.stderr, flush=True)
            await GATES["gate"].wait()
        elif gate == "open":
            GATES["gate"].set()

    def on_response_head(self, request, response):
        response.headers["X-Named"] = f"{self.settings.name} {self.count}"
"""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answers.ok) as served:
        yield served


def config(upstream: Upstream, *routes: str, **plugin: Any) -> dict[str, Any]:
    policy = {"use": "named:Named", **plugin}
    return {
        "admin": {"listen": "127.0.0.1:0"},
        "upstreams": {"backend": {"targets": [upstream.url]}},
        "routes": [{"path": path, "upstream": "backend", "policies": [policy]} for path in ("/", *routes)],
    }


@pytest.fixture
def code(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "named.py").write_text(PLUGIN)
    return {"PYTHONPATH": str(tmp_path)}


def named(gateway: Gateway, **headers: str) -> str | None:
    with gateway.client() as client:
        lines = [(f"X-{name.title()}", value) for name, value in headers.items()]
        return client.ask(headers=lines).headers.get("X-Named")


def reload(gateway: Gateway, config: dict[str, Any], outcome: str) -> None:
    seen = len(gateway.lines)
    gateway.write(config)
    gateway.signal(signal.SIGHUP)
    eventually(lambda: any(outcome in line for line in gateway.lines[seen:]), outcome)


def test_new_settings_are_a_new_plugin_that_begins_before_it_serves(
    upstream: Upstream, code: dict[str, str]
) -> None:
    with Gateway(config(upstream, name="one"), env=code) as gateway:
        assert named(gateway) == "one 1"
        with load(gateway.address):
            reload(gateway, config(upstream, name="two"), "applied, generation 2")
        told = named(gateway)
        assert told is not None
        assert told.startswith("two ")
        lines = gateway.lines
        assert next(i for i, line in enumerate(lines) if "start two" in line) < next(
            i for i, line in enumerate(lines) if "applied, generation 2" in line
        )


def test_one_whose_settings_stay_keeps_what_it_has(upstream: Upstream, code: dict[str, str]) -> None:
    with Gateway(config(upstream, name="one"), env=code) as gateway:
        assert named(gateway) == "one 1"
        reload(gateway, config(upstream, "/more", name="one"), "applied, generation 2")
        assert named(gateway) == "one 2"
        assert sum("start one" in line for line in gateway.lines) == 1


def test_a_request_that_waits_ends_with_the_plugin_that_it_began_with(
    upstream: Upstream, code: dict[str, str]
) -> None:
    with Gateway(config(upstream, name="one"), env=code) as gateway, gateway.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Gate: wait\r\n\r\n")
        gateway.wait_line("waits")
        reload(gateway, config(upstream, name="two"), "applied, generation 2")
        assert named(gateway, gate="open") == "two 1"
        assert client.response().headers.get("X-Named") == "one 1"


def test_one_that_cannot_begin_leaves_the_old_one_in_force(upstream: Upstream, code: dict[str, str]) -> None:
    with Gateway(config(upstream, name="one"), env=code, tracebacks=True) as gateway:
        reload(gateway, config(upstream, name="two", fails=True), "no database")
        gateway.wait_line("generation 1 stays in force")
        assert named(gateway) == "one 1"
        assert "stop two" not in gateway.lines  # it never began
        reload(gateway, config(upstream, name="two"), "applied, generation 2")
        assert named(gateway) == "two 1"


def test_all_are_stopped_with_their_worker(upstream: Upstream, code: dict[str, str]) -> None:
    with Gateway(config(upstream, name="one"), env=code) as gateway:
        reload(gateway, config(upstream, name="two"), "applied, generation 2")
        assert gateway.stop() == 0
        assert [line for line in gateway.lines if line.startswith("stop")] == ["stop two", "stop one"]
