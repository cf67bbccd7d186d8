"""Requests that are sent again: after what, how often, and what is never sent again."""

import json
import threading
import time
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
    through,
)
from tests.harness.upstream import Script


def failing(status: str = "503 Service Unavailable") -> Script:
    return answers.raw(answers.response(b"not me", status))


def reset(peer: Conversation) -> None:
    peer.request()
    peer.reset()


GOOD = answers.named("good")


@contextmanager
def pair(bad: Script, good: Script = GOOD, **upstream: Any) -> Iterator[tuple[Gateway, Upstream, Upstream]]:
    """A gateway before two targets, the bad one asked first; the account of retries is generous."""
    settings = {"retry": {"budget": "100%", "backoff": "1ms"}, **upstream}
    with ExitStack() as stack:
        first = stack.enter_context(Upstream(bad))
        second = stack.enter_context(Upstream(good))
        gateway = stack.enter_context(Gateway(proxy(first.url, second.url, upstream=settings)))
        yield gateway, first, second


@pytest.mark.parametrize("bad", [failing(), failing("502 Bad Gateway"), reset], ids=["503", "502", "reset"])
def test_what_one_target_fails_at_another_is_asked(bad: Script) -> None:
    with pair(bad) as (gateway, first, second), gateway.client() as client:
        assert [client.ask("GET", f"/{i}").body for i in range(4)] == [b"good"] * 4
        assert len(second.requests) == 4
        assert first.requests, "the bad one was tried, too"


class TestTheLog:
    """`upstream` is the target that answered, `resend_count` how often another try was made for it."""

    @staticmethod
    def line(gateway: Gateway) -> dict[str, Any]:
        eventually(lambda: bool(gateway.access_log), "it is logged")
        return gateway.access_log[0]

    @pytest.mark.parametrize("bad", [failing(), reset], ids=["503", "reset"])
    def test_it_tells_of_another_target(self, bad: Script) -> None:
        with pair(bad) as (gateway, first, second), gateway.client() as client:
            assert client.ask("GET", "/").body == b"good"
            line = self.line(gateway)
            assert first.requests, "the bad one was asked first"
            assert (line["status"], line["resend_count"], line["upstream"]) == (200, 1, second.address)

    def test_it_tells_of_a_target_that_could_not_be_connected_to(self) -> None:
        with pair(GOOD) as (gateway, first, second), gateway.client() as client:
            first.close()
            assert client.ask("GET", "/").body == b"good"
            line = self.line(gateway)
            assert (line["status"], line["resend_count"], line["upstream"]) == (200, 1, second.address)

    def test_it_tells_of_all_tries_that_failed(self) -> None:
        settings = {"retry": {"attempts": 2, "budget": "100%", "backoff": "1ms"}}
        with through(failing(), upstream=settings) as (client, upstream, gateway):
            assert client.ask("GET", "/").status == 503
            assert len(upstream.requests) == 3
            line = self.line(gateway)
            assert (line["status"], line["resend_count"], line["upstream"]) == (503, 2, upstream.address)

    def test_it_tells_of_a_kept_connection_that_was_dead(self) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(answers.response(b"ok"))
            if peer.index == 0:
                peer.head()
                peer.reset()
            else:
                answers.silent(peer)

        with through(script) as (client, _, gateway):
            assert [client.ask("GET", "/").status for _ in range(2)] == [200, 200]
            eventually(lambda: len(gateway.access_log) == 2, "both are logged")
            assert [line.get("resend_count") for line in gateway.access_log] == [None, 1]

    def test_it_says_nothing_of_those_that_were_sent_once(self) -> None:
        with pair(GOOD) as (gateway, _, _), gateway.client() as client:
            assert client.ask("GET", "/").status == 200
            assert "resend_count" not in self.line(gateway)


def test_a_status_that_is_not_listed_goes_down() -> None:
    with pair(failing("500 Internal Server Error")) as (gateway, _, _), gateway.client() as client:
        assert {client.ask("GET", "/").status for _ in range(4)} == {200, 500}


def test_the_last_answer_goes_down_where_all_fail() -> None:
    with pair(failing(), failing()) as (gateway, first, second), gateway.client() as client:
        answer = client.ask("GET", "/")
        assert (answer.status, answer.body) == (503, b"not me")
        assert len(first.requests) + len(second.requests) == 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_method_that_is_not_idempotent_is_sent_once(method: str) -> None:
    with pair(failing(), failing()) as (gateway, first, second), gateway.client() as client:
        assert client.ask(method, "/", body=b"once").status == 503
        assert len(first.requests) + len(second.requests) == 1


