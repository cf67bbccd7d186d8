"""Routes end to end: own answers, redirects, rewrites, and what happens where there is none."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers, assert_problem, request, routed

REGISTERED = [each for each in HTTPStatus if each >= 200]
UPGRADE = {HTTPStatus.UPGRADE_REQUIRED: {"Upgrade": "websocket"}}
"""What a 426 has to have (RFC 9110 section 15.5.22)."""
ROUTES: list[dict[str, Any]] = [
    {"path": "/ping", "respond": {"status": 200, "body": "pong"}},
    {"path": "/teapot", "respond": {"status": 418, "body": "{}", "content_type": "application/json"}},
    {"path": "/empty", "respond": {"status": 204}},
    {"path": "/old", "redirect": {"to": "/new", "status": 308}},
    {"path": "/moved/{name}", "redirect": {"to": "https://shop.test/{name}", "status": 302}},
    {"path": "/static/{rest:path}", "upstream": "backend", "rewrite": "/assets/{rest}"},
    {"path": "/users/{id:int}", "methods": ["GET"], "upstream": "backend", "rewrite": "/u/{id}/profile"},
    {"path": "/users/{id:int}", "methods": ["DELETE"], "upstream": "backend"},
    {"path": "/users/me", "respond": {"body": "literal"}},
    {"path": "/users/{name}", "respond": {"body": "plain"}},
    {"path": "/users/{rest:path}", "respond": {"body": "rest"}},
    {"path": "/plain/{rest:path}", "upstream": "backend"},
    {"path": "/items/{id:int}", "methods": ["GET"], "respond": {"body": "item"}},
    {"path": "/items/{id:int}", "methods": ["DELETE"], "respond": {"status": 204}},
    {"path": "/host", "host": "a.test", "respond": {"body": "exact"}},
    {"path": "/host", "host": "*.a.test", "respond": {"body": "wildcard"}},
    {"path": "/host", "respond": {"body": "any"}},
    {"path": "/header", "headers": {"X-Version": "2"}, "respond": {"body": "two"}},
    {"path": "/header", "respond": {"body": "one"}},
    *(
        {"path": f"/status/{each.value}", "respond": {"status": each.value, "headers": UPGRADE.get(each, {})}}
        for each in REGISTERED
    ),
]
PHRASES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URI Too Long",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "Range Not Satisfiable",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
    HTTPStatus.IM_A_TEAPOT: "",
}
"""Where RFC 9110 renamed what Python's library has, and one that was never registered."""


@pytest.fixture(scope="module")
def routes() -> Iterator[Gateway]:
    with Upstream(answers.echo) as upstream, Gateway(routed(ROUTES, upstream.url)) as gateway:
        yield gateway


def target(gateway: Gateway, asked: str) -> object:
    """The target that the upstream was asked for."""
    with gateway.client() as client:
        response = client.ask("GET", asked)
        assert response.status == 200, response
        return answers.told(response.body)["target"]


class TestRespond:
    @pytest.mark.parametrize("status", REGISTERED)
    def test_a_registered_status_has_its_phrase(self, routes: Gateway, status: HTTPStatus) -> None:
        with routes.client() as client:
            response = client.ask("GET", f"/status/{status.value}")
            assert (response.status, response.head.reason) == (status, PHRASES.get(status, status.phrase))

    def test_body_and_type(self, routes: Gateway) -> None:
        with routes.client() as client:
            response = client.ask("GET", "/ping")
            assert (response.status, response.body) == (200, b"pong")
            assert response.headers.get("Content-Type") == "text/plain; charset=utf-8"
            assert response.headers.get("Content-Length") == "4"
            assert client.ask("GET", "/teapot").headers.get("Content-Type") == "application/json"

    def test_head_follows_get(self, routes: Gateway) -> None:
        with routes.client() as client:
            response = client.ask("HEAD", "/ping")
            assert (response.status, response.headers.get("Content-Length"), response.body) == (200, "4", b"")
            assert client.ask("GET", "/ping").body == b"pong"

    def test_204_has_no_length(self, routes: Gateway) -> None:  # RFC 9110, 8.6
        with routes.client() as client:
            response = client.ask("GET", "/empty")
            assert response.status == 204
            assert not response.headers.has("Content-Length")
            assert client.ask("GET", "/ping").body == b"pong"

    def test_a_request_body_is_read_past(self, routes: Gateway) -> None:
        with routes.client() as client:
            client.send(request("POST", "/ping", body=b"x" * 10_000) + request("GET", "/ping"))
            assert [client.response().body for _ in range(2)] == [b"pong", b"pong"]


