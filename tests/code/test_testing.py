"""`tetrapylon.testing`: a config served in this process, with upstreams that are functions."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tetrapylon import Request, Response, Tetrapylon
from tetrapylon.config.model import Config, Route, Target, Upstream
from tetrapylon.errors import TetrapylonError
from tetrapylon.testing import Running, gateway, running

__all__ = ["gateway"]

SHOP = {
    "upstreams": {"users": {"targets": ["http://users.invalid:80"]}},
    "routes": [
        {"path": "/users/{id:int}", "upstream": "users", "rewrite": "/v2/{id}"},
        {"path": "/slow", "upstream": "users", "timeouts": {"total": "50ms"}},
        {"path": "/ping", "respond": {"body": "pong"}},
    ],
}


def test_a_fake_upstream_is_sent_what_the_gateway_forwards(gateway: Callable[..., Running]) -> None:
    shop = gateway(SHOP, users=lambda request: {"hello": request.headers["X-Me"]})
    answer = shop.post("/users/7?a=b", headers={"X-Me": "Ada"}, json={"n": 1})
    assert (answer.status, answer.json()) == (200, {"hello": "Ada"})
    assert answer.header("content-type") == "application/json"
    (seen,) = shop.upstreams["users"].received
    assert (seen.method, seen.target, seen.json()) == ("POST", "/v2/7?a=b", {"n": 1})


def test_routes_without_upstreams_answer_too(gateway: Callable[..., Running]) -> None:
    assert gateway(SHOP).get("/ping").text == "pong"
    assert gateway(SHOP).get("/nowhere").status == 404


def test_an_asynchronous_fake_and_the_routes_timeout(gateway: Callable[..., Running]) -> None:
    async def users(request: Request) -> Response:
        await asyncio.sleep(0 if request.path != "/slow" else 60)
        return Response(b"late", 201, headers={"X-From": "fake"})

    shop = gateway(SHOP, users=users)
    answer = shop.get("/users/1")
    assert (answer.status, answer.body, answer.header("X-From")) == (201, b"late", "fake")
    late = shop.get("/slow")
    assert (late.status, late.fault) == (504, "total_timeout")


def test_a_fake_that_the_config_does_not_have_is_refused() -> None:
    with (
        pytest.raises(TetrapylonError, match="no upstream 'orders'; it has users"),
        running(SHOP, orders=print),
    ):
        pass


def test_a_config_built_in_python_and_an_app_do_as_well() -> None:
    config = Config(
        upstreams={"u": Upstream(targets=(Target(url="http://u.invalid"),))},
        routes=(Route(path="/", upstream="u"),),
    )
    with running(config, u=lambda request: "from u") as served:
        assert served.get("/").text == "from u"
    app = Tetrapylon()

    @app.get("/n/{n:int}")
    def n(n: int) -> dict[str, int]:
        return {"n": n}

    with running(app) as served:
        assert served.get("/n/3").json() == {"n": 3}


def test_what_the_lifespan_provides_is_there_and_ended() -> None:
    seen: list[str] = []

    class Lifespan:
        def __init__(self, shared: dict[str, Any]) -> None:
            shared["db"] = "open"

        async def __aenter__(self) -> None:
            seen.append("begun")

        async def __aexit__(self, *args: object) -> None:
            seen.append("ended")

    app = Tetrapylon(lifespan=Lifespan)

    @app.get("/")
    def db(request: Request) -> str:
        return str(request.shared["db"])

    with running(app) as served:
        assert served.get("/").text == "open"
        assert seen == ["begun"]
    assert seen == ["begun", "ended"]
