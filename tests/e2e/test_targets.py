"""Which target gets a request: balancing, health, breakers, tiers, and what operators see of it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.harness import (
    Conversation,
    Gateway,
    Upstream,
    answers,
    assert_problem,
    eventually,
    proxy,
    request,
)

ADMIN = {"admin": {"listen": "127.0.0.1:0"}}


class Switch:
    """A target that answers with its name while it is well, and as told while it is not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.well = True
        self.bad = answers.response(b"broken", "500 Internal Server Error")
        self.asked = Counter[str]()

    def __call__(self, peer: Conversation) -> None:
        while not peer.reader.at_end():
            target = peer.request().target
            self.asked[target] += 1
            if self.well:
                peer.send(answers.response(self.name.encode()))
            elif self.bad:
                peer.send(self.bad)
            else:
                peer.reset()
                return


@contextmanager
def fleet(
    count: int,
    targets: dict[int, dict[str, Any]] | None = None,
    server: dict[str, Any] | None = None,
    **upstream: Any,
) -> Iterator[tuple[Gateway, list[Switch], list[str]]]:
    """A gateway with an admin address before `count` targets; `targets` are settings of single ones."""
    with ExitStack() as stack:
        switches = [Switch(f"t{i}") for i in range(count)]
        running = [stack.enter_context(Upstream(switch, record=False)) for switch in switches]
        config = proxy(upstream=upstream, **ADMIN, server=server or {})
        config["upstreams"]["backend"]["targets"] = [
            {"url": each.url, **(targets or {}).get(i, {})} for i, each in enumerate(running)
        ]
        gateway = stack.enter_context(Gateway(config))
        yield gateway, switches, [each.address for each in running]


def names(gateway: Gateway, count: int, headers: list[tuple[str, str]] | None = None) -> list[str]:
    with gateway.client() as client:
        return [client.ask("GET", "/", headers=headers or []).body.decode() for _ in range(count)]


def admin(gateway: Gateway, path: str) -> str:
    return gateway.operate(path).body.decode()


def standing(gateway: Gateway, target: str) -> dict[str, Any]:
    upstreams = json.loads(admin(gateway, "/upstreams"))["upstreams"]
    (backend,) = [each for each in upstreams if each["name"] == "backend"]
    told: dict[str, Any]
    (told,) = [each for each in backend["targets"] if each["url"] == target]
    return told


# Balancing


USERS = ("ada", "bob", "cyd", "dan", "eve", "flo")


def test_round_robin_follows_the_weights_exactly() -> None:
    with fleet(3, {0: {"weight": 5}}) as (gateway, _, _):
        assert Counter(names(gateway, 14)) == {"t0": 10, "t1": 2, "t2": 2}


def test_least_requests_avoids_the_busy_target() -> None:
    with ExitStack() as stack:
        gate = threading.Event()
        busy = stack.enter_context(Upstream(answers.raw(gate, answers.response(b"busy"))))
        free = stack.enter_context(Upstream(answers.named("free")))
        gateway = stack.enter_context(
            Gateway(proxy(busy.url, free.url, upstream={"balance": "least_requests"}))
        )
        stuck = [stack.enter_context(gateway.client()) for _ in range(2)]
        for client in stuck:
            client.send(request("GET", "/"))
        busy.wait_requests(1)
        assert names(gateway, 5) == ["free"] * 5
        gate.set()


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        ("header:X-User", lambda user: [("X-User", user)]),
        ("cookie:user", lambda user: [("Cookie", f"a=b; user={user}; c=d")]),
    ],
)
def test_the_same_key_leads_to_the_same_target(key: str, headers: Any) -> None:
    with fleet(4, balance={"consistent_hash": key}) as (gateway, _, _):
        first = {
            user: names(gateway, 1, headers(user))[0] for user in ("ada", "bob", "cyd", "dan", "eve", "flo")
        }
        assert len(set(first.values())) > 1
        for user, name in first.items():
            assert set(names(gateway, 3, headers(user))) == {name}


def test_a_path_and_a_query_parameter_are_keys_too() -> None:
    for key, target in (("path", "/a/{}?x=1"), ("query:user", "/?y=1&user={}")):
        with fleet(4, balance={"consistent_hash": key}) as (gateway, _, _), gateway.client() as client:
            found = [{client.ask("GET", target.format(i)).body for _ in range(3)} for i in range(12)]
            assert all(len(each) == 1 for each in found)
            assert len(set.union(*found)) > 1


def test_a_sticky_cookie_keeps_a_client_where_it_was_while_that_is_well() -> None:
    passive = {"consecutive_failures": 1, "eject": "60s"}
    settings: dict[str, Any] = {"balance": {"sticky_cookie": "where"}, "health": {"passive": passive}}
    with fleet(3, **settings) as (gateway, switches, _), gateway.client() as client:
        answer = client.ask("GET", "/")
        cookie = answer.headers.get("Set-Cookie")
        assert cookie is not None
        pair, _, attributes = cookie.partition("; ")
        assert attributes == "Path=/; HttpOnly"
        name = answer.body.decode()
        assert name not in cookie
        for _ in range(5):
            again = client.ask("GET", "/", headers=[("Cookie", pair)])
            assert again.body.decode() == name
            assert again.headers.get("Set-Cookie") is None
        next(each for each in switches if each.name == name).well = False
        assert client.ask("GET", "/", headers=[("Cookie", pair)]).status == 500
        moved = client.ask("GET", "/", headers=[("Cookie", pair)])
        assert moved.body.decode() != name
        assert moved.headers.get("Set-Cookie") is not None


