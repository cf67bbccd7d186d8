"""Whose request it is: trusted proxies, headers nobody can forge, and what the gateway shows upstreams."""

import base64
from collections.abc import Iterable
from typing import Any

import pytest

from tests.harness import LAST_CHUNK, answers, chunk, eventually, request, through

TRUSTING = {"server": {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8", "2001:db8:1::/48"]}}
Fields = Iterable[tuple[str, str]]


def client_of(headers: Fields, **config: Any) -> str:
    """Whose request the access log says it is."""
    with through(answers.ok, **config) as (client, _, gateway):
        client.ask("GET", "/", headers)
        eventually(lambda: len(gateway.log) == 1, "it is logged")
        address: str = gateway.access_log[0]["client"]
        return address


class TestTheClient:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ([("X-Forwarded-For", "192.0.2.9")], "192.0.2.9"),
            ([("X-Forwarded-For", "192.0.2.9, 10.0.0.1")], "192.0.2.9"),
            ([("X-Forwarded-For", "198.51.100.1, 192.0.2.9, 10.0.0.1")], "192.0.2.9"),
            ([("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "192.0.2.9")], "192.0.2.9"),
            ([("X-Forwarded-For", "10.0.0.2, 10.0.0.1")], "10.0.0.2"),
            ([("X-Forwarded-For", "192.0.2.9:4711")], "192.0.2.9"),
            ([("X-Forwarded-For", "[2001:db8::9]:4711")], "2001:db8::9"),
            ([("X-Forwarded-For", "2001:db8::9, 2001:db8:1::1")], "2001:db8::9"),
            ([("X-Forwarded-For", "192.0.2.9, unknown, 10.0.0.1")], "10.0.0.1"),
            ([("X-Forwarded-For", "rubbish")], "127.0.0.1"),
            ([("X-Forwarded-For", "")], "127.0.0.1"),
            ([("X-Forwarded-For", "192.0.2.9, , 10.0.0.1,")], "192.0.2.9"),
            ([("X-Forwarded-For", "::ffff:192.0.2.9")], "192.0.2.9"),
            ([("X-Forwarded-For", "192.0.2.9, ::ffff:10.0.0.1")], "192.0.2.9"),
            ([("X-Forwarded-For", "2001:DB8:0::9")], "2001:db8::9"),
            ([("Forwarded", "for=192.0.2.9;proto=https")], "192.0.2.9"),
            ([("Forwarded", 'proto=https;For="[2001:db8::9]:4711", for=10.0.0.1')], "2001:db8::9"),
            ([("Forwarded", "for=_hidden, for=10.0.0.1")], "10.0.0.1"),
            ([], "127.0.0.1"),
        ],
    )
    def test_trusted_proxies_are_believed_from_the_right(self, headers: Fields, expected: str) -> None:
        assert client_of(headers, **TRUSTING) == expected

    @pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X_Forwarded_For"])
    def test_others_are_not_believed(self, name: str) -> None:
        assert client_of([(name, "for=192.0.2.9" if name == "Forwarded" else "192.0.2.9")]) == "127.0.0.1"


class TestForgery:
    def seen(self, headers: Fields, **config: Any) -> list[tuple[str, str]]:
        with through(answers.ok, **config) as (client, upstream, _):
            assert client.ask("GET", "/", headers).status == 200
            return upstream.requests[0].headers

    @pytest.mark.parametrize("trusting", [{}, TRUSTING], ids=["stranger", "trusted proxy"])
    @pytest.mark.parametrize(
        "name",
        ["X_Forwarded_For", "x_forwarded-for", "X_FORWARDED_PROTO", "X-Forwarded_Host", "Content_Length",
         "Transfer_Encoding", "X_Request_Id"],
    )  # fmt: skip
    def test_underscores_for_dashes_do_not_reach_upstreams(self, name: str, trusting: dict[str, Any]) -> None:
        assert name not in dict(self.seen([(name, "1"), ("X_Own", "2")], **trusting))

    def test_other_names_keep_their_underscores_and_dots(self) -> None:
        fields = [("X_Own", "1"), ("x.own", "2"), ("_", "3"), ("a_very_long_name_with_underscores", "4")]
        assert set(fields) <= set(self.seen(fields))

    def test_scheme_and_host_are_the_gateways_to_say(self) -> None:
        forged = [
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "bank.test"),
            ("Forwarded", "proto=https"),
        ]
        seen = self.seen(forged)
        assert [value for name, value in seen if name == "X-Forwarded-Proto"] == ["http"]
        assert [value for name, value in seen if name == "X-Forwarded-Host"] == ["gateway.test"]
        assert not any(name == "Forwarded" for name, _ in seen)

    def test_identity_in_trailers_is_left_out(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            client.send(
                request("POST", headers=[("Transfer-Encoding", "chunked")]),
                chunk(b"body"),
                LAST_CHUNK[:-2]
                + b"X-Forwarded-For: 192.0.2.9\r\nX_Forwarded_Proto: https\r\nX-Sum: 7\r\n\r\n",
            )
            assert client.response("POST").status == 200
            assert upstream.requests[0].trailers == [("X-Sum", "7")]

    def test_what_belongs_to_the_head_does_not_come_in_trailers(self) -> None:  # RFC 9110, 6.5.1
        config: dict[str, Any] = {"upstream": {"headers": {"X-Tenant": "acme"}}}
        names = ("Authorization", "Cookie", "Set_Cookie", "Content-Range", "x-tenant", "X_Tenant")
        with through(answers.ok, **config) as (client, upstream, _):
            client.send(
                request("POST", headers=[("Transfer-Encoding", "chunked")]),
                chunk(b"body"),
                LAST_CHUNK[:-2] + b"".join(f"{name}: 1\r\n".encode() for name in names) + b"X-Sum: 7\r\n\r\n",
            )
            assert client.response("POST").status == 200
            assert upstream.requests[0].trailers == [("X-Sum", "7")]

    @pytest.mark.parametrize("header", ["X-Trace-Id", "X_Trace_Id", "X_Request_Id"])
    @pytest.mark.parametrize("name", ["X-Trace-Id", "x_trace_id", "X-Request-Id", "X_Request_Id"])
    def test_nobody_else_names_a_request(self, header: str, name: str) -> None:
        config: dict[str, Any] = {"policies": [{"use": "request_id", "header": header}]}
        seen = self.seen([(name, "theirs")], **config)
        assert len([value for field, value in seen if field == header and value != "theirs"]) == 1
        mine = header.lower().replace("_", "-")
        assert not any(value == "theirs" for field, value in seen if field.lower().replace("_", "-") == mine)

    def test_forwarded_of_a_trusted_proxy_grows_by_this_hop(self) -> None:  # RFC 7239, 4
        seen = self.seen([("Forwarded", "for=192.0.2.9;proto=https")], **TRUSTING)
        said = [value for name, value in seen if name == "Forwarded"]
        assert said == ["for=192.0.2.9;proto=https", "for=127.0.0.1;proto=http"]


class TestTowardsUpstreams:
    def test_fixed_headers_replace_the_clients(self) -> None:
        config: dict[str, Any] = {"upstream": {"headers": {"X-Tenant": "acme", "X-Other": "1"}}}
        with through(answers.ok, **config) as (client, upstream, _):
            client.ask(
                "GET", "/", [("x-tenant", "evil"), ("X_Tenant", "evil"), ("X-Mine", "2"), ("X-Tenants", "3")]
            )
            seen = upstream.requests[0].headers
            assert seen.all("X-Tenant") == ["acme"]
            assert seen.get("X-Other") == "1"
            assert seen.get("X-Mine") == "2"
            assert seen.get("X-Tenants") == "3"
            assert not seen.has("X_Tenant")

    @pytest.mark.parametrize("name", ["X_Tenant", "X-Tenant", "x_tenant"])
    def test_dashes_and_underscores_are_one_name(self, name: str) -> None:  # RFC 3875, 4.1.18
        with through(answers.ok, upstream={"headers": {name: "acme"}}) as (client, upstream, _):
            client.ask("GET", "/", [("X_Tenant", "evil"), ("X-Tenant", "evil"), ("x-tenanT", "evil")])
            said = [value for field, value in upstream.requests[0].headers if "enant" in field.lower()]
            assert said == ["acme"]

    def test_credentials_replace_the_clients(self) -> None:
        config: dict[str, Any] = {"upstream": {"credentials": {"user": "gateway", "password": "pass:word"}}}
        with through(answers.ok, **config) as (client, upstream, _):
            client.ask("GET", "/", [("Authorization", "Bearer theirs")])
            told = upstream.requests[0].headers.all("Authorization")
            assert told == ["Basic " + base64.b64encode(b"gateway:pass:word").decode()]

    def test_a_bearer_token(self) -> None:
        with through(answers.ok, upstream={"credentials": {"bearer": "t0ken"}}) as (client, upstream, _):
            client.ask()
            assert upstream.requests[0].headers.get("Authorization") == "Bearer t0ken"
