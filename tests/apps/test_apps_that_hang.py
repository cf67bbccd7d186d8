"""A request's whole life counts: from the call to the last piece, but for what its client takes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.apps.shop import answer_of, ask, config, line
from tests.harness.client import request
from tests.harness.gateway import Gateway
from tests.harness.wait import eventually as holds

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

eventually = partial(holds, within=30.0)
"""Processes start, and import what they serve: on a busy machine that takes its time."""

WSGI: dict[str, Any] = {"wsgi": "hosted:app", "timeout": "1s", "drain": "1s"}
ASGI: dict[str, Any] = {"asgi": "hosted:modern", "timeout": "1s", "drain": "1s"}
BOTH = pytest.mark.parametrize("app", [WSGI, ASGI], ids=["wsgi", "asgi"])


def said(gateway: Gateway, word: str) -> bool:
    return any(word in each for each in gateway.lines)


@BOTH
def test_one_that_hangs_after_its_response_has_begun(shop: Path, app: dict[str, Any]) -> None:
    """The gateway's own timeouts end it for the client; that the app is at it still is seen in the app."""
    hanging = config(app={**app, "timeouts": {"idle": "500ms"}})
    with Gateway(hanging, cwd=shop, tracebacks=True) as gateway:
        before = answer_of(gateway, "app")["pid"]
        with gateway.client(timeout=20) as client:
            client.send(request("GET", "/app/hang-later"))
            assert client.head().status == 200
            client.until_eof()
        told = line(gateway, "GET /hang-later has stood still for 1 s: the lines before this say where")
        assert f"app app (pid {before if app is ASGI else ''}" in told
        assert said(gateway, "NEVER.wait()" if app is WSGI else "asyncio.Event().wait()")
        assert "serves in the place of pid" in line(gateway, ", which has done no work for 1 s")
        eventually(lambda: answer_of(gateway, "app")["pid"] != before, "another serves in its place")
        assert ask(gateway, "/ping")[:2] == (200, "pong")


@BOTH
def test_one_whose_python_does_not_run_any_more(shop: Path, app: dict[str, Any]) -> None:
    """A regular expression that backtracks for ever holds the interpreter, and so all threads."""
    hanging = config(app={**app, "timeouts": {"response": "500ms"}})
    with Gateway(hanging, cwd=shop, tracebacks=True) as gateway:
        before = answer_of(gateway, "app")["pid"]
        assert ask(gateway, "/app/backtrack")[0] == 504
        assert "serves in the place of pid" in line(gateway, ", which did not run any Python for")
        assert said(gateway, 'hosted.py", line'), "it is said where"
        eventually(lambda: answer_of(gateway, "app")["pid"] != before, "another serves in its place")
        line(gateway, "has not ended in time; killing it")


def test_one_that_has_put_others_in_the_place_of_what_watches_it(shop: Path) -> None:
    """As a library of green threads does, and one that logs what goes to `sys.stderr`."""
    (shop / "patched.py").write_text(
        "import io, sys, threading, time\n"
        "from hosted import app\n"
        "sys.stderr = io.StringIO()\n"
        "time.sleep = threading.get_ident = lambda *_: 1\n"
    )
    app = {**WSGI, "wsgi": "patched:app", "threads": 2}
    with Gateway(config(app=app), cwd=shop) as gateway:
        before = answer_of(gateway, "app")["pid"]
        with gateway.client(timeout=20) as client:
            client.send(request("GET", "/app/hang"))
            line(gateway, "GET /hang has stood still for 1 s")
        assert said(gateway, "NEVER.wait()")
        assert answer_of(gateway, "app")["pid"] == before
        with gateway.client(timeout=20) as client:
            client.send(request("GET", "/app/hang"))
            assert "serves in the place of pid" in line(gateway, ", which has done no work for 1 s")


@BOTH
def test_one_that_is_slow_and_moves_does_not_hang(shop: Path, app: dict[str, Any]) -> None:
    with Gateway(config(app=app), cwd=shop) as gateway:
        before = answer_of(gateway, "app")["pid"]
        assert ask(gateway, "/app/trickle")[:2] == (200, "x" * 12)
        assert answer_of(gateway, "app")["pid"] == before
    assert not said(gateway, "stood still")
    assert not said(gateway, "no work")


