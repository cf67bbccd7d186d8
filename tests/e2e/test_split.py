"""Routes that lead to several upstreams, requests that are mirrored, and faults made on purpose."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.harness import Gateway, Upstream, answers, assert_problem, eventually, leaks


@contextmanager
def two(route: Mapping[str, Any], **more: Any) -> Iterator[tuple[Gateway, Upstream, Upstream]]:
    """A gateway with the upstreams `stable` and `canary`."""
    with ExitStack() as stack:
        stable = stack.enter_context(Upstream(answers.named("stable")))
        canary = stack.enter_context(Upstream(answers.named("canary")))
        config = {
            "upstreams": {"stable": {"targets": [stable.url]}, "canary": {"targets": [canary.url]}},
            "routes": [{"path": "/{rest:path}", **route}],
            **more,
        }
        yield stack.enter_context(Gateway(config)), stable, canary


def split(*branches: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"split": {"to": [*branches, {"upstream": "stable", "weight": 9}], **more}}


def test_a_share_goes_to_the_canary() -> None:
    with (
        two(split({"upstream": "canary", "weight": 1})) as (gateway, stable, canary),
        gateway.client() as client,
    ):
        found = Counter(client.ask("GET", "/a").body for _ in range(500))
        assert 20 <= found[b"canary"] <= 90
        assert found[b"canary"] == len(canary.requests)
        assert found[b"stable"] == len(stable.requests)


def test_a_header_and_a_cookie_name_the_canary() -> None:
    branches = (
        {"upstream": "canary", "headers": {"X-Canary": "yes"}},
        {"upstream": "canary", "cookies": {"canary": "1"}},
    )
    with two(split(*branches)) as (gateway, _, _), gateway.client() as client:
        assert client.ask("GET", "/a").body == b"stable"
        assert client.ask("GET", "/a", headers=[("X-Canary", "yes")]).body == b"canary"
        assert client.ask("GET", "/a", headers=[("X-Canary", "no")]).body == b"stable"
        assert client.ask("GET", "/a", headers=[("Cookie", "x=y; canary=1")]).body == b"canary"
        assert client.ask("GET", "/a", headers=[("Cookie", "canary=11")]).body == b"stable"


def test_a_key_keeps_a_client_on_its_branch() -> None:
    route = split({"upstream": "canary", "weight": 9}, by="header:X-User")
    with two(route) as (gateway, _, _), gateway.client() as client:
        found = [
            {client.ask("GET", "/a", headers=[("X-User", f"u{i}")]).body for _ in range(3)} for i in range(24)
        ]
        assert all(len(each) == 1 for each in found)
        assert {b"stable", b"canary"} == set.union(*found)


def mirror(**settings: Any) -> dict[str, Any]:
    return {"upstream": "stable", "policies": [{"use": "mirror", "upstream": "canary", **settings}]}


def test_a_mirror_gets_what_the_upstream_gets_and_the_client_hears_the_upstream() -> None:
    with two(mirror()) as (gateway, stable, canary), gateway.client() as client:
        for _ in range(3):
            assert client.ask("POST", "/a?b=1", body=b"hello").body == b"stable"
        assert client.ask("GET", "/c", headers=[("X-A", "b")]).body == b"stable"
        copies = canary.wait_requests(4)
        assert sorted(r.target for r in copies) == sorted(r.target for r in stable.requests)
        posted = [r for r in copies if r.method == "POST"]
        assert [r.body for r in posted] == [b"hello"] * 3
        assert next(r for r in copies if r.target == "/c").headers.get("X-A") == "b"


def test_a_frozen_mirror_delays_nobody_and_drops_are_counted() -> None:
    gate = threading.Event()
    with ExitStack() as stack:
        stack.callback(gate.set)
        stable = stack.enter_context(Upstream(answers.named("stable")))
        frozen = stack.enter_context(Upstream(answers.raw(gate, answers.response(b"late"))))
        config = {
            "upstreams": {"stable": {"targets": [stable.url]}, "canary": {"targets": [frozen.url]}},
            "routes": [{"path": "/{rest:path}", **mirror(in_flight=5, timeout="30s")}],
            "admin": {"listen": "127.0.0.1:0"},
        }
        gateway = stack.enter_context(Gateway(config))
        client = stack.enter_context(gateway.client())
        began = time.monotonic()
        assert {client.ask("GET", f"/{i}").body for i in range(50)} == {b"stable"}
        assert time.monotonic() - began < 10
        text = gateway.operate().body.decode()
        assert 'tetrapylon_mirror_copies_total{upstream="canary"} 5' in text
        assert 'tetrapylon_mirror_dropped_total{upstream="canary"} 45' in text


def test_a_frozen_mirror_holds_no_more_than_its_copies_in_flight() -> None:
    gate = threading.Event()
    body = bytes(60_000)
    with ExitStack() as stack:
        stack.callback(gate.set)
        stable = stack.enter_context(Upstream(answers.swallow, record=False))
        frozen = stack.enter_context(Upstream(answers.raw(gate, answers.response(b"late")), record=False))
        config = {
            "upstreams": {"stable": {"targets": [stable.url]}, "canary": {"targets": [frozen.url]}},
            "routes": [{"path": "/", **mirror(in_flight=8, timeout="60s")}],
        }
        gateway = stack.enter_context(Gateway(config))
        client = stack.enter_context(gateway.client(record=False))
        for _ in range(50):
            client.ask("POST", "/", body=body)
        growth = leaks.Growth(gateway.pid)
        for _ in range(1000):
            assert client.ask("POST", "/", body=body).status == 200
        # All of the copies together are 60 MB.
        assert growth.sample() < 4_000_000


def test_a_share_of_the_requests_is_mirrored() -> None:
    with two(mirror(share="20%")) as (gateway, _, canary), gateway.client() as client:
        for i in range(200):
            client.ask("GET", f"/{i}")
        eventually(lambda: 15 <= len(canary.requests) <= 75, "about a fifth")


def fault(**settings: Any) -> dict[str, Any]:
    return {"upstream": "stable", "policies": [{"use": "fault", **settings}]}


def test_an_injected_error_answers_in_place_of_the_upstream() -> None:
    with two(fault(abort=418)) as (gateway, stable, _), gateway.client() as client:
        assert_problem(client.ask("GET", "/a"), 418)
        assert not stable.requests


def test_an_injected_delay_holds_a_request_up() -> None:
    with two(fault(delay="300ms")) as (gateway, _, _), gateway.client() as client:
        began = time.monotonic()
        assert client.ask("POST", "/a", body=b"x").body == b"stable"
        assert time.monotonic() - began >= 0.3


def test_a_delayed_error_comes_late() -> None:
    with two(fault(delay="200ms", abort=503)) as (gateway, _, _), gateway.client() as client:
        began = time.monotonic()
        assert_problem(client.ask("GET", "/a"), 503)
        assert time.monotonic() - began >= 0.2


def test_faults_hit_a_share() -> None:
    with two(fault(abort=500, abort_share="30%")) as (gateway, _, _), gateway.client() as client:
        found = Counter(client.ask("GET", "/a").status for _ in range(300))
        assert 50 < found[500] < 140
        assert found[200] == 300 - found[500]
