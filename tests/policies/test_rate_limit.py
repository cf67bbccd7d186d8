"""`rate_limit` on the wire: what it lets through, what it says, and what it counts apart."""

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from tests.harness import Gateway, Response, ask, assert_problem, eventually, routed
from tetrapylon.config import loads
from tetrapylon.errors import ConfigError

PONG = {"respond": {"body": "pong"}}


def limited(*policies: Mapping[str, Any], workers: int = 1, **route: Any) -> dict[str, Any]:
    """A config whose `/` has these policies, and whose `/other` has the last of them."""
    uses = [{"use": "rate_limit", **policy} for policy in policies]
    routes = [
        {"path": "/", "policies": uses, **PONG, **route},
        {"path": "/other", "policies": uses[-1:], **PONG},
    ]
    return routed(routes, server={"workers": workers, "trusted_proxies": ["127.0.0.1/32"]})


def statuses(gateway: Gateway, count: int, target: str = "/", **headers: str) -> list[int]:
    with gateway.client() as client:
        return [client.ask("GET", target, list(headers.items())).status for _ in range(count)]


def test_a_burst_passes_and_what_comes_sooner_is_refused() -> None:
    with Gateway(limited({"rate": "1/m", "burst": 3})) as gateway:
        assert statuses(gateway, 5) == [200] * 3 + [429] * 2
        refused = ask(gateway.address)
        assert_problem(refused, 429, "http_request_denied")
        assert refused.headers.get("RateLimit") == '"1/m";r=0;t=180'
        assert refused.headers.get("RateLimit-Policy") == '"1/m";q=1;w=60'
        assert 50 < int(refused.headers.get("Retry-After") or 0) <= 60


def test_what_is_allowed_is_told_how_much_is_left() -> None:
    with Gateway(limited({"rate": "10/h", "burst": 3})) as gateway:
        answers = [ask(gateway.address) for _ in range(2)]
        assert [answer.headers.get("RateLimit") for answer in answers] == [
            '"10/h";r=2;t=360',
            '"10/h";r=1;t=720',
        ]
        assert not answers[0].headers.has("Retry-After")


@pytest.mark.parametrize(
    ("headers", "allowed", "refused"),
    [("always", True, True), ("refused", False, True), ("never", False, False)],
)
def test_the_draft_fields_can_be_switched_off(headers: str, allowed: bool, refused: bool) -> None:
    with Gateway(limited({"rate": "1/m", "headers": headers})) as gateway:
        yes, no = ask(gateway.address), ask(gateway.address)
        for answer, told in ((yes, allowed), (no, refused)):
            assert answer.headers.has("RateLimit") == told
            assert answer.headers.has("RateLimit-Policy") == told
        assert no.headers.has("Retry-After")


def test_who_waits_as_long_as_told_is_let_through() -> None:
    with Gateway(limited({"rate": "2/s", "burst": 1})) as gateway:
        assert statuses(gateway, 2) == [200, 429]
        eventually(lambda: ask(gateway.address).status == 200, "half a second later", within=2)


def test_several_windows_hold_at_once_and_the_tightest_is_told() -> None:
    with Gateway(limited({"rate": ["60/m", "2/h"], "burst": [5, 2]})) as gateway:
        answers = [ask(gateway.address) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 429, 429]
        assert answers[0].headers.get("RateLimit") == '"2/h";r=1;t=1800'
        assert answers[0].headers.get("RateLimit-Policy") == '"60/m";q=60;w=60, "2/h";q=2;w=3600'


