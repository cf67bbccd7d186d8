"""New code of an app that imports but does not come to serve: the old serves on until it does."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.apps.shop import answer_of, ask, config, line
from tests.harness.gateway import Gateway
from tests.harness.load import load
from tests.harness.wait import eventually as holds

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

eventually = partial(holds, within=90.0)
"""Processes start, and import what they serve: on a busy machine that takes its time."""

FAILS = """
async def app(scope, receive, send):
    await receive()
    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})
"""
EXITS = """
import os
async def app(scope, receive, send):
    print("no licence", flush=True)
    os._exit(5)
"""
HANGS = """
import asyncio
async def app(scope, receive, send):
    await asyncio.Event().wait()
"""
SECOND = """
import os
from pathlib import Path
mark = Path(__file__).with_name("imported")
if mark.exists():
    raise RuntimeError("it is imported already")
mark.touch()
def app(environ, start_response): ...
"""
"""It can be imported once: by whoever tries it out."""

WAYS = {
    "fails": ("asgi", FAILS, "exited with status 3: its startup failed: no database"),
    "exits": ("asgi", EXITS, "exited with status 5"),
    "hangs": ("asgi", HANGS, "does not serve 10 s after its start (`startup`)"),
    "does not import again": ("wsgi", SECOND, "code raised RuntimeError: it is imported already"),
}
ways = pytest.mark.parametrize("way", WAYS)


class Running:
    def __init__(self, gateway: Gateway, code: Path, good: str) -> None:
        self.gateway, self.code, self.good = gateway, code, good

    def write(self, text: str) -> None:
        new = self.code.with_suffix(".new")
        new.write_text(text)
        new.replace(self.code)

    def mend(self, version: int) -> None:
        self.write(self.good.replace("VERSION = 1", f"VERSION = {version}"))

    def version(self, app: str = "app") -> str:
        return str(answer_of(self.gateway, app)["version"])

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.gateway.operate("/apps").body)
        return found


@contextmanager
def running(shop: Path, kind: str, *arguments: str, **app: Any) -> Iterator[Running]:
    """An app whose code is about to change, and another one."""
    code = shop / "code.py"
    good = (shop / "hosted.py").read_text()
    if kind == "asgi":
        good = good.replace("def app(", "def classic(").replace("async def modern(", "async def app(")
    code.write_text(good)
    apps = {"app": {kind: "code:app", "startup": "10s", "folder": str(shop), **app}}
    other = {"wsgi": "hosted:app", "folder": str(shop)}
    with Gateway(
        config("127.0.0.1:0", **apps, other=other), *arguments, cwd=shop, tracebacks=True
    ) as gateway:
        yield Running(gateway, code, good)


def lag(told: str, number: int, why: str) -> None:
    assert told.startswith("app app: ") or " app app: " in told
    assert f"0 of {number} processes of the new code serve: " in told
    assert why in told
    assert "the old code serves on" in told
    assert "mend the app" in told


LAGS = "of the new code serve: "


@ways
def test_usr2_keeps_the_old_processes_of_such_an_app_and_replaces_all_else(shop: Path, way: str) -> None:
    kind, broken, why = WAYS[way]
    with running(shop, kind) as app, load(app.gateway.address, "/app/a"):
        before = {name: answer_of(app.gateway, name)["pid"] for name in ("app", "other")}
        family = set(app.gateway.workers)
        app.write(broken)
        app.gateway.signal(signal.SIGUSR2)
        lag(line(app.gateway, LAGS, within=90), 1, why)
        eventually(lambda: answer_of(app.gateway, "other")["pid"] != before["other"], "the other one is new")
        assert answer_of(app.gateway, "app")["pid"] == before["app"]
        eventually(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in family - kept(family, before["app"])),
            "all other processes are new",
        )
        told = app.told()["app"]
        assert (told["up"], told["outdated"]) == (1, True)
        assert why in told["last_end"]
        assert not app.told()["other"].get("outdated")
        app.mend(2)
        line(app.gateway, "app app: the new code serves; the old ends", within=90)
        eventually(lambda: app.version() == "2", "the new code answers")
        eventually(lambda: not kept(family, before["app"]), "nothing of the old is left")
        assert not app.told()["app"].get("outdated")
        assert sum(LAGS in each for each in app.gateway.lines) == 1, "it is said once"


def kept(family: set[int], app: str) -> set[int]:
    """Of these processes, the app's, its server's and its host's."""
    found, pid = set(), int(app)
    while pid in family and Path(f"/proc/{pid}").exists():
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


@ways
def test_a_change_of_code_keeps_the_old_processes_of_such_an_app(shop: Path, way: str) -> None:
    kind, broken, why = WAYS[way]
    if way == "does not import again":
        (shop / "imported").touch()  # nobody tries it out before
    with running(shop, kind, "--watch") as app, load(app.gateway.address, "/app/a"):
        before = answer_of(app.gateway, "app")["pid"]
        changed(app, lambda: app.write(broken), lambda: why in app.gateway.stderr)
        eventually(
            lambda: any(why in each and "; 1 of 1 serve; next try in" in each for each in app.gateway.lines),
            "it is said why, and that it serves",
        )
        assert answer_of(app.gateway, "app")["pid"] == before
        changed(app, lambda: app.mend(2), lambda: app.version() == "2")