class TestRedirect:
    def test_status_and_place(self, routes: Gateway) -> None:
        with routes.client() as client:
            response = client.ask("GET", "/old")
            assert (response.status, response.headers.get("Location")) == (308, "/new")

    def test_parameters_are_filled_in(self, routes: Gateway) -> None:
        with routes.client() as client:
            response = client.ask("GET", "/moved/caf%C3%A9")
            assert (response.status, response.headers.get("Location")) == (302, "https://shop.test/caf%C3%A9")

    @pytest.mark.parametrize("name", ["a%0D%0AX-Injected:1", "a%0aSet-Cookie:b=c"])
    def test_nothing_can_be_injected(self, routes: Gateway, name: str) -> None:
        with routes.client() as client:
            response = client.ask("GET", f"/moved/{name}")
            assert not {n.lower() for n in response.headers.names()} & {"x-injected", "set-cookie"}
            assert "\r" not in (response.headers.get("Location") or "")


class TestRewrite:
    @pytest.mark.parametrize(
        ("asked", "sent"),
        [
            ("/static/css/site.css", "/assets/css/site.css"),
            ("/static/a%2Fb?v=1&v=2", "/assets/a%2Fb?v=1&v=2"),
            ("/users/42", "/u/42/profile"),
            ("/users/42?full", "/u/42/profile?full"),
            ("/plain/as/it/is?x", "/plain/as/it/is?x"),
        ],
    )
    def test_fills_in_parameters_and_keeps_the_query(self, routes: Gateway, asked: str, sent: str) -> None:
        assert target(routes, asked) == sent


class TestNormalisation:
    @pytest.mark.parametrize(
        ("asked", "sent"),
        [
            ("/plain/a/./b", "/plain/a/b"),
            ("/plain/a/../b", "/plain/b"),
            ("/plain/a/%2e%2E/b", "/plain/b"),
            ("/x/../plain/y", "/plain/y"),
            ("/../../plain/y", "/plain/y"),
            ("/plain/%41%7e%2D", "/plain/A~-"),
            ("/plain/a%2fb", "/plain/a%2Fb"),
            ("/plain/%e2%98%83", "/plain/%E2%98%83"),
            ("/plain/a/..?q=/../", "/plain/?q=/../"),
        ],
    )
    def test_paths_are_matched_and_sent_normalised(self, routes: Gateway, asked: str, sent: str) -> None:
        assert str(target(routes, asked)).upper() == sent.upper()
        if "%" not in asked:
            assert target(routes, asked) == sent

    def test_an_escaped_slash_separates_nothing(self, routes: Gateway) -> None:
        with routes.client() as client:
            assert client.ask("GET", "/users/a%2Fb").body == b"plain"
            assert client.ask("GET", "/users/a/b").body == b"rest"

    def test_dots_cannot_reach_another_route(self, routes: Gateway) -> None:
        with routes.client() as client:
            assert client.ask("GET", "/plain/../ping").body == b"pong"
            assert client.ask("GET", "/plain/%2e%2e/ping").body == b"pong"


class TestPrecedence:
    @pytest.mark.parametrize(
        ("path", "body"), [("/users/me", b"literal"), ("/users/ann", b"plain"), ("/users/ann/pets", b"rest")]
    )
    def test_most_specific_path(self, routes: Gateway, path: str, body: bytes) -> None:
        with routes.client() as client:
            assert client.ask("GET", path).body == body

    @pytest.mark.parametrize(
        ("host", "body"),
        [
            ("a.test", b"exact"),
            ("A.TEST:8080", b"exact"),
            ("b.a.test", b"wildcard"),
            ("c.test", b"any"),
        ],
    )
    def test_host(self, routes: Gateway, host: str, body: bytes) -> None:
        with routes.client() as client:
            assert client.send(request("GET", "/host", host=host)).response().body == body

    def test_headers(self, routes: Gateway) -> None:
        with routes.client() as client:
            assert client.ask("GET", "/header", [("x-version", "2")]).body == b"two"
            assert client.ask("GET", "/header", [("X-Version", "3")]).body == b"one"
            assert client.ask("GET", "/header").body == b"one"


class TestNoRoute:
    @pytest.mark.parametrize("path", ["/", "/nowhere", "/PING", "/ping/", "/pin", "/pingg"])
    def test_unknown_path_is_404(self, routes: Gateway, path: str) -> None:
        with routes.client() as client:
            assert_problem(client.ask("GET", path), 404)
            assert client.ask("GET", "/ping").body == b"pong"

    def test_unknown_method_is_405_and_tells_which_are_known(self, routes: Gateway) -> None:
        with routes.client() as client:
            response = client.ask("POST", "/items/42", body=b"x")
            assert_problem(response, 405)
            allowed = (response.headers.get("Allow") or "").replace(" ", "").split(",")
            assert sorted(allowed) == ["DELETE", "GET", "HEAD", "OPTIONS"]
