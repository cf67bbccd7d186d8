"""`cors`: preflights answered here, and what pages of other origins may read."""

from typing import Any

import pytest

from tests.harness import Gateway, Response, Upstream, answers, assert_problem
from tests.policies.rigs import behind, problems
from tetrapylon._core.policies.cors import Origins

SHOP = "https://shop.example"
CORS: dict[str, Any] = {"use": "cors", "origins": [SHOP, "https://*.example.org"]}


def preflight(origin: str = SHOP, method: str = "PUT", headers: str = "") -> list[tuple[str, str]]:
    fields = [("Origin", origin), ("Access-Control-Request-Method", method)]
    return [*fields, ("Access-Control-Request-Headers", headers)] if headers else fields


def allowed(answer: Response) -> dict[str, str]:
    prefix = "access-control-"
    return {
        name.lower().removeprefix(prefix): value for name, value in answer.headers if prefix in name.lower()
    }


class TestPreflights:
    def test_are_answered_without_the_upstream(self) -> None:
        with behind({**CORS, "max_age": "5m"}) as (client, upstream, _):
            answer = client.ask("OPTIONS", "/a", preflight(headers="content-type, AUTHORIZATION"))
            assert (answer.status, answer.body) == (204, b"")
            assert allowed(answer) == {
                "allow-origin": SHOP,
                "allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
                "allow-headers": "Authorization, Content-Type",
                "max-age": "300",
            }
            varies = {name.strip().lower() for line in answer.headers.all("Vary") for name in line.split(",")}
            assert varies == {"origin", "access-control-request-method", "access-control-request-headers"}
            assert client.ask("GET").status == 200
            assert [request.method for request in upstream.requests] == ["GET"]

    def test_go_to_the_route_of_the_request_that_they_announce(self) -> None:
        with Upstream(answers.echo) as upstream:
            config = {
                "upstreams": {"backend": {"targets": [upstream.url]}},
                "routes": [
                    {"path": "/a", "methods": ["GET"], "upstream": "backend"},
                    {"path": "/a", "methods": ["PUT"], "upstream": "backend", "policies": [CORS]},
                ],
            }
            with Gateway(config) as gateway, gateway.client() as client:
                assert allowed(client.ask("OPTIONS", "/a", preflight()))["allow-origin"] == SHOP
                plain = client.ask("OPTIONS", "/a", preflight(method="GET"))
                assert (plain.status, allowed(plain)) == (204, {})
                assert plain.headers.get("Allow") is not None
                assert allowed(client.ask("OPTIONS", "/a")) == {}
            assert upstream.requests == []

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            (preflight("https://evil.example"), "cors_origin"),
            (preflight(SHOP + ".evil.example"), "cors_origin"),
            (preflight("null"), "cors_origin"),
            (preflight(method="TRACE"), "cors_method"),
            (preflight(method="put"), "cors_method"),
            (preflight(headers="x-secret"), "cors_header"),
            ([*preflight(), ("Origin", "https://evil.example")], "cors_origin"),
        ],
    )
    def test_others_are_refused(self, fields: list[tuple[str, str]], reason: str) -> None:
        with behind(CORS) as (client, upstream, _):
            answer = client.ask("OPTIONS", "/", fields)
            assert_problem(answer, 403, "http_request_denied")
            assert f'"reason":"{reason}"'.encode() in answer.body
            assert "allow-methods" not in allowed(answer)
            assert "Origin" in answer.headers.all("Vary")
            assert upstream.requests == []

    def test_any_header_is_named_back(self) -> None:
        with behind({**CORS, "headers": ["*"]}) as (client, _, _gateway):
            answer = client.ask("OPTIONS", "/", preflight(headers="x-a,x-b"))
            assert allowed(answer)["allow-headers"] == "x-a,x-b"

    def test_an_options_that_is_no_preflight_is_the_upstreams(self) -> None:
        with behind(CORS) as (client, upstream, _):
            assert client.ask("OPTIONS", "/", [("Origin", SHOP)]).status == 200
            assert len(upstream.requests) == 1