class TestKeys:
    def test_clients_are_counted_apart_by_address(self) -> None:
        with Gateway(limited({"rate": "1/m"})) as gateway:
            for address in ("192.0.2.1", "192.0.2.2"):
                assert statuses(gateway, 2, **{"X-Forwarded-For": address}) == [200, 429]

    def test_an_ipv6_client_is_its_network(self) -> None:
        with Gateway(limited({"rate": "1/m"})) as gateway:
            assert statuses(gateway, 1, **{"X-Forwarded-For": "2001:db8:1:2::1"}) == [200]
            assert statuses(gateway, 1, **{"X-Forwarded-For": "2001:db8:1:2:ffff::9"}) == [429]
            assert statuses(gateway, 1, **{"X-Forwarded-For": "2001:db8:1:3::1"}) == [200]

    @pytest.mark.parametrize(("prefix", "same"), [(48, True), (57, False), (56, True), (128, False)])
    def test_how_large_a_network_is_can_be_said(self, prefix: int, same: bool) -> None:
        with Gateway(limited({"rate": "1/m", "ipv6_prefix": prefix})) as gateway:
            assert statuses(gateway, 1, **{"X-Forwarded-For": "2001:db8:1:200::1"}) == [200]
            second = statuses(gateway, 1, **{"X-Forwarded-For": "2001:db8:1:280::1"})
            assert second == [429 if same else 200]

    def test_a_header_field_counts_by_its_value(self) -> None:
        with Gateway(limited({"rate": "1/m", "key": "header:X-Tenant"})) as gateway:
            assert statuses(gateway, 2, **{"X-Tenant": "a"}) == [200, 429]
            assert statuses(gateway, 2, **{"x-tenant": "b"}) == [200, 429]
            assert statuses(gateway, 2) == [200, 429]
            long = "c" * 5000
            assert statuses(gateway, 2, **{"X-Tenant": long}) == [200, 429]
            assert statuses(gateway, 2, **{"X-Tenant": long + "d"}) == [200, 429]

    def test_a_list_counts_each_combination(self) -> None:
        with Gateway(limited({"rate": "1/m", "key": ["header:A", "header:B"]})) as gateway:
            for a, b in (("x", "y"), ("x", "z"), ("xy", ""), ("", "xy")):
                assert statuses(gateway, 2, A=a, B=b) == [200, 429]

    def test_a_consumer_that_nobody_knows_is_counted_by_address(self) -> None:
        with Gateway(limited({"rate": "1/m", "key": "consumer"})) as gateway:
            assert statuses(gateway, 2, **{"X-Forwarded-For": "192.0.2.1"}) == [200, 429]
            assert statuses(gateway, 2, **{"X-Forwarded-For": "192.0.2.2"}) == [200, 429]

    def test_each_place_counts_by_itself_unless_named_alike(self) -> None:
        with Gateway(limited({"rate": "1/m"})) as gateway:
            assert statuses(gateway, 2) == [200, 429]
            assert statuses(gateway, 2, "/other") == [200, 429]
        with Gateway(limited({"rate": "1/m", "name": "both"})) as gateway:
            assert statuses(gateway, 2) == [200, 429]
            assert statuses(gateway, 2, "/other") == [429, 429]

    @pytest.mark.parametrize(("key", "other"), [("client", 429), (["client", "route"], 200)])
    def test_a_policy_of_all_routes_counts_them_together_or_each(self, key: object, other: int) -> None:
        routes = [{"path": "/", **PONG}, {"path": "/other", **PONG}]
        with Gateway(routed(routes, policies=[{"use": "rate_limit", "rate": "1/m", "key": key}])) as gateway:
            assert statuses(gateway, 2) == [200, 429]
            assert statuses(gateway, 1, "/other") == [other]


class Hammer:
    """Threads that ask as fast as they can, each on one connection; a connection that breaks is made anew."""

    def __init__(self, gateway: Gateway, connections: int, seconds: float) -> None:
        self.answers: list[Response] = []
        self.times: list[float] = []
        self.broken = 0
        self._gateway = gateway
        self._until = time.monotonic() + seconds
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while time.monotonic() < self._until:
            try:
                with self._gateway.client(record=False) as client:
                    while time.monotonic() < self._until:
                        self.answers.append(client.ask())
                        self.times.append(time.monotonic())
            except (OSError, AssertionError):
                self.broken += 1

    def silence(self) -> float:
        """Seconds in which a machine with other work kept everybody from asking."""
        times = sorted(self.times)
        return sum(gap for one, next in pairwise(times) if (gap := next - one) > 0.05)

    def join(self) -> Sequence[Response]:
        for thread in self._threads:
            thread.join()
        return self.answers


