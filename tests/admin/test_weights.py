"""Weights that an operator sets: by whom, for whom, for how long."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness import Client, Gateway, Upstream, answers, ask, proxy, request


@contextmanager
def serving(*, token: str | None = None, workers: int = 1) -> Iterator[tuple[Gateway, list[Upstream]]]:
    with ExitStack() as stack:
        running = [stack.enter_context(Upstream(answers.named(name))) for name in ("a", "b")]
        admin = {"listen": "127.0.0.1:0", **({"token": token} if token else {})}
        config = proxy(*(each.url for each in running), admin=admin, server={"workers": workers})
        yield stack.enter_context(Gateway(config)), running


def post(gateway: Gateway, *headers: tuple[str, str], **query: object) -> tuple[int, Any]:
    target = "/weight?" + "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    assert gateway.admin is not None
    with Client(gateway.admin) as client:
        answer = client.send(request("POST", target, headers, host="localhost")).response()
    return answer.status, json.loads(answer.body)


def shown(gateway: Gateway) -> dict[str, int | None]:
    """What has been set, by target."""
    assert gateway.admin is not None
    with Client(gateway.admin) as client:
        told = json.loads(client.send(request("GET", "/upstreams", host="localhost")).response().body)
    (upstream,) = told["upstreams"]
    return {each["url"]: each["weight_override"] for each in upstream["targets"]}


def spread(gateway: Gateway, count: int) -> Counter[bytes]:
    with gateway.client() as client:
        return Counter(client.ask("GET", "/").body for _ in range(count))


def test_a_weight_counts_from_the_next_request_on() -> None:
    with serving() as (gateway, (a, _)):
        assert spread(gateway, 8) == {b"a": 4, b"b": 4}
        status, told = post(gateway, upstream="backend", target=a.address, weight=3)
        assert (status, told["weight"]) == (200, 3)
        assert spread(gateway, 8) == {b"a": 6, b"b": 2}
        assert post(gateway, upstream="backend", target=a.address, weight=0)[0] == 200
        assert spread(gateway, 8) == {b"b": 8}
        assert post(gateway, upstream="backend", target=a.address, weight="config")[0] == 200
        assert spread(gateway, 8) == {b"a": 4, b"b": 4}
        gateway.wait_line(f"target {a.address}: its weight is 3 from now on")


def test_every_worker_goes_by_it_and_shows_it() -> None:
    with serving(workers=3) as (gateway, (a, b)):
        post(gateway, upstream="backend", target=a.address, weight=0)
        assert {ask(gateway.address).body for _ in range(30)} == {b"b"}
        assert shown(gateway) == {a.address: 0, b.address: None}


def test_it_outlives_a_reload_that_makes_the_upstream_anew() -> None:
    with serving() as (gateway, running):
        post(gateway, upstream="backend", target=running[0].address, weight=0)
        config = proxy(
            *(each.url for each in running),
            upstream={"balance": "least_requests"},
            admin={"listen": "127.0.0.1:0"},
        )
        gateway.write(config)
        gateway.signal(signal.SIGHUP)
        gateway.wait_line("generation 2")
        assert shown(gateway)[running[0].address] == 0
        assert spread(gateway, 6) == {b"b": 6}


def test_the_last_target_is_not_drained() -> None:
    with serving() as (gateway, (a, b)):
        assert post(gateway, upstream="backend", target=a.address, weight=0)[0] == 200
        status, told = post(gateway, upstream="backend", target=b.address, weight=0)
        assert status == 409
        assert "the last target of backend" in told["detail"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"upstream": "nobody", "target": "x", "weight": 1}, 404, "there is no upstream 'nobody'"),
        ({"upstream": "backend", "target": "x:1", "weight": 1}, 404, "backend has no target 'x:1'"),
        ({"upstream": "backend", "target": "TARGET", "weight": -1}, 400, "expected a number from 0 to 1000"),
        ({"upstream": "backend", "target": "TARGET", "weight": 1001}, 400, "expected a number from 0"),
        ({"upstream": "backend", "target": "TARGET", "weight": "1.5"}, 400, "expected a number from 0"),
        ({"upstream": "backend", "target": "TARGET"}, 400, "?weight= is missing"),
        ({"upstream": "backend", "target": "TARGET", "weight": 1, "wieght": 2}, 400, "no parameter 'wieght'"),
    ],
)
def test_what_it_does_not_take(query: dict[str, Any], status: int, said: str) -> None:
    with serving() as (gateway, (a, _)):
        given = {name: a.address if value == "TARGET" else value for name, value in query.items()}
        answered, told = post(gateway, **given)
        assert answered == status
        assert said in told["detail"]
        assert set(shown(gateway).values()) == {None}


def test_it_takes_the_token_that_a_reload_takes() -> None:
    with serving(token="a-long-token-for-operators") as (gateway, (a, _)):
        given = {"upstream": "backend", "target": a.address, "weight": 2}
        assert post(gateway, **given)[0] == 401
        bearer = ("Authorization", "Bearer a-long-token-for-operators")
        assert post(gateway, bearer, ("Sec-Fetch-Site", "cross-site"), **given)[0] == 403
        assert post(gateway, bearer, **given)[0] == 200
