"""`rewrite` and `redirect`: other targets towards the upstream, or for the client to ask for."""

from typing import Any

import pytest

from tests.policies.rigs import behind, problems


def upstream_sees(target: str, **settings: Any) -> str:
    with behind({"use": "rewrite", **settings}) as (client, upstream, _):
        assert client.ask("GET", target, [("X-Odd", "a&b=c d%")]).status == 200
        return upstream.requests[0].target


class TestRewrite:
    @pytest.mark.parametrize(
        ("target", "settings", "expected"),
        [
            ("/old/7?q=1", {"match": "/old/(.*)", "to": "/new/{1}"}, "/new/7?q=1"),
            ("/older/7", {"match": "/old/(.*)", "to": "/new/{1}"}, "/older/7"),
            ("/a/b", {"match": "/(?P<x>[^/]+)/(?P<y>.*)", "to": "/{y}/{x}"}, "/b/a"),
            ("/a/b?q=1", {"match": "/a/(.*)", "to": "/s?name={1}"}, "/s?name=b"),
            ("/a/b&admin=1", {"match": "/a/(.*)", "to": "/s?name={1}"}, "/s?name=b%26admin%3D1"),
            ("/a?q=1", {"to": "/s?x=1&{query}"}, "/s?x=1&q=1"),
            ("/a?q=1", {"to": "/v2{path}"}, "/v2/a?q=1"),
            ("/a?q=1", {"to": "/s?from={path}"}, "/s?from=%2Fa"),
            ("/a", {"to": "/s/{header:X-Odd}"}, "/s/a%26b%3Dc%20d%25"),
            ("/api/v1/x?q", {"strip": "/api"}, "/v1/x?q"),
            ("/apis/x", {"strip": "/api"}, "/apis/x"),
            ("/api", {"strip": "/api/"}, "/"),
            ("/x", {"prefix": "/v1/"}, "/v1/x"),
            ("/api/x", {"strip": "/api", "prefix": "/v1"}, "/v1/x"),
            ("/x?a=1&b=2&c", {"query": {"remove": ["b"]}}, "/x?a=1&c"),
            ("/x?utm_a=1&utm_b=2", {"query": {"remove": ["utm_*"]}}, "/x"),
            ("/x?%61=1&b=2", {"query": {"remove": ["a"]}}, "/x?b=2"),
            ("/x?a=1&a=2&b=3", {"query": {"set": {"a": "{client}"}}}, "/x?b=3&a=127.0.0.1"),
            ("/x?a=1", {"query": {"add": {"a b": "{header:X-Odd}"}}}, "/x?a=1&a%20b=a%26b%3Dc%20d%25"),
            ("/x/7", {"query": {"set": {"rest": "{rest}"}}}, "/x/7?rest=x%2F7"),
        ],
    )
    def test_paths_and_queries(self, target: str, settings: dict[str, Any], expected: str) -> None:
        assert upstream_sees(target, **settings) == expected

    def test_two_pieces_never_climb(self) -> None:
        assert upstream_sees("/a./b.", match="/a(.)/b(.)", to="/files/{1}{2}/secret") == "/secret"

    def test_routing_and_the_log_know_the_clients_own(self) -> None:
        with behind({"use": "rewrite", "to": "/b"}) as (client, _, gateway):
            client.ask("GET", "/a?x")
            gateway.stop()
            assert gateway.access_log[0]["target"] == "/a?x"

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({}, "it rewrites nothing"),
            ({"match": "("}, "is no regular expression"),
            ({"match": "/a"}, "add `to`"),
            ({"to": "a"}, "'a' is not a path"),
            ({"match": "/(.*)", "to": "/{2}"}, "{2} means nothing here"),
            ({"strip": "api"}, "'api' is not a path"),
            ({"to": "/{nam}", "match": "/(?P<name>.*)"}, "did you mean {name}?"),
        ],
    )
    def test_bad_settings(self, settings: dict[str, Any], said: str) -> None:
        assert said in " ".join(problems({"use": "rewrite", **settings}))


def location(
    target: str, *fields: tuple[str, str], authority: str = "gateway.test", **settings: Any
) -> str | None:
    """Where a client is sent; None: nowhere."""
    from tests.harness import request

    with behind({"use": "redirect", **settings}, server={"trusted_proxies": ["127.0.0.0/8"]}) as (
        client,
        upstream,
        _,
    ):
        answer = client.send(request("GET", target, fields, host=authority)).response()
        if answer.status == 200:
            assert not answer.headers.has("Location")
            return None
        assert answer.status == settings.get("status", 308)
        assert upstream.requests == []
        return answer.headers.get("Location")


SECURE = ("X-Forwarded-Proto", "https")


class TestRedirect:
    @pytest.mark.parametrize(
        ("target", "fields", "settings", "expected"),
        [
            ("/a?b=1", (), {"https": True}, "https://gateway.test/a?b=1"),
            ("/a?b=1", (), {"https": True, "port": 8443, "status": 301}, "https://gateway.test:8443/a?b=1"),
            ("/a", (SECURE,), {"https": True}, None),
            ("/a?b", (), {"host": "www.example.com"}, "http://www.example.com/a?b"),
            ("/a?b", (SECURE,), {"host": "www.example.com"}, "https://www.example.com/a?b"),
            ("/a", (), {"host": "gateway.test"}, None),
            ("/a", (), {"host": "Gateway.Test"}, None),
            ("/a", (), {"trailing_slash": "add"}, "/a/"),
            ("/a/", (), {"trailing_slash": "add"}, None),
            ("/a/?b=1", (), {"trailing_slash": "remove", "status": 302}, "/a?b=1"),
            ("/", (), {"trailing_slash": "remove"}, None),
            ("/a/", (), {"https": True, "host": "b.test", "trailing_slash": "remove"}, "https://b.test/a"),
            ("/old/7?q=1", (), {"match": "/old/(.*)", "to": "/new/{1}"}, "/new/7?q=1"),
            (
                "/old/7?q=1",
                (),
                {"match": "/old/(.*)", "to": "https://o.test/{1}?x=2"},
                "https://o.test/7?x=2",
            ),
            ("/new/7", (), {"match": "/old/(.*)", "to": "/new/{1}"}, None),
            ("/old/evil.test", (), {"match": "/old(.*)", "to": "/{1}"}, "/evil.test"),
        ],
    )
    def test_where_to(self, target: str, fields: Any, settings: dict[str, Any], expected: str | None) -> None:
        assert location(target, *fields, **settings) == expected

    def test_the_port_of_plain_http_is_left_behind(self) -> None:
        assert location("/a", authority="gateway.test:8080", https=True) == "https://gateway.test/a"
        assert location("/a", authority="[::1]:8080", https=True) == "https://[::1]/a"

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({}, "it redirects nothing"),
            ({"to": "/a"}, "it needs `match` beside it"),
            ({"match": "/a"}, "it needs `to` beside it"),
            ({"match": "/a", "to": "//evil.test"}, "neither a path nor a URL"),
            ({"match": "[", "to": "/"}, "is no regular expression"),
        ],
    )
    def test_bad_settings(self, settings: dict[str, Any], said: str) -> None:
        assert said in " ".join(problems({"use": "redirect", **settings}))
