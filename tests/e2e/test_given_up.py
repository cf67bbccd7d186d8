"""A response that was given up half-way leaves nothing behind in the connection's next exchange."""

import gzip

from tests.harness import Conversation, Gateway, Upstream, answers, assert_problem, request, routed

BOMB = gzip.compress(bytes(1 << 22))
JSON = ("Content-Type", "application/json")


def test_one_too_large_for_who_wants_it_whole_ends_with_its_exchange() -> None:
    """Its client has asked for more already, so that its exchange is at once another's."""

    def script(peer: Conversation) -> None:
        while not peer.reader.at_end():
            if peer.request().target == "/":
                peer.send(answers.response(BOMB, headers=[("Content-Encoding", "gzip"), JSON]))
            else:
                peer.send(answers.response(b"{}", headers=[JSON]))

    transform = {"use": "transform", "limit": "1KiB", "response": {"default": {"a": 1}}}
    routes = [
        {"path": "/{rest:path}", "upstream": "backend", "policies": [transform, {"use": "decompress"}]},
        {"path": "/", "upstream": "backend", "policies": [transform, {"use": "decompress"}]},
    ]
    with Upstream(script) as upstream, Gateway(routed(routes, upstream.url)) as gateway:
        for _ in range(3):
            with gateway.client() as client:
                client.send(request() + request("GET", "/small") + request("GET", "/small"))
                assert_problem(client.response(), 502, "http_response_body_size")
                assert client.response().body == b'{"a":1}'
                assert client.response().body == b'{"a":1}'