@pytest.mark.sockets("workers are processes of the command")
class TestManyWorkers:
    def test_all_workers_count_together(self) -> None:
        rate, burst = 50, 20
        with Gateway(limited({"rate": f"{rate}/s", "burst": burst}, workers=4)) as gateway:
            began = time.monotonic()
            hammer = Hammer(gateway, 12, 2.0)
            answers = hammer.join()
            span = time.monotonic() - began
        allowed = sum(answer.status == 200 for answer in answers)
        assert {answer.status for answer in answers} == {200, 429}
        assert hammer.broken == 0
        assert (2.0 - hammer.silence()) * rate + burst - 2 <= allowed <= span * rate + burst

    def test_a_worker_that_is_killed_leaves_no_key_locked(self) -> None:
        rate, burst = 50, 20
        with Gateway(limited({"rate": f"{rate}/s", "burst": burst}, workers=3)) as gateway:
            began = time.monotonic()
            hammer = Hammer(gateway, 8, 3.0)
            for due in (0.7, 1.4, 2.1):
                eventually(lambda due=due: time.monotonic() - began > due, "a while", within=5)  # type: ignore[misc]
                victim = gateway.workers[0]
                os.kill(victim, signal.SIGKILL)
                eventually(
                    lambda victim=victim: victim not in gateway.workers and len(gateway.workers) == 3,  # type: ignore[misc]
                    "another takes its place",
                    within=10,
                )
            answers = hammer.join()
            span = time.monotonic() - began
            allowed = sum(answer.status == 200 for answer in answers)
            assert allowed <= span * rate + burst
            assert allowed >= (3.0 * 0.8 - hammer.silence()) * rate
            eventually(lambda: ask(gateway.address).status == 200, "the key is free again")
            assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("rate: 100", "rate: expected a rate such as 100/s"),
        (
            "rate: 100/sec",
            "'100/sec' is not a rate; expected a number per unit of time, such as 100/s or 6000/m",
        ),
        ("rate: 0/s", "lets nobody through; expected more than 0"),
        ("rate: 2000000/s", "too fast to be counted; expected at most 1000000/s"),
        ("rate: [1/s, 1/m], burst: 3", "there are 2 rates and 1 bursts; give one burst for each rate"),
        ("rate: 1/d, burst: 1000", "longer than a year"),
        ("rate: 1/s, burst: 0", "burst: 0 is out of range; expected at least 1"),
        ("rate: 1/s, key: ip", "'ip' is nothing to count by; did you mean client?"),
        ("rate: 1/s, key: header", "did you mean header:NAME?"),
        ("rate: 1/s, key: [client, 'header:a/b']", "'a/b' is not a header name"),
        ("rate: 1/s, store: redis", "it is not said where Redis is; add `redis: redis://HOST:PORT/0`"),
        ("rate: 1/s, redis: 'redis://h'", "nothing is kept in Redis; add `store: redis`"),
        ("rate: 1/s, store: redis, redis: '127.0.0.1:6379'", "is not the URL of a Redis"),
        ("rate: 1/s, on_failure: opened", "did you mean open?"),
        ("rates: 1/s", "did you mean `rate`?"),
        ("burst: 3", "`rate` is missing"),
    ],
)
def test_what_cannot_be_counted_is_told_with_its_place(settings: str, told: str) -> None:
    text = (
        f"routes:\n  - path: /\n    respond: {{body: x}}\n    policies: [{{use: rate_limit, {settings}}}]\n"
    )
    with pytest.raises(ConfigError) as refused:
        loads(text, "gateway.yaml")
    assert told in str(refused.value)
    assert ":4:" in str(refused.value)