def test_a_second_priority_takes_over_when_the_first_is_gone() -> None:
    passive = {"consecutive_failures": 1, "eject": "60s", "max_ejected": "100%"}
    with fleet(2, {1: {"priority": 1}}, health={"passive": passive}) as (gateway, switches, _):
        assert set(names(gateway, 6)) == {"t0"}
        switches[0].well = False
        assert names(gateway, 1) == ["broken"]
        assert set(names(gateway, 6)) == {"t1"}


def test_the_gateways_own_zone_comes_first() -> None:
    zones = {0: {"zone": "east"}, 1: {"zone": "west"}}
    with fleet(2, zones, server={"zone": "west"}) as (gateway, _, _):
        assert set(names(gateway, 6)) == {"t1"}


# Passive health


def test_failures_in_a_row_eject_a_target_and_one_good_answer_brings_it_back() -> None:
    passive = {"consecutive_failures": 3, "eject": "300ms", "longest": "10s"}
    with fleet(2, health={"passive": passive}) as (gateway, switches, addresses):
        switches[0].well = False
        assert names(gateway, 6).count("broken") == 3
        assert names(gateway, 6) == ["t1"] * 6
        assert standing(gateway, addresses[0])["state"] == "ejected"
        gateway.wait_line(f"target {addresses[0]} ejected: 3 failures in a row")
        switches[0].well = True
        eventually(lambda: "t0" in names(gateway, 2), "the target is back")
        eventually(lambda: names(gateway, 4).count("t0") == 2, "with its share")
        metrics = admin(gateway, "/metrics")
        assert f'target="{addresses[0]}",to="ejected"}} 1' in metrics
        assert f'tetrapylon_upstream_target_up{{upstream="backend",target="{addresses[0]}"}} 1' in metrics


def test_on_its_return_one_failure_ejects_a_target_again_for_twice_as_long() -> None:
    passive = {"consecutive_failures": 3, "eject": "200ms", "longest": "10s"}
    with fleet(2, health={"passive": passive}) as (gateway, switches, _):
        switches[0].well = False
        names(gateway, 6)
        eventually(lambda: "broken" in names(gateway, 2), "it is tried again")
        gateway.wait_line("tried again in 0.4 s")
        assert names(gateway, 6) == ["t1"] * 6


def test_no_more_targets_are_ejected_than_allowed() -> None:
    passive = {"consecutive_failures": 1, "eject": "60s", "max_ejected": "50%"}
    with fleet(2, health={"passive": passive}) as (gateway, switches, _):
        for each in switches:
            each.well = False
        assert names(gateway, 8) == ["broken"] * 8