class TestResponses:
    def test_tell_browsers_what_they_may_read(self) -> None:
        theirs = answers.raw(
            answers.response(b"ok", headers=[("Access-Control-Allow-Origin", "*"), ("Vary", "Accept")])
        )
        policy = {**CORS, "credentials": True, "expose": ["X-Total", "ETag"]}
        with behind(policy, script=theirs) as (client, _, _gateway):
            answer = client.ask("GET", "/", [("Origin", "https://a.b.example.org")])
            assert allowed(answer) == {
                "allow-origin": "https://a.b.example.org",
                "allow-credentials": "true",
                "expose-headers": "X-Total, ETag",
            }
            assert answer.headers.all("Vary") == ["Accept", "Origin"]

    @pytest.mark.parametrize("fields", [[], [("Origin", "https://evil.example")]])
    def test_vary_also_where_nothing_is_allowed(self, fields: list[tuple[str, str]]) -> None:
        with behind(CORS) as (client, _, _gateway):
            answer = client.ask("GET", "/", fields)
            assert allowed(answer) == {}
            assert answer.headers.all("Vary") == ["Origin"]

    def test_for_everyone(self) -> None:
        with behind({"use": "cors", "origins": ["*"]}) as (client, _, _gateway):
            answer = client.ask("GET", "/", [("Origin", "https://a.example")])
            assert allowed(answer) == {"allow-origin": "*"}
            assert not answer.headers.has("Vary")

    def test_errors_can_be_read_too(self) -> None:
        with behind(CORS, upstream={"targets": ["http://127.0.0.1:1"]}) as (client, _, _gateway):
            answer = client.ask("GET", "/", [("Origin", SHOP)])
            assert (answer.status, allowed(answer)["allow-origin"]) == (502, SHOP)


class TestOrigins:
    @pytest.mark.parametrize(
        ("listed", "origin", "taken"),
        [
            ("https://a.example", b"https://a.example", True),
            ("https://a.example", b"http://a.example", False),
            ("https://a.example", b"https://a.example:8443", False),
            ("https://a.example:443", b"https://a.example", True),
            ("http://a.example:8080", b"http://a.example:8080", True),
            ("https://*.a.example", b"https://b.a.example", True),
            ("https://*.a.example", b"https://c.b.a.example", True),
            ("https://*.a.example", b"https://a.example", False),
            ("https://*.a.example", b"https://.a.example", False),
            ("https://*.a.example", b"https://b..a.example", False),
            ("https://*.a.example", b"https://evila.example", False),
            ("https://*.a.example", b"https://b.a.example.evil", False),
            ("https://*.a.example", b"https://evil/.a.example", False),
            ("https://*.a.example", b"https://evil:80.a.example", False),
            ("https://*.a.example", b"https://u@b.a.example", False),
            ("https://*.a.example", b"https://b.a.example:444", False),
            ("https://*.a.example:444", b"https://b.a.example:444", True),
            ("https://*.a.example:*", b"https://b.a.example:1", True),
            ("http://localhost:*", b"http://localhost:5173", True),
            ("http://localhost:*", b"http://localhost", True),
            ("http://localhost:*", b"http://localhost:", False),
            ("http://localhost:*", b"http://localhost:1x", False),
            ("http://localhost:*", b"http://localhost.evil:80", False),
            ("http://[::1]:*", b"http://[::1]:80", True),
            ("null", b"null", True),
            ("*", b"anything", True),
        ],
    )
    def test_patterns(self, listed: str, origin: bytes, taken: bool) -> None:
        assert (origin in Origins(listed)) is taken

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"origins": ["https://a.example/"]}, "did you mean https://a.example?"),
            ({"origins": ["HTTPS://A.example"]}, "did you mean https://a.example?"),
            ({"origins": ["a.example"]}, "did you mean https://a.example?"),
            ({"origins": ["https://*"]}, "'https://*' is no origin"),
            ({"origins": []}, "the list is empty"),
            ({"origins": ["*"], "credentials": True}, "browsers refuse credentials"),
            ({"origins": ["*", "null"]}, "`*` allows every origin already"),
        ],
    )
    def test_what_is_none_is_refused(self, settings: dict[str, Any], said: str) -> None:
        found = problems({"use": "cors", **settings})
        assert len(found) == 1, found
        assert said in found[0]
