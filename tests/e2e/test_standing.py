"""What a target's standing comes from and how long it lasts: rates, slow starts, reloads, load, and keys."""

import hashlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

from tests.e2e.test_targets import ADMIN, Switch, admin, fleet, names, standing
from tests.harness import Conversation, Gateway, Upstream, answers, eventually, net, proxy, request

EJECTING = {"consecutive_failures": 3, "eject": "60s"}


def test_a_share_of_failures_ejects_a_target_that_never_fails_in_a_row() -> None:
    class Wavering(Switch):
        def __call__(self, peer: Conversation) -> None:
            while not peer.reader.at_end():
                self.asked[peer.request().target] += 1
                bad = self.asked.total() % 2
                peer.send(self.bad if bad else answers.response(self.name.encode()))

    passive = {"failure_rate": "40%", "window": "300ms", "requests": 8, "eject": "60s"}
    with ExitStack() as stack:
        wavering = stack.enter_context(Upstream(Wavering("t0"), record=False))
        steady = stack.enter_context(Upstream(Switch("t1"), record=False))
        config = proxy(wavering.url, steady.url, upstream={"health": {"passive": passive}}, **ADMIN)
        gateway = stack.enter_context(Gateway(config))
        eventually(
            lambda: (
                names(gateway, 4) == ["t1"] * 4 and standing(gateway, wavering.address)["state"] == "ejected"
            ),
            "half of its answers are failures",
            within=10,
        )
        gateway.wait_line("requests failed; tried again in 60 s")
        assert standing(gateway, steady.address)["state"] == "up"


def test_each_ejection_is_longer_up_to_the_longest() -> None:
    passive = {"consecutive_failures": 2, "eject": "100ms", "longest": "150ms"}
    with fleet(2, health={"passive": passive}) as (gateway, switches, _):
        switches[0].well = False

        def told(seconds: str) -> bool:
            names(gateway, 2)
            return any(f"tried again in {seconds} s" in line for line in gateway.lines)

        eventually(lambda: told("0.1"), "the first time as `eject` says")
        eventually(lambda: told("0.15"), "then as `longest` allows")
        assert not any("tried again in 0.2 s" in line for line in gateway.lines)


def test_of_a_group_that_has_lost_too_many_the_rest_spills_over() -> None:
    """Two of four: 1.4 times that share is what they still take."""
    passive = {"consecutive_failures": 1, "eject": "60s", "max_ejected": "100%"}
    with fleet(5, {4: {"priority": 1}}, health={"passive": passive}) as (gateway, switches, _):
        assert "t4" not in names(gateway, 40)
        switches[0].well = False
        assert names(gateway, 4).count("broken") == 1
        assert "t4" not in names(gateway, 40), "three of four are enough"
        switches[1].well = False
        eventually(lambda: "broken" in names(gateway, 1), "it is asked")
        answered = Counter(names(gateway, 400))
        assert set(answered) == {"t2", "t3", "t4"}
        assert 80 <= answered["t4"] <= 160, answered
        assert abs(answered["t2"] - answered["t3"]) <= 1


