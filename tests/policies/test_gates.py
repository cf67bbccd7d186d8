"""`security_headers`, `maintenance`, `bot` and `filter`: small gates and what browsers are told."""

from typing import Any

import pytest

from tests.harness import Response, answers, assert_problem
from tests.policies.rigs import behind, problems

TRUSTING: dict[str, Any] = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}


def secured(*theirs: tuple[str, str], tls: bool = False, **settings: Any) -> Response:
    script = answers.raw(answers.response(b"ok", headers=theirs))
    fields = [("X-Forwarded-Proto", "https")] if tls else []
    with behind({"use": "security_headers", **settings}, script=script, **TRUSTING) as (client, _, _gateway):
        return client.ask("GET", "/", fields)


class TestSecurityHeaders:
    def test_defaults(self) -> None:
        told = dict(secured(("Server", "x/1"), ("X-Powered-By", "y")).headers)
        assert {name: value for name, value in told.items() if name not in ("Date", "Content-Length")} == {
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    def test_hsts_only_over_tls(self) -> None:
        assert secured(tls=True).headers.get("Strict-Transport-Security") == "max-age=31536000"
        assert not secured().headers.has("Strict-Transport-Security")
        told = secured(tls=True, hsts="365d", hsts_subdomains=True, hsts_preload=True)
        assert told.headers.get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains; preload"
        assert not secured(tls=True, hsts="none").headers.has("Strict-Transport-Security")

    def test_what_the_upstream_says_stays_unless_overridden(self) -> None:
        theirs = ("x-frame-options", "SAMEORIGIN")
        assert secured(theirs).headers.all("X-Frame-Options") == ["SAMEORIGIN"]
        assert secured(theirs, override=True).headers.all("X-Frame-Options") == ["DENY"]

    def test_each_can_be_left_out(self) -> None:
        told = secured(
            ("Server", "x"), sniff=True, frame="allow", referrer="", opener="", remove=[], content="x 'self'"
        )
        names = {name for name, _ in told.headers}
        assert names == {"Server", "Content-Length", "Content-Security-Policy", "Date"}

    def test_preload_asks_for_more(self) -> None:
        assert "a year or more" in problems({"use": "security_headers", "hsts_preload": True})[0]


class TestMaintenance:
    def test_503_with_retry_after(self) -> None:
        with behind({"use": "maintenance", "retry_after": "2m", "detail": "Back at noon."}) as (
            client,
            upstream,
            gateway,
        ):
            answer = client.ask()
            assert_problem(answer, 503, "destination_unavailable")
            assert answer.headers.get("Retry-After") == "120"
            assert b"Back at noon." in answer.body
            assert upstream.requests == []
            gateway.stop()
            assert gateway.access_log[0]["error"] == "maintenance"

    def test_a_page_of_ones_own(self) -> None:
        with behind({"use": "maintenance", "body": "<h1>Soon</h1>"}) as (client, _, _gateway):
            answer = client.ask()
            assert (answer.status, answer.body) == (503, b"<h1>Soon</h1>")
            assert answer.headers.get("Content-Type") == "text/html; charset=utf-8"
            assert answer.headers.get("Retry-After") == "300"

    @pytest.mark.parametrize(
        ("allow", "client", "status"),
        [
            (["192.0.2.0/24"], "192.0.2.9", 200),
            (["192.0.2.0/24"], "198.51.100.1", 503),
            (["2001:db8::/32", "192.0.2.0/24"], "2001:db8::1", 200),
        ],
    )
    def test_open_for_some(self, allow: list[str], client: str, status: int) -> None:
        with behind({"use": "maintenance", "allow": allow}, **TRUSTING) as rig:
            assert rig.client.ask("GET", "/", [("X-Forwarded-For", client)]).status == status

    def test_off(self) -> None:
        with behind({"use": "maintenance", "enabled": False}) as (client, _, _gateway):
            assert client.ask().status == 200


class TestBot:
    @pytest.mark.parametrize(
        ("name", "settings", "status"),
        [
            ("Mozilla/5.0", {}, 200),
            ("sqlmap/1.7", {}, 403),
            ("Mozilla/5.0 NIKTO/2", {}, 403),
            ("GPTBot/1.0", {"deny": ["gptbot"], "status": 404}, 404),
            ("Good GPTBot", {"deny": ["gptbot"], "allow": ["good"]}, 200),
            (None, {}, 200),
            (None, {"empty": False}, 403),
        ],
    )
    def test_by_name(self, name: str | None, settings: dict[str, Any], status: int) -> None:
        fields = [] if name is None else [("User-Agent", name)]
        with behind({"use": "bot", **settings}) as (client, _, _gateway):
            assert [client.ask("GET", "/", fields).status for _ in range(2)] == [status, status]

    def test_an_empty_word_is_refused(self) -> None:
        assert "part of every name" in problems({"use": "bot", "deny": [""]})[0]


class TestFilter:
    @pytest.mark.parametrize(
        ("method", "target", "settings", "status"),
        [
            ("POST", "/", {"methods": ["GET", "HEAD"]}, 405),
            ("GET", "/", {"methods": ["GET", "HEAD"]}, 200),
            ("GET", "/a/.git/config", {"deny_paths": [r"/\.git(/|$)"]}, 403),
            ("GET", "/a/%2Egit/config", {"deny_paths": [r"/\.git(/|$)"], "status": 404}, 404),
            ("GET", "/a%00", {}, 400),
            ("GET", "/a/.gitea", {"deny_paths": [r"/\.git(/|$)"]}, 200),
            ("GET", "/?q=%3CSCRIPT", {"deny_queries": ["<script"]}, 403),
            ("GET", "/?q=script", {"deny_queries": ["<script"]}, 200),
            ("GET", "/?a=1&b=2", {"query": ["a"]}, 403),
            ("GET", "/?a=1&%61=2", {"query": ["a"]}, 200),
            ("GET", "/?" + "a&" * 101, {}, 403),
        ],
    )
    def test_requests(self, method: str, target: str, settings: dict[str, Any], status: int) -> None:
        with behind({"use": "filter", **settings}) as (client, _, _gateway):
            answer = client.ask(method, target)
            assert answer.status == status
            if status == 405:
                assert answer.headers.get("Allow") == "GET, HEAD"

    def test_bad_expressions_are_refused(self) -> None:
        assert "is no regular expression" in problems({"use": "filter", "deny_paths": ["("]})[0]
