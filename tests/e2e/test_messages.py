"""Messages pass as they came: framing, order, versions, bodiless answers (RFC 9112)."""

import threading

import pytest

from tests.harness import LAST_CHUNK, Client, Gateway, Upstream, answers, chunk, proxy, request, through


class TestKeepAlive:
    def test_one_connection_each_side_serves_many_requests(self) -> None:
        with through(answers.echo) as (client, upstream, _):
            for number in range(20):
                assert answers.told(client.ask("GET", f"/{number}").body)["target"] == f"/{number}"
            assert len(upstream.conversations) == 1

    def test_upstream_connections_are_shared_by_clients(self) -> None:
        with through(answers.ok) as (client, upstream, gateway):
            client.ask()
            with gateway.client() as other:
                other.ask()
            assert len(upstream.conversations) == 1

    def test_connection_close_is_honoured(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            response = client.ask(headers=[("Connection", "close")])
            assert response.headers.get("Connection") == "close"
            assert client.is_closed()
            assert not upstream.requests[0].headers.has("Connection")

    def test_upstreams_close_is_its_own_business(self) -> None:
        closing = answers.once(answers.response(b"bye", headers=[("Connection", "close")]))
        with through(closing) as (client, upstream, _):
            assert not client.ask().headers.has("Connection")
            assert client.ask().body == b"bye"
            assert len(upstream.conversations) == 2

    def test_idle_connections_are_closed_without_a_word(self) -> None:
        with through(answers.ok, server={"timeouts": {"keepalive": "200ms"}}) as (client, _, _):
            client.ask()
            assert client.until_eof() == b""

    def test_empty_lines_before_a_request_are_skipped(self) -> None:  # RFC 9112, 2.2
        with through(answers.ok) as (client, _, _):
            assert client.send(b"\r\n" + request()).response().status == 200


class TestPipelining:
    def test_answers_come_in_order(self) -> None:
        by_target = answers.each(lambda asked: answers.response(asked.target.encode()))
        with through(by_target) as (client, _, _):
            client.send(b"".join(request("GET", f"/{number}") for number in range(50)))
            assert [client.response().body for _ in range(50)] == [b"/%d" % n for n in range(50)]

    def test_a_slow_answer_holds_back_a_fast_one(self) -> None:
        gate = threading.Event()
        with through(answers.raw(gate, answers.response(b"proxied"))) as (_, upstream, _):
            config = proxy(upstream.url)
            config["routes"].append({"path": "/own", "respond": {"body": "own"}})
            with Gateway(config) as gateway, gateway.client() as client:
                client.send(request("GET", "/slow") + request("GET", "/own"))
                upstream.conversation()
                assert client.is_idle()
                gate.set()
                assert [client.response().body, client.response().body] == [b"proxied", b"own"]

    def test_bodies_do_not_run_into_the_next_request(self) -> None:
        with through(answers.echo) as (client, _, _):
            client.send(
                request("POST", "/a", body=b"first")
                + request("POST", "/b", [("Transfer-Encoding", "chunked")])
                + chunk(b"sec")
                + chunk(b"ond")
                + LAST_CHUNK
                + request("GET", "/c")
            )
            told = [answers.told(client.response().body) for _ in range(3)]
            assert [(t["target"], t["body"]) for t in told] == [("/a", "first"), ("/b", "second"), ("/c", "")]


class TestFraming:
    @pytest.mark.parametrize("size", [0, 1, 1000, 65_535, 65_536, 300_000])
    def test_request_bodies_by_length(self, size: int) -> None:
        body = bytes(index % 251 for index in range(size))
        with through(answers.echo) as (client, upstream, _):
            client.ask("POST", "/", body=body)
            assert upstream.requests[0].body == body
            assert upstream.requests[0].headers.get("Content-Length") == str(size)

    @pytest.mark.parametrize("size", [0, 1, 1000, 65_535, 65_536, 300_000])
    def test_response_bodies_by_length(self, size: int) -> None:
        body = bytes(index % 251 for index in range(size))
        with through(answers.raw(answers.response(body))) as (client, _, _):
            response = client.ask()
            assert response.body == body
            assert response.headers.get("Content-Length") == str(size)

    def test_request_bodies_in_chunks(self) -> None:
        with through(answers.echo) as (client, upstream, _):
            client.send(
                request("POST", "/", [("Transfer-Encoding", "chunked")]),
                chunk(b"one "),
                b"4;name=value\r\ntwo \r\n",
                chunk(b"x" * 100_000),
                LAST_CHUNK,
            )
            assert client.response().status == 200
            assert upstream.requests[0].body == b"one two " + b"x" * 100_000
            assert upstream.requests[0].headers.get("Transfer-Encoding") == "chunked"

    def test_response_bodies_in_chunks(self) -> None:
        with through(answers.chunked(b"one ", b"two ", b"x" * 100_000)) as (client, _, _):
            response = client.ask()
            assert response.body == b"one two " + b"x" * 100_000
            assert response.headers.get("Transfer-Encoding") == "chunked"
            assert client.ask().status == 200

    def test_where_reads_end_does_not_matter(self) -> None:
        said = request("POST", "/p?q", [("Transfer-Encoding", "chunked"), ("X-A", "b")])
        said += chunk(b"hello") + chunk(b" world") + b"0\r\nSum: 1\r\n\r\n"
        answered = answers.chunked_head(headers=[("X-C", "d")]) + chunk(b"an") + chunk(b"swer") + LAST_CHUNK
        bytewise = answers.raw(*(answered[i : i + 1] for i in range(len(answered))))
        with through(bytewise) as (client, upstream, _):
            assert client.send_bytewise(said).response().body == b"answer"
            assert upstream.requests[0].body == b"hello world"

    def test_trailers_are_kept_both_ways(self) -> None:
        script = answers.chunked(
            b"body", trailers=[("X-Sum", "42"), ("x-sum", "43")], headers=[("Trailer", "X-Sum")]
        )
        with through(script) as (client, upstream, _):
            client.send(
                request(
                    "POST",
                    "/",
                    [
                        ("Transfer-Encoding", "chunked"),
                        ("TE", "trailers"),
                        ("Connection", "TE"),
                        ("Trailer", "X-Up"),
                    ],
                ),
                chunk(b"data"),
                b"0\r\nX-Up: 1\r\nx-up: 2\r\n\r\n",
            )
            assert client.response().trailers == [("X-Sum", "42"), ("x-sum", "43")]
            assert upstream.requests[0].trailers == [("X-Up", "1"), ("x-up", "2")]

    def test_a_body_that_ends_with_the_connection(self) -> None:
        with through(answers.until_close(b"all ", b"of it")) as (client, _, _):
            assert client.ask().body == b"all of it"

    def test_get_with_a_body(self) -> None:
        with through(answers.echo) as (client, upstream, _):
            client.ask("GET", "/", body=b"unusual")
            assert upstream.requests[0].body == b"unusual"

    def test_unknown_methods_pass(self) -> None:
        with through(answers.echo) as (client, upstream, _):
            assert client.ask("PROPFIND", "/").status == 200
            assert upstream.requests[0].method == "PROPFIND"


class TestBodiless:
    def test_head(self) -> None:
        script = answers.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
        with through(script) as (client, upstream, _):
            for _ in range(2):
                response = client.ask("HEAD", "/")
                assert response.headers.get("Content-Length") == "1234"
            assert client.is_idle()
            assert len(upstream.conversations) == 1

    def test_head_of_a_chunked_answer(self) -> None:
        with through(answers.raw(answers.chunked_head(headers=[("X-A", "b")]))) as (client, upstream, _):
            for _ in range(2):
                response = client.ask("HEAD", "/")
                assert response.headers.get("X-A") == "b"
                assert not response.headers.has("Content-Length")
            assert client.is_idle()
            assert len(upstream.conversations) == 1

    @pytest.mark.parametrize(
        "head", [b"204 No Content\r\n", b'304 Not Modified\r\nContent-Length: 99\r\nETag: "a"\r\n']
    )
    def test_answers_that_have_no_body(self, head: bytes) -> None:
        answer = b"HTTP/1.1 " + head + b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n"
        with through(answers.raw(answer)) as (client, upstream, _):
            assert client.ask().head.raw == answer
            assert client.ask().head.raw == answer
            assert client.is_idle()
            assert len(upstream.conversations) == 1


class TestOldVersions:
    def test_client_of_1_0_gets_a_close(self) -> None:
        with through(answers.ok) as (client, _, _):
            response = client.send(b"GET / HTTP/1.0\r\n\r\n").response()
            assert response.body == b"ok"
            assert client.is_closed()

    def test_client_of_1_0_gets_no_chunks(self) -> None:
        with through(answers.chunked(b"one", b"two", trailers=[("X-T", "1")])) as (client, _, _):
            response = client.send(b"GET / HTTP/1.0\r\n\r\n").response()
            assert not response.headers.has("Transfer-Encoding")
            assert response.body == b"onetwo"

    def test_client_of_1_0_may_keep_alive(self) -> None:
        asked = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        with through(answers.ok) as (client, _, _):
            for _ in range(2):
                response = client.send(asked).response()
                assert (response.headers.get("Connection") or "").lower() == "keep-alive"
            assert client.is_idle()

    def test_upstream_is_spoken_to_in_1_1(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            client.send(b"GET / HTTP/1.0\r\nHost: old.test\r\n\r\n").response()
            assert upstream.requests[0].head.minor == 1

    def test_upstream_of_1_0(self) -> None:
        script = answers.once(answers.response(b"old", version="1.0"))
        with through(script) as (client, upstream, _):
            assert client.ask().body == b"old"
            response = client.ask()
            assert (response.head.minor, response.body) == (1, b"old")
            assert len(upstream.conversations) == 2

    def test_upstream_of_1_0_without_a_length(self) -> None:
        script = answers.once(b"HTTP/1.0 200 OK\r\n\r\n", b"to the end")
        with through(script) as (client, _, _):
            assert client.ask().body == b"to the end"


def test_many_clients_at_once() -> None:
    with Upstream(answers.echo) as upstream, Gateway(proxy(upstream.url)) as gateway:
        clients = [Client(gateway.address) for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(request("GET", f"/{number}"))
        for number, client in enumerate(clients):
            assert answers.told(client.response().body)["target"] == f"/{number}"
            client.close()