def test_a_method_that_the_config_names_is_sent_again_with_its_body() -> None:
    retry = {"methods": ["POST"], "budget": "100%"}
    with pair(failing(), answers.echo, retry=retry) as (gateway, first, _), gateway.client() as client:
        for _ in range(2):
            told = json.loads(client.ask("POST", "/", body=b"twice").body)
            assert told["body"] == "twice"
        assert first.requests[0].body == b"twice"


def test_a_body_larger_than_the_buffer_is_streamed_and_sent_once() -> None:
    with (
        pair(failing(), failing(), retry={"body": "1KiB", "budget": "100%"}) as (gateway, first, second),
        gateway.client() as client,
    ):
        assert client.ask("PUT", "/", body=bytes(2000)).status == 503
        assert len(first.requests) + len(second.requests) == 1


def test_a_try_that_takes_too_long_is_given_up_for_another() -> None:
    gate = threading.Event()
    slow = answers.raw(gate, answers.response(b"slow"))
    retry = {"try_timeout": "200ms", "budget": "100%"}
    with pair(slow, retry=retry) as (gateway, _, _), gateway.client() as client:
        began = time.monotonic()
        assert [client.ask("GET", "/").body for _ in range(2)] == [b"good"] * 2
        assert time.monotonic() - began < 2
        gate.set()


def test_before_a_retry_there_is_a_pause_of_chance() -> None:
    """So that those whom one failure hit together do not come together again."""
    failed: list[float] = []
    asked: list[float] = []

    def bad(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            failed.append(time.monotonic())
            peer.send(answers.response(b"no", "503 Service Unavailable"))

    def good(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            asked.append(time.monotonic())
            peer.send(answers.response(b"good"))

    retry = {"budget": "100%", "backoff": "160ms"}
    with pair(bad, good, retry=retry) as (gateway, _, _), gateway.client() as client:
        pauses: list[float] = []
        while len(pauses) < 16:
            before = len(failed)
            assert client.ask("GET", "/").body == b"good"
            if len(failed) > before:
                pauses.append(asked[-1] - failed[-1])
    assert min(pauses) < 0.08 < max(pauses), pauses
    assert sorted(pauses)[-3] < 0.2, pauses


def test_the_last_try_has_the_time_of_the_response() -> None:
    """With no try left to hurry for, `try_timeout` counts no more."""

    def late(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            peer.wait(gate)
            peer.send(answers.response(b"late"))

    gate = threading.Event()
    timer = threading.Timer(0.6, gate.set)
    with (
        pair(late, late, retry={"try_timeout": "100ms", "budget": "100%"}) as (gateway, _, _),
        gateway.client() as client,
    ):
        timer.start()
        assert client.ask("GET", "/").body == b"late"


def test_retries_never_exceed_their_budget() -> None:
    """Measured at the upstreams: an outage is not multiplied."""
    with pair(failing(), failing(), retry={"attempts": 5, "budget": "20%", "backoff": "0ms"}) as (
        gateway,
        a,
        b,
    ):
        with gateway.client() as client:
            for _ in range(200):
                assert client.ask("GET", "/").status == 503
        assert 200 < len(a.requests) + len(b.requests) <= 240


def test_the_total_is_for_all_tries_and_told_to_the_target() -> None:
    gate = threading.Event()
    settings = {
        "retry": {"attempts": 3, "try_timeout": "150ms", "budget": "100%"},
        "timeouts": {"total": "1s", "header": "X-Time-Left"},
    }
    hang = answers.raw(gate, answers.response(b"never"))
    with pair(hang, hang, **settings) as (gateway, first, second), gateway.client() as client:
        began = time.monotonic()
        client.send(request("GET", "/", headers=[("X-Time-Left", "99999")]))
        assert_problem(client.response(), 504)
        assert 0.9 < time.monotonic() - began < 2
        left = [r.headers.get("X-Time-Left") for r in [*first.requests, *second.requests]]
        times = sorted((int(each) for each in left if each is not None), reverse=True)
        assert len(times) >= 3
        assert all(len(r.headers.all("X-Time-Left")) == 1 for r in [*first.requests, *second.requests])
        assert 900 < times[0] <= 1000
        assert times[0] - times[2] > 200
        gate.set()


def test_without_retry_nothing_is_sent_again() -> None:
    with (
        Upstream(failing()) as upstream,
        Gateway(proxy(upstream.url)) as gateway,
        gateway.client() as client,
    ):
        assert client.ask("GET", "/").status == 503
        assert len(upstream.requests) == 1