def test_a_target_that_is_much_slower_than_the_others_is_ejected() -> None:
    def slow(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            threading.Event().wait(0.03)
            peer.send(answers.response(b"slow"))

    passive = {"latency": 3, "window": "300ms", "requests": 4, "eject": "60s"}
    with ExitStack() as stack:
        ups = [stack.enter_context(Upstream(each)) for each in (slow, answers.named("a"), answers.named("b"))]
        gateway = stack.enter_context(
            Gateway(proxy(*(each.url for each in ups), upstream={"health": {"passive": passive}}))
        )
        eventually(
            lambda: bool(names(gateway, 3)) and any("ejected" in line for line in gateway.lines),
            "the slow one is ejected",
            within=15,
        )
        assert "slow" not in names(gateway, 6)


# Active checks


CHECKS = {
    "active": {"path": "/healthz", "interval": "100ms", "timeout": "500ms", "healthy": 2, "unhealthy": 2}
}


def test_checks_take_a_target_out_before_a_client_meets_it_and_bring_it_back() -> None:
    with fleet(2, health=CHECKS) as (gateway, switches, addresses):
        switches[0].well = False
        gateway.wait_line(f"target {addresses[0]} is unhealthy: a check was answered with 500", within=10)
        assert names(gateway, 6) == ["t1"] * 6
        assert standing(gateway, addresses[0])["state"] == "unhealthy"
        switches[0].well = True
        gateway.wait_line(f"target {addresses[0]} is healthy", within=10)
        eventually(lambda: Counter(names(gateway, 4)) == {"t0": 2, "t1": 2}, "both have their share")
        assert all(each.asked["/healthz"] > 2 for each in switches)


def test_with_no_healthy_target_the_answer_is_503_at_once_and_recovers() -> None:
    with fleet(2, health=CHECKS) as (gateway, switches, addresses):
        for each in switches:
            each.well = False
        for address in addresses:
            gateway.wait_line(f"target {address} is unhealthy", within=10)
        with gateway.client() as client:
            eventually(lambda: client.ask("GET", "/").status == 503, "nobody is left")
            began = time.monotonic()
            answer = client.ask("GET", "/")
            assert time.monotonic() - began < 0.5
            assert_problem(answer, 503, "destination_unavailable")
            assert answer.headers.get("Retry-After") == "1"
            switches[1].well = True
            eventually(lambda: client.ask("GET", "/").body == b"t1", "one is back", within=10)
        assert 'tetrapylon_rejects_total{reason="no_target"}' in admin(gateway, "/metrics")


def test_two_workers_share_one_view_and_one_of_them_checks() -> None:
    with fleet(2, health=CHECKS, server={"workers": 2}) as (gateway, switches, _):
        switches[0].well = False
        gateway.wait_line("is unhealthy", within=10)
        for _ in range(12):  # the kernel spreads connections over both
            assert names(gateway, 2) == ["t1", "t1"]
        assert sum("is unhealthy" in line for line in gateway.lines) == 1


def test_a_body_that_does_not_match_fails_a_check() -> None:
    health = {"active": {**CHECKS["active"], "body": "all fine"}}
    with fleet(1, health=health) as (gateway, _, _):
        gateway.wait_line("does not hold 'all fine'", within=10)


def test_a_check_without_a_path_asks_for_a_connection() -> None:
    health = {"active": {"interval": "100ms", "unhealthy": 1, "healthy": 1}}
    with fleet(1, health=health) as (gateway, _, addresses):
        eventually(lambda: standing(gateway, addresses[0])["checked"] == "healthy", "it is checked")


def test_in_a_panic_all_targets_are_used() -> None:
    with fleet(2, health={**CHECKS, "panic": "60%"}) as (gateway, switches, _):
        switches[0].well = False
        gateway.wait_line("is unhealthy", within=10)
        assert Counter(names(gateway, 4)) == {"broken": 2, "t1": 2}


# Breakers


BREAKER = {"failure_rate": "50%", "requests": 4, "open": "400ms", "trials": 2}


def test_a_breaker_of_a_target_leaves_it_alone_and_closes_after_trials() -> None:
    with fleet(2, breaker={"target": BREAKER}) as (gateway, switches, addresses):
        switches[0].well = False
        names(gateway, 8)
        assert standing(gateway, addresses[0])["state"] == "circuit_open"
        assert names(gateway, 4) == ["t1"] * 4
        switches[0].well = True
        eventually(lambda: "t0" in names(gateway, 4), "it is tried")
        eventually(lambda: names(gateway, 4).count("t0") == 2, "with its share")
        gateway.wait_line(f"target {addresses[0]} circuit closed: 2 trials went well")
        assert standing(gateway, addresses[0])["state"] == "up"


def test_the_breaker_of_an_upstream_answers_for_it() -> None:
    with fleet(2, breaker={"upstream": BREAKER}) as (gateway, switches, _), gateway.client() as client:
        for each in switches:
            each.well = False
        for _ in range(4):
            assert client.ask("GET", "/").status == 500
        answer = client.ask("GET", "/")
        assert_problem(answer, 503, "destination_unavailable")
        assert answer.headers.get("Retry-After") == "1"
        asked = sum(each.asked["/"] for each in switches)
        for each in switches:
            each.well = True
        assert client.ask("GET", "/").status == 503
        assert sum(each.asked["/"] for each in switches) == asked
        eventually(lambda: client.ask("GET", "/").status == 200, "it is tried again")
        assert client.ask("GET", "/").status == 200
        gateway.wait_line("all targets circuit closed")


# Overload


def test_what_matters_more_goes_first_and_the_rest_gives_way() -> None:
    gate = threading.Event()
    with ExitStack() as stack:
        stack.callback(gate.set)
        upstream = stack.enter_context(Upstream(answers.raw(gate, answers.response(b"ok"))))
        config = {
            "upstreams": {
                "backend": {"targets": [upstream.url], "pool": {"max_connections": 1, "max_pending": 2}}
            },
            "routes": [
                {"path": f"/{name}", "upstream": "backend", "priority": name}
                for name in ("high", "normal", "low")
            ],
            **ADMIN,
        }
        gateway = stack.enter_context(Gateway(config))

        def send(path: str) -> Any:
            client = stack.enter_context(gateway.client())
            client.send(request("GET", path))
            return client

        def waiting(count: int) -> None:
            text = f"http_server_active_requests {count}\n"
            eventually(lambda: text in admin(gateway, "/metrics"), f"{count} requests are there")

        first = send("/normal")
        upstream.wait_requests(1)
        low = send("/low")
        waiting(2)
        normal = send("/normal")
        waiting(3)
        high = send("/high")
        shed = low.response()
        assert_problem(shed, 503, "connection_limit_reached")
        assert shed.headers.get("Retry-After") == "1"
        late = send("/low").response()
        assert_problem(late, 503, "connection_limit_reached")
        assert late.headers.get("Retry-After") == "1"
        gate.set()
        assert [each.response().status for each in (first, normal, high)] == [200] * 3
        assert [each.target for each in upstream.requests] == ["/normal", "/high", "/normal"]