def changed(app: Running, write: Callable[[], None], seen: Callable[[], bool]) -> None:
    """Nothing tells when a folder has begun to be watched: it is written again until that is noticed."""
    noticed = "app app: its code has changed"
    before = sum(noticed in each for each in app.gateway.lines)
    looks = 0

    def look() -> bool:
        nonlocal looks
        if looks % 400 == 0:
            write()
        looks += 1
        return sum(noticed in each for each in app.gateway.lines) > before

    eventually(look, "it is noticed")
    eventually(seen, "it is acted on")


def test_usr2_again_while_the_old_stands_in(shop: Path) -> None:
    kind, broken, _ = WAYS["fails"]
    with running(shop, kind, processes=2) as app, load(app.gateway.address, "/app/a"):
        app.write(broken)
        for _ in range(3):
            seen = sum(LAGS in each for each in app.gateway.lines)
            other = answer_of(app.gateway, "other")["pid"]
            app.gateway.signal(signal.SIGUSR2)

            def over(other: str = other, seen: int = seen) -> bool:
                new = answer_of(app.gateway, "other")["pid"] != other
                return new and sum(LAGS in each for each in app.gateway.lines) > seen

            eventually(over, "the other app is new, and this one is named again")
            eventually(lambda: settled(app), "the old workers have gone")
            assert app.version() == "1"
        family = set(app.gateway.workers)
        app.mend(2)
        app.gateway.signal(signal.SIGUSR2)
        eventually(lambda: app.version() == "2", "the new code answers")
        eventually(lambda: not family & set(app.gateway.workers), "nothing of the old is left")
        eventually(
            lambda: app.told().get("app", {}).get("up") == 2 and hosts(app.gateway) == 1,
            "one host is left, with both",
        )
        text = app.gateway.operate("/metrics").body.decode()
        assert 'tetrapylon_app_processes{app="app"} 2' in text
        assert 'tetrapylon_app_processes{app="other"} 1' in text


def settled(app: Running) -> bool:
    """No order is under way: two hosts, one worker, and the control process."""
    own = [pid for pid in app.gateway.workers if parent(pid) == app.gateway.pid]
    return len(own) == 4


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def hosts(gateway: Gateway) -> int:
    """Processes that run servers of apps."""
    servers = [
        pid for pid in gateway.workers if Path(f"/proc/{pid}").exists() and parent(parent(pid)) == gateway.pid
    ]
    return len({parent(pid) for pid in servers})


def lagging(app: Running, broken: str) -> str:
    """USR2 with that code; the pid of the old process."""
    before = str(answer_of(app.gateway, "app")["pid"])
    other = answer_of(app.gateway, "other")["pid"]
    app.write(broken)
    app.gateway.signal(signal.SIGUSR2)
    line(app.gateway, LAGS, within=90)
    eventually(lambda: settled(app), "the old workers have gone")
    eventually(lambda: answer_of(app.gateway, "other")["pid"] != other, "the other one is new")
    assert answer_of(app.gateway, "app")["pid"] == before
    return before


def test_one_that_a_reload_takes_away_ends_in_its_old_process_too(shop: Path) -> None:
    with running(shop, "asgi") as app:
        before = lagging(app, FAILS)
        app.gateway.write(config("127.0.0.1:0", other={"wsgi": "hosted:app", "folder": str(shop)}))
        app.gateway.signal(signal.SIGHUP)
        eventually(lambda: not Path(f"/proc/{before}").exists(), "it has ended")
        assert ask(app.gateway, "/app/a")[0] == 404
        assert ask(app.gateway, "/other/a")[0] == 200
        eventually(lambda: hosts(app.gateway) == 1, "and its host")


def test_the_old_process_ends_with_the_gateway_after_the_last_request(shop: Path, run: Path) -> None:
    with running(shop, "asgi") as app:
        before = lagging(app, FAILS)
        with app.gateway.client(timeout=20) as client:
            client.send(b"GET /app/trickle HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.head().status == 200
            app.gateway.signal(signal.SIGTERM)
            assert client.until_eof().endswith(b"1\r\nx\r\n0\r\n\r\n")
        app.gateway.wait()
    assert not Path(f"/proc/{before}").exists()


def test_the_old_process_ends_where_the_supervisor_is_killed(shop: Path) -> None:
    with running(shop, "asgi") as app:
        before = lagging(app, FAILS)
        os.kill(app.gateway.pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{before}").exists(), "it has ended")
        app.gateway.wait()
        app.gateway.process.returncode = 0  # which is not what is tested here


def test_an_old_host_that_dies_takes_its_apps_along_and_is_said(shop: Path) -> None:
    with running(shop, "asgi") as app:
        before = lagging(app, FAILS)
        os.kill(parent(int(before)), signal.SIGKILL)
        line(app.gateway, "old host of apps (pid ")
        eventually(lambda: ask(app.gateway, "/app/a")[0] == 503, "nobody serves it")
        assert ask(app.gateway, "/other/a")[0] == 200
        app.mend(2)
        eventually(lambda: ask(app.gateway, "/app/a")[0] == 200 and app.version() == "2", "the new code")
