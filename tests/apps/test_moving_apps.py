"""Routes move from a hosted app to an upstream, and from an upstream to a hosted app."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_move import Load, Switch
from tests.harness import Gateway, Upstream, answers
from tests.harness import eventually as holds
from tests.harness.load import load
from tests.harness.upstream import Script

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

eventually = partial(holds, within=30.0)
"""Processes start, and import what they serve: on a busy machine that takes its time."""

ROUTE = "shop"
APP = """
import os, signal, threading
from pathlib import Path

WAY = Path(os.environ["WAY"])
WORD = b"app"

def app(environ, start_response):
    way = WAY.read_text()
    if way == "raise":
        raise ValueError("out of stock")
    if way == "hang":
        threading.Event().wait()
    if way == "die":
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(1)
    start_response("404 Not Found" if way == "refuse" else "200 OK", [("Content-Type", "text/plain")])
    return [b"other" if way == "differ" else WORD]
"""


class Running:
    def __init__(self, gateway: Gateway, upstream: Upstream, folder: Path) -> None:
        self.gateway, self.upstream, self.folder = gateway, upstream, folder

    def way(self, way: str) -> None:
        """What the app does from now on."""
        (self.folder / "way.new").write_text(way)
        (self.folder / "way.new").replace(self.folder / "way")

    def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        response = self.gateway.operate(path, method)
        return response.status, json.loads(response.body)

    @property
    def move(self) -> Any:
        (found,) = self.ask("/move")[1]
        return found

    def approve(self) -> None:
        status, told = self.ask(f"/move/approve?route={ROUTE}", "POST")
        assert status == 200, told

    def answers(self, number: int) -> Counter[str]:
        """Each on a connection of its own: workers come and go."""
        told = Counter[str]()
        for n in range(number):
            with self.gateway.client(timeout=20, record=False) as client:
                told[client.ask("GET", f"/{n}").body.decode()] += 1
        return told


@contextmanager
def moving(
    folder: Path,
    script: Script,
    route: dict[str, Any],
    *arguments: str,
    tracebacks: bool = False,
    app: dict[str, Any] | None = None,
    **move: Any,
) -> Iterator[Running]:
    """A hosted app `legacy` and an upstream `other`."""
    (folder / "sides.py").write_text(APP)
    (folder / "way").write_text("well")
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(script))
        legacy = {
            "wsgi": "sides:app",
            "threads": 4,
            "folder": str(folder),
            "env": {"WAY": str(folder / "way")},
            **(app or {}),
        }
        config = {
            "server": {"workers": 2, "timeouts": {"drain": "5s"}},
            "apps": {"legacy": legacy},
            "upstreams": {"other": {"targets": [upstream.url], "timeouts": {"response": "20s"}}},
            "routes": [
                {
                    "path": "/{rest:path}",
                    "name": ROUTE,
                    "move": {
                        "steps": ["10%", "50%", "100%"],
                        "hold": "1h",
                        "rollback": {"p95": "none"},  # an app under gunicorn is slower than a test's service
                        **move,
                    },
                    **route,
                }
            ],
            "diff": {"file": str(folder / "diff.sqlite"), "moves": str(folder / "moves.sqlite")},
            "admin": {"listen": "127.0.0.1:0"},
        }
        gateway = stack.enter_context(Gateway(config, *arguments, cwd=folder, tracebacks=tracebacks))
        yield Running(gateway, upstream, folder)


AWAY = {"app": "legacy"}, "other"
ONTO = {"upstream": "other"}, "legacy"
BOTH = pytest.mark.parametrize(("route", "to"), [AWAY, ONTO], ids=["away from an app", "onto an app"])


@BOTH
def test_it_moves_step_by_step(tmp_path: Path, route: dict[str, Any], to: str) -> None:
    old, new = ("app", "other") if to == "other" else ("other", "app")
    with moving(tmp_path, answers.named("other"), route, to=to, hold="100ms", requests=20) as running:
        eventually(lambda: bool(running.move["state"] == "proposed"), "the first step")
        assert running.answers(20) == {old: 20}
        for share in 0.1, 0.5, 1.0:
            running.approve()
            seen = running.answers(400)
            assert abs(seen[new] - 400 * share) <= 5 * (400 * share * (1 - share)) ** 0.5
            eventually(lambda: running.move["state"] in ("proposed", "moved"), "it is held")
        assert running.move["state"] == "moved", running.move["why"]
    targets = [str(each["upstream"]) for each in running.gateway.access_log]
    assert "legacy/1" in targets


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("raise", "errors: "),
        ("die", "errors: "),
        ("hang", "without an answer for long"),
        ("refuse", "client errors: "),
    ],
)
def test_an_app_that_begins_to_fail_at_a_tenth_is_left_within_five_seconds(
    tmp_path: Path, way: str, reason: str
) -> None:
    hangs = way == "hang"
    clients = 40 if hangs else 6
    with (
        moving(tmp_path, answers.named("other"), ONTO[0], to=ONTO[1], tracebacks=True) as running,
        Load(running.gateway, clients) as asking,
    ):
        eventually(lambda: bool(running.move["state"] == "proposed"), "the first step")
        running.approve()
        eventually(lambda: bool(running.move["share"] == 0.1), "the first step is taken")
        eventually(lambda: len(asking.since(0)) > 500, "it serves its share")
        began = time.monotonic()
        running.way(way)
        holds(lambda: bool(running.move["state"] == "back"), "all go back", within=5.0)
        told = asking.since(began)
        failed = sum(status != 200 for status in told)
        # Drawn by chance: a tenth, and four standard deviations.
        most = 0.1 * len(told) + 4 * (0.09 * len(told)) ** 0.5 + (clients if hangs else 0)
        assert failed <= most, (failed, len(told))
        assert reason in running.move["why"]
        back = time.monotonic() + 0.1
        eventually(lambda: len(asking.since(back)) > 200 or hangs, "it is served on")
        if not hangs:  # what hangs there is not over yet
            assert set(asking.since(back)) == {200}, "nobody is told of it any more"


def test_an_app_that_cannot_be_had_is_left_too(tmp_path: Path) -> None:
    away = {"wsgi": "no_such_module:app"}
    with moving(tmp_path, answers.named("other"), ONTO[0], to=ONTO[1], app=away, tracebacks=True) as running:
        eventually(lambda: bool(running.move["state"] == "proposed"), "the first step")
        running.approve()
        with Load(running.gateway) as asking:
            eventually(lambda: bool(running.move["state"] == "back"), "all go back")
            back = time.monotonic() + 0.1
            eventually(lambda: len(asking.since(back)) > 200, "it is served on")
            assert set(asking.since(back)) == {200}
        assert "errors: " in running.move["why"]


def test_an_upstream_that_begins_to_fail_leaves_all_to_the_app(tmp_path: Path) -> None:
    switch = Switch()
    with (
        moving(tmp_path, switch, AWAY[0], to=AWAY[1]) as running,
        Load(running.gateway) as asking,
    ):
        eventually(lambda: bool(running.move["state"] == "proposed"), "the first step")
        running.approve()
        eventually(lambda: len(running.upstream.requests) > 50, "it serves its share")
        began = time.monotonic()
        switch.way = "fail"
        holds(lambda: bool(running.move["state"] == "back"), "all go back", within=5.0)
        told = asking.since(began)
        failed = sum(status != 200 for status in told)
        assert failed <= 0.1 * len(told) + 4 * (0.09 * len(told)) ** 0.5
        back = time.monotonic() + 0.1
        eventually(lambda: len(asking.since(back)) > 200, "the app serves on")
        assert set(asking.since(back)) == {200}


@BOTH
@pytest.mark.parametrize("how", ["USR2", "code"])
def test_an_app_is_replaced_while_a_move_is_under_way(
    tmp_path: Path, route: dict[str, Any], to: str, how: str
) -> None:
    """No request fails, and the move neither loses its place nor takes the new processes for a failure."""
    arguments = ["--watch"] if how == "code" else []
    with moving(tmp_path, answers.named("other"), route, *arguments, to=to, steps=["50%", "100%"]) as running:
        eventually(lambda: bool(running.move["state"] == "proposed"), "the first step")
        running.approve()
        with load(running.gateway.address, "/a"):
            code = running.folder / "sides.py"
            text = code.read_text().replace('b"app"', 'b"newer"')
            code.write_text(text)
            if how == "USR2":
                running.gateway.signal(signal.SIGUSR2)
            written = time.monotonic()

            def replaced() -> bool:
                nonlocal written
                if how == "code" and time.monotonic() - written > 2:
                    code.write_text(text)  # nothing tells when it has begun to be watched
                    written = time.monotonic()
                return running.answers(20).keys() == {"newer", "other"}

            eventually(replaced, "new code answers, and the other side too")
        seen = running.answers(400)
        assert 120 < seen["newer"] < 280, "the share stays"
        assert (running.move["state"], running.move["share"]) == ("holding", 0.5)


@BOTH
def test_answers_of_an_app_are_compared(tmp_path: Path, route: dict[str, Any], to: str) -> None:
    """As the first of the two and as the second: the move begins once they are alike, and goes back."""
    same = answers.each(lambda _: answers.response(b"app", headers=[("Content-Type", "text/plain")]))
    shadow = {"to": to, "sample": "100%", "in_flight": 1000}
    with moving(
        tmp_path,
        same,
        {**route, "shadow": shadow},
        when={"compared": 50, "different": "<1%"},
        approve="never",
        steps=["50%", "100%"],
    ) as running:
        assert running.answers(60) == {"app": 60}
        eventually(lambda: bool(running.move["share"] == 0.5), "it begins by itself")
        assert running.move["different"] == 0
        running.way("differ")
        seen = running.answers(300)
        assert seen["other"] > 0
        eventually(lambda: bool(running.move["state"] == "back"), "it goes back by itself")
        assert "that were compared meanwhile differ" in running.move["why"]
        (told,) = running.ask("/diff")[1]
        assert told["different"] > 0
        assert told["differences"][0]["where"].startswith("body")
