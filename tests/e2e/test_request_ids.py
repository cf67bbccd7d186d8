"""One id for each request: what the client is told stands in the log, also where no route was found."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers, eventually, request, routed
from tests.harness.wire import Response

ID = re.compile(r"[0-9a-f]{32}")
ROUTES: list[dict[str, Any]] = [
    {"path": "/users", "methods": ["POST"], "upstream": "backend"},
    {"path": "/bare", "respond": {"body": "ok"}},
]
LIMITS = {"limits": {"body": 4, "target_bytes": 100, "header_bytes": "1KiB"}, "timeouts": {"header": "200ms"}}
HOST = b"Host: a\r\n"
ANSWERED = {
    "no route": (request("GET", "/none"), 404),
    "another method": (request("GET", "/users"), 405),
    "OPTIONS of a route": (request("OPTIONS", "/users"), 204),
    "OPTIONS of the gateway": (request("OPTIONS", "*"), 204),
    "a last hop": (request("OPTIONS", "/users", [("Max-Forwards", "0")]), 204),
    "malformed": (b"GET /users HTTP/1.1\r\n" + HOST + b"X-A : b\r\n\r\n", 400),
    "no host": (b"GET /users HTTP/1.1\r\n\r\n", 400),
    "another version": (b"GET /users HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "an expectation": (request("GET", "/users", [("Expect", "x")]), 417),
    "a long target": (request("GET", "/" + "a" * 200), 414),
    "a large head": (request("GET", "/users", [("X-A", "a" * 2000)]), 431),
    "a head that never ends": (b"GET /users HTTP/1.1\r\n" + HOST + b"X-Request-Id: theirs\r\nX-A:", 408),
    "a large body": (request("POST", "/users", body=b"large"), 413),
    "a route's own answer": (request("GET", "/bare"), 200),
    "an upstream that is away": (request("POST", "/users", body=b"x"), 502),
}


def config(settings: dict[str, Any], upstream: str, **more: Any) -> dict[str, Any]:
    return routed(ROUTES, upstream, policies=[{"use": "request_id", **settings}], server=LIMITS, **more)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Upstream(answers.ok) as gone:
        url = gone.url
    with Gateway(config({}, url)) as gateway:
        yield gateway


def answered(gateway: Gateway, said: bytes) -> tuple[Response, dict[str, Any]]:
    """The answer, and its line of the log."""
    before = len(gateway.log)
    with gateway.client() as client:
        answer = client.send(said).response("OPTIONS" if said.startswith(b"OPTIONS") else "GET")
    eventually(lambda: len(gateway.log) > before, "it is logged")
    return answer, gateway.access_log[before]


@pytest.mark.parametrize("name", ANSWERED)
def test_every_answer_has_the_id_that_stands_in_the_log(name: str, gateway: Gateway) -> None:
    said, status = ANSWERED[name]
    answer, line = answered(gateway, said)
    assert (answer.status, line["status"]) == (status, status)
    (told,) = answer.headers.all("X-Request-Id")
    assert ID.fullmatch(told)
    assert line["request_id"] == told


def test_no_two_are_alike(gateway: Gateway) -> None:
    ids = {answered(gateway, request("GET", "/none"))[0].headers.get("X-Request-Id") for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize("path", ["/none", "/bare"])
def test_an_id_that_is_believed_stays(path: str) -> None:
    with Gateway(config({"trust": True}, "http://127.0.0.1:1")) as gateway:
        answer, line = answered(gateway, request("GET", path, [("X-Request-Id", "theirs")]))
        assert answer.headers.all("X-Request-Id") == ["theirs"]
        assert line["request_id"] == "theirs"


@pytest.mark.parametrize("path", ["/none", "/bare"])
def test_an_id_by_another_name_is_the_logs(path: str) -> None:
    with Gateway(config({"header": "X-Correlation-Id"}, "http://127.0.0.1:1")) as gateway:
        fields = [("X-Correlation-Id", "forged"), ("X-Request-Id", "another's")]
        answer, line = answered(gateway, request("GET", path, fields))
        (told,) = answer.headers.all("X-Correlation-Id")
        assert ID.fullmatch(told)
        assert line["request_id"] == told


def test_of_two_ids_that_are_believed_the_first_goes_on_alone() -> None:
    with Upstream(answers.ok) as upstream, Gateway(config({"trust": True}, upstream.url)) as gateway:
        fields = [("X-Request-Id", "first"), ("X-Request-Id", "second")]
        answer, line = answered(gateway, request("POST", "/users", fields, b"x"))
        assert upstream.requests[0].headers.all("X-Request-Id") == ["first"]
        assert (answer.headers.all("X-Request-Id"), line["request_id"]) == (["first"], "first")


def test_a_page_of_ones_own_may_quote_it() -> None:
    pages = [{"status": [404], "type": "text/plain", "body": "{request_id}"}]
    server = {**LIMITS, "errors": pages}
    with Gateway(
        routed(ROUTES, "http://127.0.0.1:1", policies=[{"use": "request_id"}], server=server)
    ) as gateway:
        answer, line = answered(gateway, request("GET", "/none", [("Accept", "text/plain")]))
        assert answer.body.decode() == line["request_id"] == answer.headers.get("X-Request-Id")


def test_where_none_is_asked_for_there_is_none() -> None:
    routes = [{**ROUTES[1], "policies": [{"use": "request_id"}]}]
    with Gateway(routed(routes)) as gateway:
        answer, line = answered(gateway, request("GET", "/none"))
        assert (answer.status, answer.headers.get("X-Request-Id")) == (404, None)
        assert "request_id" not in line
