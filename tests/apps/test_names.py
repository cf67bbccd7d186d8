"""What processes of an app are called: names recur, and no two have one at a time."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.apps.shop import answer_of, config
from tests.apps.test_hosting import metric, operator
from tests.harness.client import request
from tests.harness.gateway import Gateway
from tests.harness.wait import eventually as holds
from tetrapylon._core.shared.board import Board
from tetrapylon.apps import server
from tetrapylon.apps.hosted import LET_GO, Hosted
from tetrapylon.config.model import App, Target

eventually = partial(holds, within=30.0)

SERVES = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_DFL)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.write(int(os.environ["TETRAPYLON_APP_STATUS"]), f"loaded {os.getpid()}\\n".encode())
signal.pause()
"""


class Running:
    """A hosted app whose processes do nothing, in its own time."""

    def __init__(self, folder: Path, board: Board, *, processes: int = 1) -> None:
        self.now = 1000.0
        self.published: list[tuple[str, ...]] = []
        self._sockets = (f"{folder}/{number}" for number in range(10_000))
        self.app = App(wsgi="hosted:app", processes=processes, drain=1e6)
        self.hosted = Hosted("legacy", self.app, (), self._sockets.__next__, self._publish, board)

    def _publish(self, app: str, targets: tuple[Target, ...]) -> None:
        self.published.append(tuple(target.name for target in targets))

    @property
    def names(self) -> tuple[str, ...]:
        return self.published[-1] if self.published else ()

    def until(self, what: str, *, living: int, anew: bool = False) -> None:
        """So many processes live; `anew`: and the gateway has been told of others."""
        told = len(self.published)

        def done() -> bool:
            self.now += 0.01
            for each in self.hosted.servers:
                for descriptor in select.select(each.descriptors, [], [], 0)[0]:
                    each.hear(descriptor, self.now)
            self.hosted.tick(self.now)
            return len(self.hosted.servers) == living and (not anew or len(self.published) > told)

        eventually(done, what)

    def roll(self) -> None:
        before = self.names
        self.hosted.roll(self.now)
        self.until("the successor serves", living=2, anew=True)
        assert not set(self.names) & set(before), "the old one has its name as long as it lives"
        self.now += LET_GO
        self.until("the old one has ended", living=1)


@pytest.fixture
def running(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(
        server, "command", lambda app, trusted, socket, host: [sys.executable, "-SIc", SERVES, socket]
    )
    running = Running(run, Board(32))
    yield running
    running.hosted.kill()
    running.hosted.end(running.now, last=False)
    running.until("all have ended", living=0)


def test_fifty_restarts_bring_no_new_names(running: Running) -> None:
    running.until("it serves", living=1, anew=True)
    for _ in range(50):
        running.roll()
    assert {name for names in running.published for name in names} == {"legacy/1", "legacy/2"}
    assert running.hosted.told()["targets"] == {running.names[0]: running.hosted.servers[0].pid}


def test_nor_do_deaths(running: Running) -> None:
    running.until("it serves", living=1, anew=True)
    for _ in range(5):
        os.kill(running.hosted.servers[0].pid, signal.SIGKILL)
        running.until("it is seen", living=0)
        running.now += 30
        running.until("another serves", living=1, anew=True)
    assert {name for names in running.published for name in names} == {"legacy/1"}


def test_those_that_drain_keep_their_names(running: Running) -> None:
    """However many, each that lives has a name of its own; the lowest that is free comes next."""
    running.until("it serves", living=1, anew=True)
    for living in 2, 3, 4:
        running.hosted.roll(running.now)
        for each in running.hosted.servers:
            os.kill(each.pid, signal.SIGSTOP)  # so none ends by being told to
        running.now += 0.01
        running.until("the successor serves", living=living, anew=True)
    assert running.names == ("legacy/4",)
    for each in running.hosted.servers:
        os.kill(each.pid, signal.SIGCONT)
    running.now += LET_GO
    running.until("the old ones have ended", living=1)
    running.roll()
    assert running.names == ("legacy/1",)


def test_names_of_another_host_are_left_to_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New code's host and the old one serve at the same time, by one board."""
    monkeypatch.setattr(
        server, "command", lambda app, trusted, socket, host: [sys.executable, "-SIc", SERVES, socket]
    )
    board = Board(32)
    (run / "old").mkdir()
    (run / "new").mkdir()
    old, new = Running(run / "old", board, processes=2), Running(run / "new", board, processes=2)
    try:
        old.until("the old ones serve", living=2, anew=True)
        new.until("the new ones serve", living=2, anew=True)
        assert (set(old.names), set(new.names)) == ({"legacy/1", "legacy/2"}, {"legacy/3", "legacy/4"})
        old.hosted.kill()
        old.hosted.end(old.now, last=False)
        old.until("the old ones have ended", living=0)
        assert [row["target"] for row in board.rows()] == ["legacy/3", "legacy/4"]
    finally:
        for each in old, new:
            each.hosted.kill()
            each.hosted.end(each.now, last=False)
            each.until("all have ended", living=0)


def test_what_was_known_of_a_server_is_not_its_successors() -> None:
    board = Board(8)
    board.mark("legacy", "legacy/1", False)
    board.set_weight("legacy", "legacy/1", 0)
    before = board.epoch
    board.renew("legacy", "legacy/1")
    (row,) = board.rows()
    assert (row["checked"], row["weight"], row["circuit"]) == ("unchecked", None, "closed")
    assert row["totals"]["unhealthy"] == 1
    assert board.epoch > before, "those who pick look again"
    board.release("legacy", "legacy/1")
    assert board.rows() == []
    board.renew("legacy", "legacy/1")
    assert board.rows()[0]["totals"]["unhealthy"] == 1


def targets(gateway: Gateway) -> set[str]:
    return set(re.findall(r'target="([^"]+)"', operator(gateway, "/metrics")))


@pytest.mark.sockets("apps are hosted by the supervisor")
def test_series_do_not_grow_with_restarts_nor_with_new_code(shop: Path) -> None:
    """The old process drains a request meanwhile, and each is what metrics and the log say."""
    app = config("127.0.0.1:0", legacy={"wsgi": "hosted:app", "threads": 2})
    seen: set[str] = set()
    with Gateway(app, cwd=shop) as gateway:
        eventually(lambda: targets(gateway) == {"legacy/1"}, "the first")
        for turn in range(1, 5):
            before = answer_of(gateway, "legacy")["pid"]
            with gateway.client(timeout=20) as client:
                client.send(request("GET", "/legacy/trickle", [("Connection", "close")]))
                assert client.head().status == 200
                if turn % 2:
                    app["apps"]["legacy"]["env"] = {"HOSTED_WORD": str(turn)}
                    gateway.write(app)
                    gateway.signal(signal.SIGHUP)
                else:
                    gateway.signal(signal.SIGUSR2)
                eventually(lambda before=before: answer_of(gateway, "legacy")["pid"] != before, "another")  # type: ignore[misc]
                seen |= targets(gateway)
                assert client.until_eof().count(b"x") == 12, "the old process ends what it has begun"
            eventually(lambda before=before: not Path(f"/proc/{before}").exists(), "the old one has ended")  # type: ignore[misc]
        seen |= targets(gateway)
        assert seen <= {"legacy/1", "legacy/2"}
        assert metric(gateway, 'tetrapylon_app_processes{app="legacy"}') == 1
    logged = {str(each["upstream"]) for each in gateway.access_log if each["route"].startswith("/legacy")}
    assert logged == {"legacy/1", "legacy/2"}
