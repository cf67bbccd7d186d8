"""`transform` and `validate` over real connections: what they leave alone streams by, from the first byte."""

import threading
from typing import Any

import pytest

from tests.harness import LAST_CHUNK, Conversation, Gateway, Upstream, answers, chunk, request

CHANGE = {"drop": ["secret"]}
POLICIES: dict[str, dict[str, Any]] = {
    "transform": {"use": "transform", "request": CHANGE, "response": CHANGE},
    "reported answers": {
        "use": "validate",
        "answers": "report",
        "responses": {"200": {"schema": {"type": "object"}}},
    },
}


def gateway(upstream: Upstream, policy: dict[str, Any]) -> Gateway:
    routes = [{"path": "/", "upstream": "up", "policies": [policy]}]
    return Gateway({"upstreams": {"up": {"targets": [upstream.url]}}, "routes": routes})


@pytest.mark.parametrize("name", POLICIES)
def test_answers_of_another_type_arrive_as_they_are_sent(name: str) -> None:
    gates = [threading.Event() for _ in range(2)]
    events = [b"data: 1\n\n", b"data: 2\n\n"]
    with (
        Upstream(answers.events(*zip(gates, events, strict=True))) as upstream,
        gateway(upstream, POLICIES[name]) as running,
        running.client() as client,
    ):
        client.send(request())
        head = client.head()
        body = client.reader.response_body(head)
        for gate, event in zip(gates, events, strict=True):
            assert client.is_idle()
            gate.set()
            assert next(body) == event
        assert list(body) == []


def test_uploads_of_another_type_arrive_as_they_are_sent() -> None:
    came = threading.Event()

    def script(peer: Conversation) -> None:
        body = peer.reader.request_body(peer.head())
        assert next(body) == b"first"
        came.set()
        assert list(body) == [b"second"]
        peer.send(answers.response(b"taken"))

    with (
        Upstream(script) as upstream,
        gateway(upstream, POLICIES["transform"]) as running,
        running.client() as client,
    ):
        fields = [("Transfer-Encoding", "chunked"), ("Content-Type", "text/csv")]
        client.send(request("POST", "/", fields), chunk(b"first"))
        assert came.wait(5)
        client.send(chunk(b"second"), LAST_CHUNK)
        assert client.response("POST").body == b"taken"


def test_json_is_held_until_it_can_be_rewritten() -> None:
    gate = threading.Event()
    head = answers.chunked_head(headers=[("Content-Type", "application/json")])
    script = answers.raw(head + chunk(b'{"a":1,'), gate, chunk(b'"secret":2}') + LAST_CHUNK)
    with (
        Upstream(script) as upstream,
        gateway(upstream, POLICIES["transform"]) as running,
        running.client() as client,
    ):
        client.send(request())
        assert client.is_idle()
        gate.set()
        assert client.response().body == b'{"a":1}'
