"""`run_in: process`: user code that computes, beside the worker."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.harness import eventually
from tetrapylon import ConfigError, HTTPError, Outcome, Request, Response
from tetrapylon.config import loads
from tetrapylon.testing import Running, running

HERE = "tests.code.test_elsewhere"


class Item(msgspec.Struct):
    name: str


def item(id: int, item: Item, *, page: int = 1) -> Item:
    if item.name == "absent":
        raise HTTPError(404, "no such item", errors=[{"field": "name"}])
    if item.name == "broken":
        raise KeyError(item.name)
    if item.name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return Item(f"{item.name} {id} {page} {os.getpid()}")


def made() -> Response:
    return Response({"pid": os.getpid()}, 201, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])


def asks(request: Request) -> None: ...


class Computes:
    class Settings(msgspec.Struct, frozen=True):
        word: str = "made"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def on_request(self, request: Request, body: bytes) -> Response | None:
        if request.query.get("answer"):
            return Response(f"{self.settings.word} of {len(body)}", 203)
        if request.query.get("refuse"):
            raise HTTPError(403, "not so")
        if request.query.get("raise"):
            raise KeyError("lost")
        request.headers["X-Pid"] = str(os.getpid())
        request.headers.add("X-Two", "1")
        request.headers.add("X-Two", "2")
        if "X-Secret" in request.headers:
            del request.headers["X-Secret"]
        request.state["seen"] = request.parameters["rest"]
        return None

    def on_response(self, request: Request, response: Response) -> None:
        response.headers["X-Seen"] = request.state.get("seen", "nothing")
        if response.status == 200:
            response.status = 202
            response.body = msgspec.json.encode({"wrapped": response.json()})

    def on_end(self, request: Request, outcome: Outcome) -> None:
        assert outcome.status


class Waits:
    async def on_request(self, request: Request) -> None: ...


def told(request: Request) -> dict[str, Any]:
    return {"fields": request.headers.items()}


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    routes = [
        {
            "path": "/items/{id:int}",
            "methods": ["POST"],
            "handler": {"call": f"{HERE}:item", "run_in": "process"},
        },
        {"path": "/made", "handler": {"call": f"{HERE}:made", "run_in": "process"}},
        {
            "path": "/up/{rest:path}",
            "upstream": "up",
            "policies": [{"use": f"{HERE}:Computes", "run_in": "process", "word": "read"}],
        },
    ]
    with running(
        {"upstreams": {"up": {"targets": ["http://up.invalid"]}}, "routes": routes}, up=told
    ) as made:
        yield made


class TestHandlers:
    def test_arguments_go_there_and_the_result_comes_back(self, served: Running) -> None:
        answer = served.post("/items/7?page=3", json={"name": "a"})
        name, id_, page, pid = answer.json()["name"].split()
        assert (answer.status, name, id_, page) == (200, "a", "7", "3")
        assert int(pid) != os.getpid()

    def test_a_response_comes_back_with_its_duplicates(self, served: Running) -> None:
        answer = served.get("/made")
        assert (answer.status, answer.json()["pid"] != os.getpid()) == (201, True)
        assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]

    def test_what_does_not_fit_is_refused_before(self, served: Running) -> None:
        assert served.post("/items/7", json={"name": 1}).json()["errors"][0]["field"] == "name"

    def test_errors_are_what_they_are_on_the_loop(
        self, served: Running, capfd: pytest.CaptureFixture[str]
    ) -> None:
        answer = served.post("/items/7", json={"name": "absent"})
        assert (answer.status, answer.json()["errors"]) == (404, [{"field": "name"}])
        assert served.post("/items/7", json={"name": "broken"}).status == 500
        assert "KeyError: 'broken'" in capfd.readouterr().err

    def test_a_process_that_dies_fails_its_request_and_is_replaced(self, served: Running) -> None:
        assert served.post("/items/7", json={"name": "dies"}).status == 500
        assert served.post("/items/7", json={"name": "next"}).status == 200


class TestPlugins:
    def test_what_it_changes_is_changed(self, served: Running) -> None:
        answer = served.post("/up/a/b", json=[1], headers={"X-Secret": "1"})
        fields = dict(answer.json()["wrapped"]["fields"])
        assert answer.status == 202
        assert answer.header("X-Seen") == "a/b"
        assert answer.header("Content-Length") == str(len(answer.body))
        assert int(fields["X-Pid"]) != os.getpid()
        assert "X-Secret" not in fields
        assert [v for name, v in answer.json()["wrapped"]["fields"] if name == "X-Two"] == ["1", "2"]

    def test_it_answers_refuses_and_fails_as_any(self, served: Running) -> None:
        assert served.post("/up/a?answer=1", json=[1]).text == "read of 3"
        assert served.get("/up/a?refuse=1").status == 403
        assert served.get("/up/a?raise=1").status == 500


def test_they_end_with_the_gateway() -> None:
    route = {"path": "/", "handler": {"call": f"{HERE}:made", "run_in": "process"}}
    with running({"routes": [route]}) as served:
        pid = served.get("/").json()["pid"]

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    eventually(gone, "its process has ended")


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (
            f"{{path: /, handler: {{call: '{HERE}:asks', run_in: process}}}}",
            f"{HERE}:asks takes the Request, which stays in its process",
        ),
        (
            f"{{path: /, respond: hi, policies: [{{use: '{HERE}:Waits', run_in: process}}]}}",
            f"{HERE}:Waits.on_request cannot run in a process",
        ),
    ],
)
def test_what_cannot_leave_the_loop_is_told_at_check_with_its_place(route: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        loads(f"routes: [{route}]", "gateway.yaml")
    assert "test_elsewhere.py:" in str(caught.value)
