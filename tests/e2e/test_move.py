"""A route moves from one upstream to another by steps, without a reload, and back by itself."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Client, Gateway, Upstream, answers
from tests.harness import eventually as holds
from tests.harness.upstream import Conversation, Script
from tetrapylon.cli import main
from tetrapylon.moving.file import recorded

eventually = partial(holds, within=30.0)
ROUTE = "shop"
OLD, NEW = answers.named("old"), answers.named("new")


class Switch:
    """A service that answers well until it is told to do otherwise."""

    def __init__(self) -> None:
        self.way = "well"

    def __call__(self, peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            match self.way:
                case "fail":
                    peer.send(answers.response(b"broken", "500 Internal Server Error"))
                case "refuse":
                    peer.send(answers.response(b"who?", "404 Not Found"))
                case "hang":
                    peer.ended.wait(20)
                    return
                case "cut":
                    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                    return
                case "slow":
                    time.sleep(0.05)  # a service that takes its time: nothing is waited for
                    peer.send(answers.response(b"new"))
                case _:
                    peer.send(answers.response(b"new"))


class Running:
    def __init__(self, gateway: Gateway, old: Upstream, new: Upstream) -> None:
        self.gateway, self.old, self.new = gateway, old, new

    @property
    def admin(self) -> str:
        assert self.gateway.admin is not None
        return self.gateway.admin

    def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        response = self.gateway.operate(path, method)
        return response.status, json.loads(response.body)

    @property
    def move(self) -> Any:
        (found,) = self.ask("/move")[1]
        return found

    def approve(self) -> Any:
        status, told = self.ask(f"/move/approve?route={ROUTE}", "POST")
        assert status == 200, told
        return told

    def answers(self, count: int, client: Client) -> Counter[str]:
        return Counter(client.ask("GET", f"/{n}").body.decode() for n in range(count))


@contextmanager
def moving(
    tmp_path: Path,
    *,
    old: Script = OLD,
    new: Script = NEW,
    workers: int = 1,
    route: dict[str, Any] | None = None,
    hasty: bool = False,
    **move: Any,
) -> Iterator[Running]:
    """`hasty`: it is used at once, whether its control process is there or not."""
    with ExitStack() as stack:
        one, two = stack.enter_context(Upstream(old)), stack.enter_context(Upstream(new))
        settings = {"steps": ["10%", "50%", "100%"], "hold": "1h", **move}
        if "shadow" not in (route or {}):
            settings["to"] = "new"
        config = {
            "server": {"workers": workers},
            "upstreams": {
                "old": {"targets": [one.url], "timeouts": {"response": "20s"}},
                "new": {"targets": [two.url], "timeouts": {"response": "20s"}},
            },
            "routes": [
                {"path": "/{rest:path}", "name": ROUTE, "upstream": "old", "move": settings, **(route or {})}
            ],
            "diff": {"file": str(tmp_path / "diff.sqlite"), "moves": str(tmp_path / "moves.sqlite")},
            "admin": {"listen": "127.0.0.1:0"},
        }
        running = Running(stack.enter_context(Gateway(config)), one, two)
        eventually(
            lambda: hasty or running.move["state"] != "comparing" or "shadow" in (route or {}),
            "it is looked at",
        )
        yield running


class Load:
    """Clients that ask without a pause; counts what they are told, from a moment on."""

    def __init__(self, gateway: Gateway, clients: int = 6) -> None:
        self._gateway = gateway
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._told: list[tuple[float, int]] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def since(self, moment: float) -> list[int]:
        """The statuses of all answers from then on, 0 for none."""
        with self._lock:
            return [status for at, status in self._told if at >= moment]

    def _run(self) -> None:
        while not self._over.is_set():
            with Client(self._gateway.address, record=False, timeout=3.0) as client:
                while not self._over.is_set():
                    try:
                        status = client.ask("GET", "/a").status
                    except Exception:  # noqa: BLE001 - no whole answer, whatever keeps it away
                        status = 0
                    with self._lock:
                        self._told.append((time.monotonic(), status))
                    if not status:
                        break


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("fail", "errors: "),
        ("cut", "errors: "),
        ("hang", "without an answer for long"),
        ("refuse", "client errors: "),
    ],
)
def test_a_new_side_that_begins_to_fail_at_a_tenth_is_left_within_five_seconds(
    tmp_path: Path, way: str, reason: str
) -> None:
    switch = Switch()
    clients = 40 if way == "hang" else 6
    with moving(tmp_path, new=switch, workers=2) as running, Load(running.gateway, clients) as load:
        running.approve()
        eventually(lambda: len(running.new.requests) > 50, "it serves its share")
        began = time.monotonic()
        switch.way = way
        took = holds(lambda: bool(running.move["state"] == "back"), "all go back", within=5.0)
        told = load.since(began)
        failed = sum(status != 200 for status in told)
        # Drawn by chance: a tenth, and four standard deviations.
        assert failed <= 0.1 * len(told) + 4 * (0.09 * len(told)) ** 0.5 + (clients if way == "hang" else 0)
        assert reason in running.move["why"]
        assert running.move["share"] == 0
        running.gateway.wait_line(f"move of {ROUTE} to new: back")
        back = time.monotonic() + 0.1
        eventually(lambda: len(load.since(back)) > 200 or way == "hang", "it is served on")
        if way != "hang":  # what hangs there is not over yet
            after = load.since(back)
            assert after.count(200) == len(after), f"after {took:.1f} s nobody is told of it any more"


def test_a_new_side_that_becomes_slow_is_left_too(tmp_path: Path) -> None:
    switch = Switch()
    with moving(tmp_path, new=switch) as running, Load(running.gateway, 8):
        running.approve()
        eventually(lambda: len(running.new.requests) > 50, "it serves its share")
        switch.way = "slow"
        eventually(lambda: bool(running.move["state"] == "back"), "all go back")
        assert running.move["why"].startswith("p95: ")
        evidence = running.move["steps"][-1]["evidence"]
        assert evidence["new"]["p95"] > evidence["old"]["p95"]


def test_steps_are_taken_in_all_workers_without_a_reload(tmp_path: Path) -> None:
    alike = {"p95": "none"}  # what takes its time here is the machine
    with (
        moving(tmp_path, workers=2, hold="100ms", requests=20, rollback=alike) as running,
        ExitStack() as stack,
    ):
        assert running.move["state"] == "proposed"
        clients = [stack.enter_context(running.gateway.client()) for _ in range(8)]
        for client in clients:
            assert running.answers(20, client) == {"old": 20}
        for share in 0.1, 0.5, 1.0:
            assert running.approve()["share"] == share
            for client in clients:
                seen = running.answers(200, client)
                assert abs(seen["new"] - 200 * share) <= 5 * (200 * share * (1 - share)) ** 0.5
            eventually(lambda: running.move["state"] in ("proposed", "moved"), "it is held")
        assert running.move["state"] == "moved"
        assert running.ask("/status")[1]["generation"] == 1
        status, told = running.ask(f"/move/approve?route={ROUTE}", "POST")
        assert (status, "nothing is left" in told["detail"]) == (409, True)


def test_a_step_and_its_evidence_survive_a_restart(tmp_path: Path) -> None:
    with moving(tmp_path, hold="100ms", requests=20) as running, running.gateway.client() as client:
        running.approve()
        running.answers(600, client)
        eventually(lambda: bool(running.move["state"] == "proposed"), "it is held")
        running.approve()
        before = running.move["steps"]
        assert before[-2]["evidence"]["new"]["requests"] >= 20
    with moving(tmp_path, hold="1h") as running, running.gateway.client() as client:
        assert running.move["steps"] == before
        assert running.move["share"] == 0.5
        seen = running.answers(400, client)
        assert 130 < seen["new"] < 270


def test_the_first_request_after_a_restart_is_dealt_by_the_recorded_share(tmp_path: Path) -> None:
    """Workers serve before the control process has begun: none of their requests goes to the old side."""
    with moving(tmp_path, steps=["100%"]) as running:
        running.approve()
    for _ in range(3):
        with moving(tmp_path, steps=["100%"], hasty=True) as running, running.gateway.client() as client:
            assert running.answers(10, client) == {"new": 10}


def test_two_gateways_on_one_file_do_not_undo_each_others_steps(tmp_path: Path) -> None:
    path = tmp_path / "moves.sqlite"
    with ExitStack() as stack:
        first = stack.enter_context(moving(tmp_path))
        assert first.approve()["share"] == 0.1
        with moving(tmp_path) as second:
            told = second.gateway.wait_line(f"the file of moves {str(path)!r} cannot be used: ", within=30)
            pid = int(told.partition("(pid ")[2].partition(")")[0])
            assert pid in first.gateway.workers
            assert "give this gateway one of its own (`diff.moves`), or stop the other one" in told
            assert second.move["share"] == 0.1, "it begins where the first one stands"
            second.ask(f"/move/back?route={ROUTE}&why=mine", "POST")
            first.ask(f"/move/back?route={ROUTE}&why=ours", "POST")
            assert recorded(str(path))[ROUTE].why == "ours"
            assert (first.move["why"], second.move["why"]) == ("ours", "mine")
            stack.close()
            second.gateway.wait_line("can be used again", within=30)
            eventually(
                lambda: [step["why"] for step in second.move["steps"]][-2:] == ["mine", "ours"], "both"
            )
            assert second.approve()["share"] == 0.1
        assert recorded(str(path))[ROUTE].share == 0.1


def test_new_code_goes_on_with_the_file(tmp_path: Path) -> None:
    with moving(tmp_path, hold="10ms", requests=1, rollback={"p95": "none"}) as running:
        running.approve()
        old = set(running.gateway.workers)
        running.gateway.signal(signal.SIGUSR2)
        eventually(lambda: not old & set(running.gateway.workers), "the old processes have ended")
        with running.gateway.client() as client:

            def held() -> bool:
                running.answers(20, client)
                return bool(running.move["state"] == "proposed")

            eventually(held, "the step is held")
        assert running.approve()["share"] == 0.5
        assert recorded(str(tmp_path / "moves.sqlite"))[ROUTE].share == 0.5
        assert "cannot be used" not in running.gateway.stderr


@pytest.mark.parametrize("harm", ["spoil", "remove"])
def test_a_file_that_is_harmed_meanwhile_is_written_anew_with_all_that_is_known(
    tmp_path: Path, harm: str
) -> None:
    path = tmp_path / "moves.sqlite"
    with moving(tmp_path) as running:
        running.approve()
        if harm == "spoil":
            path.write_bytes(b"nothing that SQLite knows" * 500)
        else:
            path.unlink()
        running.gateway.wait_line("begun anew", within=30)
        eventually(lambda: ROUTE in recorded(str(path)), "it is written")
    with moving(tmp_path) as running:
        assert running.move["share"] == 0.1
        assert [step["what"] for step in running.move["steps"]] == ["proposed", "approved"]


def test_a_control_process_that_dies_goes_on_where_it_stood(tmp_path: Path) -> None:
    switch = Switch()
    with moving(tmp_path, new=switch, workers=2) as running, Load(running.gateway) as load:
        running.approve()
        workers = {each["pid"] for each in running.ask("/live")[1]["workers"]}
        (control,) = set(running.gateway.workers) - workers
        os.kill(control, signal.SIGKILL)
        seen = time.monotonic()
        eventually(lambda: len(load.since(seen)) > 200, "it is served on")
        assert set(load.since(seen)) == {200}
        switch.way = "fail"

        def back() -> bool:
            try:
                return bool(running.move["state"] == "back")
            except OSError:
                return False  # its successor does not listen yet

        eventually(back, "its successor sends all back")
        assert [step["what"] for step in running.move["steps"]] == ["proposed", "approved", "back"]


def test_everything_else_stays_as_it_is_for_a_client(tmp_path: Path) -> None:
    with (
        moving(tmp_path, by="header:X-User", steps=["30%", "100%"]) as running,
        running.gateway.client() as client,
    ):
        running.approve()
        users = [[("X-User", f"u{n}")] for n in range(40)]
        first = [client.ask("GET", "/", headers=user).body for user in users]
        assert {b"old", b"new"} == set(first)
        assert [client.ask("POST", "/", headers=user, body=b"x").body for user in users] == first
        running.ask(f"/move/back?route={ROUTE}&why=lunch", "POST")
        assert {client.ask("GET", "/", headers=user).body for user in users} == {b"old"}
        assert running.move["why"] == "lunch"


def test_it_begins_once_its_shadow_has_found_the_answers_alike_and_goes_back_when_they_differ(
    tmp_path: Path,
) -> None:
    said = ["same"]
    same = answers.each(lambda _: answers.response(b"same"))
    other = answers.each(lambda _: answers.response(said[0].encode()))
    route = {"shadow": {"to": "new", "sample": "100%", "in_flight": 1000}}
    when = {"compared": 50, "different": "<1%"}
    with (
        moving(
            tmp_path,
            old=same,
            new=other,
            route=route,
            when=when,
            approve="never",
            steps=["50%", "100%"],
        ) as running,
        running.gateway.client() as client,
    ):
        assert running.move["state"] == "comparing"
        running.answers(30, client)
        assert running.move["share"] == 0
        status, told = running.ask(f"/move/approve?route={ROUTE}", "POST")
        assert (status, "wanted are 50" in told["detail"]) == (409, True)
        running.answers(30, client)
        eventually(lambda: bool(running.move["share"] == 0.5), "it begins by itself")
        said[0] = "other"
        seen = running.answers(200, client)
        eventually(lambda: bool(running.move["state"] == "back"), "it goes back by itself")
        assert "that were compared meanwhile differ" in running.move["why"]
        # What the new side has answered itself is not compared with itself.
        eventually(
            lambda: running.move["compared"] == 60 + seen["same"], "those of the old side are compared"
        )


def test_a_reload_takes_a_move_away_and_another_target_begins_anew(tmp_path: Path) -> None:
    with moving(tmp_path, steps=["100%"]) as running, running.gateway.client() as client:
        running.approve()
        assert running.answers(20, client) == {"new": 20}
        config = json.loads(running.gateway.config_path.read_text())
        (route,) = config["routes"]
        plain = {name: value for name, value in route.items() if name != "move"}
        config["upstreams"]["third"] = config["upstreams"]["old"]
        for generation, routes, served in (
            (2, [plain], "old"),
            (3, [route], "new"),
            (4, [{**route, "move": {**route["move"], "to": "third"}}], "old"),
        ):
            running.gateway.write({**config, "routes": routes})
            running.gateway.signal(signal.SIGHUP)
            running.gateway.wait_line(f"applied, generation {generation}")
            eventually(lambda served=served: set(running.answers(5, client)) == {served}, served)  # type: ignore[misc]
        # Workers serve by a config a moment before the control process follows it.
        eventually(lambda: bool(running.move["to"] == "third"), "the control process follows")
        assert [step["what"] for step in running.move["steps"]][:3] == ["proposed", "approved", "again"]


def test_a_corrupt_file_is_moved_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "moves.sqlite").write_bytes(b"nothing that SQLite knows" * 500)
    with moving(tmp_path) as running, running.gateway.client() as client:
        running.gateway.wait_line("moves.sqlite.aside")
        assert running.answers(5, client) == {"old": 5}
        running.approve()
    with moving(tmp_path) as running:
        assert running.move["share"] == 0.1


def test_the_verb_tells_and_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with moving(tmp_path) as running:
        assert main(["move", "--admin", running.admin]) == 0
        assert f"{ROUTE}: 0% to new, proposed, next 10%" in capsys.readouterr().out
        assert main(["move", "--admin", running.admin, "--approve", ROUTE]) == 0
        assert f"{ROUTE}: 10% to new, holding, next 50%" in capsys.readouterr().out
        assert main(["status", "--admin", running.admin]) == 0
        assert f"move: {ROUTE}: 10% to new" in capsys.readouterr().out
        assert main(["move", "--admin", running.admin, "--back", ROUTE, "--why", "lunch"]) == 0
        assert f"{ROUTE}: 0% to new, back: lunch" in capsys.readouterr().out
        assert main(["move", "--admin", running.admin, "--approve", "none"]) == 1
        assert "no route 'none' has a `move`" in capsys.readouterr().err
