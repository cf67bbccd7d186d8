"""Header fields: what passes, what stops here, what the gateway says about itself (RFC 9110, 7.6)."""

import pytest

from tests.harness import Gateway, Upstream, answers, assert_problem, net, proxy, request, through

OWN = {"via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}


class TestFidelity:
    def test_requests_keep_order_duplicates_and_spelling(self) -> None:
        fields = [
            ("X-Zulu", "1"),
            ("x-alpha", "2"),
            ("X-ZULU", "3"),
            ("Cookie", "a=b"),
            ("cookie", "c=d"),
            ("X-Empty", ""),
            ("X-Bytes", "caf\xe9 \xff"),
            ("Accept", "*/*"),
        ]
        with through(answers.ok) as (client, upstream, _):
            client.ask("GET", "/", fields)
            came = [pair for pair in upstream.requests[0].headers if pair[0].lower() not in OWN]
            assert came == [("Host", "gateway.test"), *fields]

    def test_responses_pass_exactly(self) -> None:
        answered = (
            b"HTTP/1.1 299 Fine Thanks\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nset-cookie: a=1\r\n"
            b"Set-Cookie: b=2\r\nX-Empty: \r\nSET-COOKIE: c=3\r\nServer: own/1\r\nContent-Length: 2\r\n\r\n"
        )
        with through(answers.raw(answered + b"hi")) as (client, _, _):
            response = client.ask()
            assert response.head.raw == answered
            assert response.body == b"hi"

    def test_target_and_query_pass_untouched(self) -> None:
        target = "/a%2Fb/~c;d=e,f/?q=%7E%zz&&x=a+b//../?"
        with through(answers.ok) as (client, upstream, _):
            client.ask("GET", target)
            assert upstream.requests[0].target == target

    def test_absolute_form_becomes_origin_form(self) -> None:  # RFC 9112, 3.2.2
        with through(answers.ok) as (client, upstream, _):
            client.ask("GET", "http://other.test/path?q")
            assert upstream.requests[0].target == "/path?q"
            assert upstream.requests[0].headers.get("Host") == "other.test"


class TestHopByHop:
    def test_fields_of_one_hop_stop_here(self) -> None:
        hop = [
            ("Connection", "keep-alive, X-Named"),
            ("connection", "X-Other"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers, gzip"),
            ("X-Named", "secret"),
            ("x-other", "secret"),
        ]
        with through(answers.ok) as (client, upstream, _):
            client.ask("GET", "/", [*hop, ("X-Kept", "1")])
            came = upstream.requests[0].headers
            assert came.get("X-Kept") == "1"
            assert not {name.lower() for name in came.names()} & {
                "keep-alive",
                "proxy-connection",
                "x-named",
                "x-other",
            }
            assert came.get("TE") in (None, "trailers")

    def test_the_same_for_responses(self) -> None:
        script = answers.raw(
            answers.response(
                b"ok",
                headers=[
                    ("Connection", "X-Named"),
                    ("Keep-Alive", "timeout=5"),
                    ("X-Named", "1"),
                    ("X-Kept", "1"),
                ],
            )
        )
        with through(script) as (client, _, _):
            names = {name.lower() for name in client.ask().headers.names()}
            assert "x-kept" in names
            assert not names & {"connection", "keep-alive", "x-named"}

    @pytest.mark.parametrize("name", ["Host", "Content-Length", "Via", "X-Forwarded-For"])
    def test_connection_cannot_remove_what_the_gateway_sets(self, name: str) -> None:
        with through(answers.ok) as (client, upstream, _):
            assert client.ask("POST", "/", [("Connection", name)], body=b"body").status == 200
            assert upstream.requests[0].headers.has(name)
            assert upstream.requests[0].body == b"body"

    def test_an_upgrade_not_asked_for_by_connection_stops_here(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            client.ask("GET", "/", [("Upgrade", "websocket")])
            assert not upstream.requests[0].headers.has("Upgrade")


class TestForwarded:
    def test_an_untrusted_client_is_not_believed(self) -> None:
        lies = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.test"),
        ]
        with through(answers.ok) as (client, upstream, _):
            client.ask("GET", "/", [*lies, ("x-forwarded-for", "7.7.7.7")])
            came = upstream.requests[0].headers
            assert came.all("X-Forwarded-For") == ["127.0.0.1"]
            assert came.all("X-Forwarded-Proto") == ["http"]
            assert came.all("X-Forwarded-Host") == ["gateway.test"]

    def test_a_trusted_proxy_is_believed_and_added_to(self) -> None:
        told = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "shop.test"),
        ]
        with through(answers.ok, server={"trusted_proxies": ["127.0.0.0/8"]}) as (client, upstream, _):
            client.ask("GET", "/", told)
            came = upstream.requests[0].headers
            assert ", ".join(came.all("X-Forwarded-For")).replace(" ", "") == "6.6.6.6,127.0.0.1"
            assert came.all("X-Forwarded-Proto") == ["https"]
            assert came.all("X-Forwarded-Host") == ["shop.test"]


class TestHost:
    def test_is_the_clients(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            client.ask()
            assert upstream.requests[0].headers.all("Host") == ["gateway.test"]

    def test_is_the_targets_when_asked(self) -> None:
        with through(answers.ok, upstream={"host": "target"}) as (client, upstream, _):
            client.ask()
            assert upstream.requests[0].headers.all("Host") == [upstream.address]
            assert upstream.requests[0].headers.get("X-Forwarded-Host") == "gateway.test"

    def test_is_a_name_when_given(self) -> None:
        with through(answers.ok, upstream={"host": "inner.test"}) as (client, upstream, _):
            client.ask()
            assert upstream.requests[0].headers.all("Host") == ["inner.test"]


class TestVia:
    def test_requests_carry_it(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            client.ask("GET", "/", [("Via", "1.0 fred")])
            via = ", ".join(upstream.requests[0].headers.all("Via")).split(", ")
            assert via[0] == "1.0 fred"
            assert via[1].startswith("1.1 ")

    def test_it_names_the_protocol_that_came_in(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            client.send(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").response()
            assert (upstream.requests[0].headers.get("Via") or "").startswith("1.0 ")

    def test_a_loop_is_refused(self) -> None:
        own = net.refused()
        with Gateway(proxy(f"http://{own}", server={"listen": [own]})) as gateway, gateway.client() as client:
            assert_problem(client.ask(), 508, "proxy_loop_detected")

    def test_two_gateways_in_a_row_are_no_loop(self) -> None:
        with (
            Upstream(answers.echo) as upstream,
            Gateway(proxy(upstream.url)) as inner,
            Gateway(proxy(f"http://{inner.address}")) as outer,
            outer.client() as client,
        ):
            assert client.send(request()).response().status == 200
