"""What the page is told: counts, samples of them, and what happened between two looks."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tetrapylon._core.telemetry.counters import Slabs, State
from tetrapylon.admin import live
from tetrapylon.admin.live import Recorder

MS = 1_000_000


class World:
    """A recorder of two workers' slabs, with a clock and news of the test's own."""

    def __init__(self, routes: int = 3) -> None:
        self.now = 1000.0
        self.news: dict[str, Any] = {"generation": 1, "last": None}
        self.slabs = Slabs(2, routes)
        self.slabs.slab(0).claim(4711)
        self.slabs.slab(0).state = State.SERVING
        labels = [{"http_route": f"/{n}", "tetrapylon_route_methods": "GET"} for n in range(routes)]
        self.recorder = Recorder(self.slabs, lambda: labels, lambda: self.news, lambda: self.now)

    def ask(self, route: int = 0, status: int = 200, times: int = 1) -> None:
        for _ in range(times):
            self.slabs.slab(1).count_exchange(route, status, 30 * MS, 20_000, 29 * MS, 100, 300)

    def tick(self) -> None:
        self.now += live.EVERY
        self.recorder.tick()

    @property
    def events(self) -> list[str]:
        return [f"{each['kind']}: {each['text']}" for each in self.recorder.live()["events"]]


@pytest.fixture
def world() -> World:
    world = World()
    world.tick()
    return world


def test_numbers_are_those_of_all_workers_and_routes(world: World) -> None:
    world.ask(0)
    world.ask(1, status=503)
    world.ask(-1, status=404)
    told = world.recorder.live()
    assert dict(zip(told["outcomes"], told["now"]["outcomes"], strict=True)) == {
        "aborted": 0,
        "1xx": 0,
        "2xx": 1,
        "3xx": 0,
        "4xx": 1,
        "5xx": 1,
    }
    assert sum(told["now"]["duration"]) == sum(told["now"]["gateway"]) == 3
    assert told["now"]["bytes_out"] == 900
    assert [(each["route"], each["methods"], sum(each["outcomes"])) for each in told["routes"]] == [
        ("(no route)", "", 1),
        ("/0", "GET", 1),
        ("/1", "GET", 1),
    ]
    (worker,) = told["workers"]
    assert (worker["worker"], worker["pid"], worker["state"]) == (0, 4711, "serving")
    assert json.dumps(told)


def test_before_the_first_request_there_is_nothing_to_count(world: World) -> None:
    told = world.recorder.live()
    assert told["now"]["outcomes"] == [0] * 6
    assert told["routes"] == []


def test_samples_are_told_once(world: World) -> None:
    world.ask()
    world.tick()
    told = world.recorder.live()["samples"]
    assert [(each["time"], sum(each["outcomes"])) for each in told] == [(1005.0, 0), (1010.0, 1)]
    assert [each["time"] for each in world.recorder.live(1005.0)["samples"]] == [1010.0]


def test_samples_reach_back_a_quarter_of_an_hour_and_no_further(world: World) -> None:
    for _ in range(300):
        world.tick()
    told = world.recorder.live()["samples"]
    assert told[-1]["time"] - told[0]["time"] == 900


def test_of_many_routes_the_busiest_of_late_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ROUTES", 2)
    world = World(routes=5)
    for route, times in enumerate((50, 40, 30, 20, 10)):
        world.ask(route, times=times)
    told = world.recorder.live()
    assert ([each["route"] for each in told["routes"]], told["routes_left_out"]) == (["/0", "/1"], 3)
    world.ask(4, times=5)
    world.ask(3, times=3)
    world.now += live.EVERY
    assert [each["route"] for each in world.recorder.live()["routes"]] == ["/3", "/4"]
    world.ask(0)
    assert [each["route"] for each in world.recorder.live()["routes"]] == ["/3", "/4"], (
        "it stands for a while"
    )


def refuse(world: World) -> None:
    problems = [{"text": "g.yaml:1:1: routes: oh no"}]
    world.news = {
        "generation": 1,
        "last": {"outcome": "refused", "origin": "SIGHUP", "problems": problems, "time": 1.0},
    }


def apply(world: World) -> None:
    last = {
        "outcome": "applied",
        "origin": "watch",
        "summary": "routes: 1 added",
        "time": 2.0,
        "generation": 2,
    }
    world.news = {"generation": 2, "last": last}


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (refuse, "refused: reload refused (SIGHUP): g.yaml:1:1: routes: oh no"),
        (apply, "reload: reload applied (watch): routes: 1 added"),
        (
            lambda world: world.slabs.supervisor().count_restart(),
            "restart: 1 of the gateway's processes died and were replaced",
        ),
        (
            lambda world: world.slabs.slab(0).count("tetrapylon_code_errors_total", {"code": "x"}, 2),
            "trouble: exceptions of handlers and plugins, for the first time",
        ),
        (
            lambda world: world.slabs.board.mark("shop", "10.0.0.1:80", False),
            "target: upstream shop: target 10.0.0.1:80: unhealthy",
        ),
    ],
)
def test_what_happens_is_an_event_once(world: World, happens: Callable[[World], object], told: str) -> None:
    happens(world)
    world.tick()
    world.tick()
    assert world.events == [told]


def test_what_was_so_when_it_began_is_none() -> None:
    world = World()
    world.slabs.supervisor().count_restart()
    apply(world)
    world.tick()
    world.tick()
    assert world.events == []


def test_a_target_stands_as_it_does_since_it_changed(world: World) -> None:
    world.slabs.board.mark("shop", "10.0.0.1:80", True)
    world.tick()
    world.tick()
    world.slabs.board.mark("shop", "10.0.0.1:80", False)
    world.tick()
    world.tick()
    (target,) = world.recorder.live()["targets"]
    assert target == {"upstream": "shop", "target": "10.0.0.1:80", "state": "unhealthy", "since": 1020.0}
    world.slabs.board.mark("shop", "10.0.0.1:80", True)
    world.tick()
    assert world.events[-1] == "recovered: upstream shop: target 10.0.0.1:80: up"


def test_troubles_of_one_sort_are_added_up(world: World) -> None:
    for code in "ab":
        world.slabs.slab(0).count("tetrapylon_code_errors_total", {"code": code}, 3)
    assert world.recorder.live()["now"]["troubles"] == {"exceptions of handlers and plugins": 6}