def test_pieces_that_are_written_are_a_move_too(shop: Path) -> None:
    with Gateway(config(app=WSGI), cwd=shop) as gateway:
        assert ask(gateway, "/app/write")[:2] == (200, "x" * 12)
    assert not said(gateway, "stood still")


@BOTH
def test_a_client_that_sends_slowly_is_no_hang(shop: Path, app: dict[str, Any]) -> None:
    with Gateway(config(app=app), cwd=shop) as gateway, gateway.client(timeout=20) as client:
        client.send(request("POST", "/app/read", [("Content-Length", "3")]))
        for _ in range(3):
            time.sleep(1.2)  # beyond what the app may stand still
            client.send(b"x")
        assert client.response().body == b"3"
    assert not said(gateway, "stood still")


def test_a_client_that_reads_slowly_is_no_hang(shop: Path) -> None:
    with Gateway(config(app=WSGI), cwd=shop) as gateway:
        before = answer_of(gateway, "app")["pid"]
        with gateway.client(timeout=20, rcvbuf=65536, record=False) as client:
            client.send(request("GET", "/app/lots"))
            assert client.head().status == 200
            time.sleep(3)  # three times what the app may stand still
        eventually(lambda: answer_of(gateway, "app")["pid"] == before, "the client has gone")
    assert not said(gateway, "stood still")


def test_a_silent_stream_whose_client_waits_is_no_hang(shop: Path) -> None:
    """An event stream says nothing as long as nothing happens."""
    app = {**ASGI, "timeouts": {"idle": "none"}}
    with (
        Gateway(config(app=app), cwd=shop, tracebacks=True) as gateway,
        gateway.client(timeout=20) as client,
    ):
        before = answer_of(gateway, "app")["pid"]
        client.send(request("GET", "/app/hang-later"))
        assert client.head().status == 200
        assert client.reader.exactly(6) == b"1\r\nx\r\n"
        assert client.is_idle(3.0)
        assert not said(gateway, "stood still")
        assert answer_of(gateway, "app")["pid"] == before
        client.reset()
        line(gateway, "GET /hang-later has stood still for 1 s")


@pytest.mark.parametrize("path", ["/hang", "/hang-later"])
def test_one_thread_of_two_is_named_and_the_other_serves_on(shop: Path, path: str) -> None:
    app = {**WSGI, "threads": 2, "timeouts": {"response": "3s", "idle": "3s"}}
    with Gateway(config(app=app), cwd=shop) as gateway:
        before = answer_of(gateway, "app")["pid"]
        with gateway.client() as client:
            client.send(request("GET", f"/app{path}?key=secret"))
            line(gateway, f"GET {path} has stood still for 1 s")
        told = line(gateway, f"GET {path} has stood still for 1 s")
        assert "secret" not in told
        assert said(gateway, "NEVER.wait()")
        assert answer_of(gateway, "app")["pid"] == before
        assert sum("has stood still" in each for each in gateway.lines) == 1, "it is told once"


def test_one_of_many_requests_is_named_and_the_others_go_on(shop: Path) -> None:
    app = {**ASGI, "timeouts": {"idle": "500ms"}}
    with Gateway(config(app=app), cwd=shop, tracebacks=True) as gateway:
        before = answer_of(gateway, "app")["pid"]
        with gateway.client(timeout=20) as client:
            client.send(request("GET", "/app/hang-later"))
            client.until_eof()

        def named() -> bool:
            assert answer_of(gateway, "app")["pid"] == before
            return said(gateway, "GET /hang-later has stood still for 1 s")

        eventually(named, "it is named")
        assert not said(gateway, "no work")


def test_files_are_sent_by_the_system_still(shop: Path) -> None:
    with Gateway(config(app={**WSGI, "env": {"HOSTED_WORD": "x"}}), cwd=shop) as gateway:
        assert ask(gateway, "/app/file")[1] == (shop / "hosted.py").read_text()
