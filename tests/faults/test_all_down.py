"""With no target left: refused at once, nothing kept waiting, no more load than allowed, and back soon."""

import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.faults.fleet import BUDGET, INTERVAL, RESILIENT, Fleet, fleet, with_settings
from tests.faults.target import Target
from tests.faults.traffic import Traffic
from tests.harness import Client, assert_problem, eventually

RATE = 300
PROMPT = 0.05
"""Seconds within which a request is refused."""


def all_are(here: Fleet, state: str) -> bool:
    return all(here.state(target) == state for target in here.targets)


@pytest.mark.parametrize("way", ["killed", "frozen"])
def test_all_requests_are_refused_promptly_and_answered_again_within_an_interval(way: str) -> None:
    fail, mend = {"killed": (Target.kill, Target.restart), "frozen": (Target.freeze, Target.thaw)}[way]
    with fleet() as here, Traffic(here.gateway.address, RATE) as traffic:
        traffic.run(0.5)
        for target in here.targets:
            fail(target)
        eventually(lambda: all_are(here, "unhealthy"), "the checks have noticed")
        dark = time.monotonic()
        down = traffic.run(2.0)
        for target in here.targets:
            mend(target)
        back = time.monotonic()
        traffic.run(3 * INTERVAL)
        answers = traffic.stop()
        refused = answers.between(dark, down)
        assert len(refused) > RATE
        assert set(refused.statuses) == {503}
        # Other work on this machine delays some: in its best quarter of a second, none is late.
        assert min(each.quantile(1.0) for each in refused.slices(0.25)) <= PROMPT
        errors = [each.due - back for each in answers.between(back, float("inf")) if each.status != 200]
        # A check is made within an interval, and its answer takes a moment; two ejections may have to end.
        assert max(errors, default=0.0) <= INTERVAL + 0.25 + 2 * traffic.lag, errors[-5:]


def test_what_waits_for_a_connection_is_refused_once_no_target_is_left() -> None:
    """Long before its own deadline: there is nothing left to wait for."""
    settings: dict[str, Any] = {"pool": {"max_connections": 2, "max_wait": "30s"}, "retry": None}
    settings["timeouts"] = {"response": "60s"}
    with fleet(2, **settings) as here, ExitStack() as stack:
        for target in here.targets:
            target.freeze()
        clients = [stack.enter_context(here.gateway.client(timeout=20.0)) for _ in range(6)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: all_are(here, "unhealthy"), "the checks have noticed")
        with here.gateway.client() as late:
            assert_problem(late.ask("GET", "/"), 503, "destination_unavailable")
        for client in clients[2:]:
            assert_problem(client.response(), 503, "destination_unavailable")


def test_nothing_waits_past_its_deadline() -> None:
    settings: dict[str, Any] = {
        "pool": {"max_connections": 2, "max_wait": "300ms"},
        "retry": None,
        "health": {},
    }
    settings["timeouts"] = {"response": "1s"}
    with fleet(2, **settings) as here, ExitStack() as stack:
        for target in here.targets:
            target.freeze()
        clients = [stack.enter_context(here.gateway.client()) for _ in range(6)]
        began = time.monotonic()
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in clients[2:]:
            assert client.response().status == 503
        assert 0.2 < time.monotonic() - began < 0.9
        for client in clients[:2]:
            assert client.response().status == 504


def test_retries_add_no_more_than_their_budget() -> None:
    """Measured at the targets, while every one of them fails and says that it is well."""
    with fleet(**with_settings(RESILIENT, health={"passive": None}), workers=1) as here:
        with Traffic(here.gateway.address, RATE) as traffic:
            traffic.run(1.0)
            for target in here.targets:
                target.say("health", 200)
                target.say("status", 500)
            traffic.run(4.0)
            answers = traffic.stop()
        assert answers.statuses[500] > 3 * RATE
        asked = sum(target.requests for target in here.targets)
        assert 1.1 * len(answers) < asked <= (1 + BUDGET) * len(answers) + 3
        assert here.metric("tetrapylon_upstream_retries_total") == asked - len(answers)
        assert here.metric("tetrapylon_upstream_retries_denied_total") > 0


def test_a_target_that_says_it_is_well_and_fails_is_ejected() -> None:
    with fleet() as here, here.gateway.client() as client:
        here.targets[0].say("health", 200)
        here.targets[0].say("status", 500)
        assert {client.ask("GET", "/").status for _ in range(30)} == {200}
        assert here.transitions(here.targets[0], "ejected") == 1
        assert here.transitions(here.targets[0], "unhealthy") == 0


def test_a_target_that_answers_well_and_says_it_is_not_is_left_alone() -> None:
    with fleet() as here, here.gateway.client() as client:
        here.targets[0].say("health", 503)
        eventually(lambda: here.state(here.targets[0]) == "unhealthy", "a check has failed often enough")
        before = here.targets[0].requests
        assert {client.ask("GET", "/").status for _ in range(30)} == {200}
        assert here.targets[0].requests == before


def test_a_frozen_target_does_not_take_every_connection() -> None:
    """With no health checks and no retries: what goes elsewhere is answered while it holds what it has."""
    settings: dict[str, Any] = {
        "pool": {"max_connections": 12},
        "balance": "round_robin",
        "retry": None,
        "health": {},
    }
    settings["timeouts"] = {"response": "60s"}
    with fleet(**settings) as here:
        here.targets[0].freeze()
        answered = 0
        stuck: list[Client] = []
        for _ in range(60):
            client = Client(here.gateway.address, timeout=0.2)
            try:
                answered += client.ask("GET", "/").status == 200
            except TimeoutError:
                stuck.append(client)
            else:
                client.close()
        assert answered >= 50
        for client in stuck:
            client.close()
