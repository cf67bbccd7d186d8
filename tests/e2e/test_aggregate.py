"""Aggregates over real connections: parts at once, parts that hang, and clients that leave."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.harness import Client, Gateway, Upstream, answers, assert_problem, eventually, request
from tests.harness.upstream import Conversation, Script

HEADERS = (("Content-Type", "application/json"),)


def json(body: bytes) -> Script:
    return answers.raw(answers.response(body, headers=HEADERS))


def hang(peer: Conversation) -> None:
    """Takes a request and says nothing."""
    peer.request()
    peer.until_ended()


@contextmanager
def parts(scripts: Mapping[str, Script], /, **settings: Any) -> Iterator[tuple[Gateway, dict[str, Upstream]]]:
    """A gateway whose parts are each an upstream of its own; `settings` are a part's own, by name."""
    with ExitStack() as stack:
        made = {name: stack.enter_context(Upstream(script)) for name, script in scripts.items()}
        config = {
            "upstreams": {name: {"targets": [each.url]} for name, each in made.items()},
            "routes": [
                {
                    "path": "/",
                    "aggregate": {
                        name: {"upstream": name, "path": f"/{name}", **settings.get(name, {})}
                        for name in made
                    },
                }
            ],
        }
        yield stack.enter_context(Gateway(config)), made


def test_parts_are_asked_at_once() -> None:
    """Each answers only once all have been asked."""
    asked = threading.Barrier(3, timeout=10)

    def script(peer: Conversation) -> None:
        while True:
            peer.request()
            asked.wait()
            peer.send(answers.response(b"1", headers=HEADERS))

    with parts({"a": script, "b": script, "c": script}) as (gateway, _), gateway.client() as client:
        for _ in range(3):
            assert client.ask("GET", "/").body == b'{"a":1,"b":1,"c":1}'


def test_connections_to_the_parts_are_kept() -> None:
    with parts({"a": json(b"1"), "b": json(b"[]")}) as (gateway, made), gateway.client() as client:
        for _ in range(5):
            assert client.ask("GET", "/").body == b'{"a":1,"b":[]}'
        assert [len(each.conversations) for each in made.values()] == [1, 1]


def test_a_part_that_hangs_is_given_up_after_its_time_and_named() -> None:
    with (
        parts({"a": json(b"1"), "b": hang}, b={"timeout": "200ms"}) as (gateway, made),
        gateway.client() as client,
    ):
        before = time.monotonic()
        answer = client.ask("GET", "/")
        assert_problem(answer, 504, "http_response_timeout")
        assert b'"part":"b"' in answer.body
        assert 0.15 < time.monotonic() - before < 5
        assert made["b"].conversations[0].ended.wait(5)
        eventually(lambda: len(gateway.access_log) == 1, "it is logged")
        assert gateway.access_log[0]["error"] == "part_failed:b"


def test_the_first_required_part_that_fails_ends_the_others() -> None:
    with (
        parts({"a": hang, "b": answers.raw(answers.response(b"", "500 No"))}) as (gateway, made),
        gateway.client() as client,
    ):
        assert client.ask("GET", "/").status == 502
        eventually(lambda: len(made["a"].conversations) == 1, "the other one was asked, too")
        assert made["a"].conversations[0].ended.wait(5)


def test_an_answer_that_is_cut_short_is_a_failure() -> None:
    cut = answers.once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"[1")
    with parts({"a": cut}, a={"required": False, "default": 0}) as (gateway, _), gateway.client() as client:
        answer = client.ask("GET", "/")
        assert (answer.body, answer.headers.get("X-Partial")) == (b'{"a":0}', "a")


def test_a_client_that_leaves_takes_its_parts_along() -> None:
    with parts({"a": hang, "b": hang}) as (gateway, made):
        client = gateway.client()
        client.send(request("GET", "/"))
        eventually(
            lambda: all(each.conversations and each.conversations[0].received for each in made.values()),
            "both parts are asked",
        )
        client.reset()
        for each in made.values():
            assert each.conversations[0].ended.wait(5)
        with gateway.client() as other:
            assert other.ask("GET", "/none").status == 404


def test_large_answers_come_whole() -> None:
    large = b'"' + b"x" * 900_000 + b'"'
    with parts({"a": json(large), "b": json(large)}) as (gateway, _), gateway.client() as client:
        for _ in range(3):
            assert client.ask("GET", "/").body == b'{"a":' + large + b',"b":' + large + b"}"


def test_requests_in_a_pipeline_are_answered_in_order() -> None:
    with parts({"a": answers.each(lambda asked: answers.response(b"1", headers=HEADERS))}) as (gateway, _):
        client: Client = gateway.client()
        with client:
            client.send(request("GET", "/"), request("GET", "/none"), request("GET", "/"))
            assert [client.response().status for _ in range(3)] == [200, 404, 200]


def test_a_part_that_leads_back_here_is_a_loop_and_ends(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/gateway.sock"
    config = {
        "server": {"listen": [address]},
        "upstreams": {"self": {"targets": [address]}},
        "routes": [{"path": "/", "aggregate": {"a": {"upstream": "self", "path": "/"}}}],
    }
    with Gateway(config) as gateway, gateway.client() as client:
        answer = client.ask("GET", "/")
        assert answer.status == 502
        assert b"it answered with 508" in answer.body