def test_slow_answers_open_a_breaker_though_they_are_good() -> None:
    def slow(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            threading.Event().wait(0.1)
            peer.send(answers.response(b"slow"))

    rules = {"failure_rate": None, "slow_rate": "50%", "slow": "50ms", "requests": 4, "open": "60s"}
    with Upstream(slow) as one, Upstream(answers.named("fast")) as other:
        config = proxy(one.url, other.url, upstream={"breaker": {"target": rules}}, **ADMIN)
        with Gateway(config) as gateway:
            assert names(gateway, 8).count("slow") == 4
            gateway.wait_line(f"target {one.address} circuit opened: 4 of 4 requests were slow")
            assert names(gateway, 4) == ["fast"] * 4
            assert standing(gateway, one.address)["state"] == "circuit_open"
            assert f'target="{one.address}",to="circuit_opened"}} 1' in admin(gateway, "/metrics")


def test_a_target_that_came_back_gets_a_growing_share() -> None:
    health = {"passive": {**EJECTING, "eject": "300ms"}, "slow_start": "3s"}
    with fleet(2, health=health) as (gateway, switches, addresses):
        switches[0].well = False
        names(gateway, 6)
        switches[0].well = True
        eventually(
            lambda: bool(names(gateway, 1)) and standing(gateway, addresses[0])["state"] == "up", "it is back"
        )
        early = names(gateway, 20).count("t0")
        assert 1 <= early <= 7, early
        eventually(lambda: names(gateway, 20).count("t0") == 10, "it has its whole share again", within=10)


# Active checks

CHECK = {"path": "/healthz", "interval": "100ms", "unhealthy": 1, "healthy": 1}


def test_a_check_passes_by_the_statuses_that_are_listed() -> None:
    active = {**CHECK, "status": [204, 418]}
    teapot = answers.raw(answers.response(b"", "418 I'm a Teapot"))
    with Upstream(teapot) as pot, Upstream(answers.named("well")) as well:
        config = proxy(pot.url, well.url, upstream={"health": {"active": active}}, **ADMIN)
        with Gateway(config) as gateway:
            gateway.wait_line(f"target {well.address} is unhealthy: a check was answered with 200")
            eventually(lambda: standing(gateway, pot.address)["checked"] == "healthy", "a teapot is healthy")


def test_a_check_by_connection_alone_finds_who_is_not_there() -> None:
    gone = net.refused()
    active = {"interval": "100ms", "unhealthy": 2, "healthy": 1}
    with Upstream(answers.named("here")) as here:
        config = proxy(here.url, f"http://{gone}", upstream={"health": {"active": active}}, **ADMIN)
        with Gateway(config) as gateway:
            gateway.wait_line(f"target {gone} is unhealthy: a check failed")
            assert names(gateway, 4) == ["here"] * 4
            assert standing(gateway, gone)["state"] == "unhealthy"
            assert not any("healthz" in each.target for each in here.requests)


def test_checks_come_at_intervals_that_differ() -> None:
    """Up to a tenth early, so that the checks of many gateways do not fall together."""
    times: list[float] = []

    def note(peer: Conversation) -> None:
        peer.request()
        times.append(time.monotonic())
        peer.send(answers.response(b"ok"))

    interval = 0.3
    with Upstream(note) as upstream:
        health = {"active": {**CHECK, "interval": f"{interval * 1000:g}ms"}}
        with Gateway(proxy(upstream.url, upstream={"health": health})):
            eventually(lambda: len(times) > 14, "some checks", within=20)
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) < 0.985 * interval, gaps
    assert sorted(gaps)[len(gaps) // 2] > 0.88 * interval, gaps


# What lasts


def test_what_is_known_of_a_target_outlives_a_reload() -> None:
    """Also one that makes its upstream anew."""
    active = {"path": "/healthz", "interval": "100ms", "unhealthy": 1, "healthy": 1}
    health = {"passive": {**EJECTING, "max_ejected": "50%"}, "active": active}
    with fleet(3, health=health) as (gateway, switches, addresses):
        eventually(lambda: standing(gateway, addresses[2])["checked"] == "healthy", "all are checked")
        switches[0].well = False
        switches[2].well = False
        gateway.wait_line(f"target {addresses[0]} is unhealthy", within=10)
        gateway.wait_line(f"target {addresses[2]} is unhealthy", within=10)
        config = proxy(
            *(f"http://{address}" for address in addresses),
            upstream={
                "health": {**health, "active": {**active, "interval": "50s"}},
                "balance": "least_requests",
            },
            **ADMIN,
        )
        gateway.write(config)
        gateway.signal(signal.SIGHUP)
        gateway.wait_line("generation 2")
        assert set(names(gateway, 9)) == {"t1"}


def test_an_ejection_outlives_a_reload() -> None:
    health = {"passive": EJECTING}
    with fleet(2, health=health) as (gateway, switches, addresses):
        switches[0].well = False
        names(gateway, 6)
        assert standing(gateway, addresses[0])["state"] == "ejected"
        config = proxy(
            *(f"http://{address}" for address in addresses),
            upstream={"health": health, "balance": "least_requests"},
            **ADMIN,
        )
        gateway.write(config)
        gateway.signal(signal.SIGHUP)
        gateway.wait_line("generation 2")
        assert names(gateway, 6) == ["t1"] * 6


@contextmanager
def held(balance: dict[str, Any], count: int, requests: int) -> Iterator[list[int]]:
    """How many of so many requests with one key, all under way at once, each target has been sent."""
    gate = threading.Event()
    with ExitStack() as stack:
        stack.callback(gate.set)
        running = [
            stack.enter_context(Upstream(answers.raw(gate, answers.response(b"held")))) for _ in range(count)
        ]
        gateway = stack.enter_context(
            Gateway(proxy(*(each.url for each in running), upstream={"balance": balance}))
        )
        clients = [stack.enter_context(gateway.client()) for _ in range(requests)]
        for client in clients:
            client.send(request("GET", "/", headers=[("X-User", "ada")]))
        eventually(lambda: sum(len(each.requests) for each in running) == requests, "all are under way")
        yield sorted(len(each.requests) for each in running)
        gate.set()
        assert {client.response().status for client in clients} == {200}


def test_a_popular_key_keeps_to_its_target_where_there_is_no_bound() -> None:
    with held({"consistent_hash": "header:X-User"}, 4, 8) as spread:
        assert spread == [0, 0, 0, 8]


def test_a_bound_keeps_a_popular_key_from_drowning_a_target() -> None:
    """Of n requests under way none takes more than 1.25 n / 4, rounded up."""
    with held({"consistent_hash": {"key": "header:X-User", "bound": 1.25}}, 4, 8) as spread:
        assert sum(spread) == 8
        assert spread[-1] <= 3


def test_an_address_is_a_key() -> None:
    """The client's own, where a trusted proxy tells it."""
    server = {"trusted_proxies": ["127.0.0.0/8"]}
    with fleet(4, balance={"consistent_hash": "client"}, server=server) as (gateway, _, _):
        found = [set(names(gateway, 3, [("X-Forwarded-For", f"198.51.100.{last}")])) for last in range(1, 13)]
        assert all(len(each) == 1 for each in found)
        assert len(set.union(*found)) > 1


def test_a_consumer_is_led_to_its_branch() -> None:
    keys = {name: f"key-of-{name}-that-is-long-enough" for name in ("tester", "other")}
    with ExitStack() as stack:
        canary = stack.enter_context(Upstream(answers.named("canary")))
        stable = stack.enter_context(Upstream(answers.named("stable")))
        branches = [{"upstream": "canary", "consumers": ["tester"]}, {"upstream": "stable", "weight": 1}]
        config = {
            "upstreams": {"canary": {"targets": [canary.url]}, "stable": {"targets": [stable.url]}},
            "consumers": [
                {"name": name, "api_keys": ["sha256:" + hashlib.sha256(key.encode()).hexdigest()]}
                for name, key in keys.items()
            ],
            "routes": [
                {
                    "path": "/",
                    "split": {"to": branches},
                    "policies": [{"use": "api_key", "header": "X-API-Key"}],
                }
            ],
        }
        gateway = stack.enter_context(Gateway(config))
        with gateway.client() as client:
            for name, branch in (("tester", b"canary"), ("other", b"stable")):
                answered = Counter(
                    client.ask("GET", "/", headers=[("X-API-Key", keys[name])]).body for _ in range(4)
                )
                assert answered == {branch: 4}
