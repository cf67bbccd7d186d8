"""How exchanges end before their time: clients that go, upstreams that die, and what may be sent again."""

import threading

import pytest

from tests.harness import (
    Conversation,
    Gateway,
    Script,
    Truncated,
    Upstream,
    answers,
    assert_problem,
    chunk,
    eventually,
    promptly,
    proxy,
    request,
    through,
)


class TestClientGoes:
    def test_a_reset_while_waiting_frees_both_sides(self) -> None:
        def attempt() -> float:
            with through(answers.silent_after_head) as (client, upstream, gateway):
                client.send(request())
                conversation = upstream.conversation()
                eventually(lambda: bool(conversation.heads), "the request arrives")
                client.reset()
                took = eventually(conversation.ended.is_set, "the upstream sees the end")
                eventually(lambda: gateway.established() == 0, "nothing is left")
                return took

        promptly(attempt)

    def test_a_reset_in_a_request_body_frees_both_sides(self) -> None:
        def attempt() -> float:
            with through(answers.silent_after_head) as (client, upstream, gateway):
                client.send(request("POST", "/", [("Content-Length", "100")]), b"some")
                conversation = upstream.conversation()
                eventually(lambda: conversation.received.endswith(b"some"), "the piece arrives")
                client.reset()
                took = eventually(conversation.ended.is_set, "the upstream sees the end")
                eventually(lambda: gateway.established() == 0, "nothing is left")
                return took

        promptly(attempt)

    def test_a_reset_in_a_response_body_frees_both_sides(self) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(answers.chunked_head(), chunk(b"first"))
            peer.until_ended()

        def attempt() -> float:
            with through(script) as (client, upstream, gateway):
                body = client.send(request()).reader.response_body(client.head())
                assert next(body) == b"first"
                client.reset()
                took = eventually(upstream.conversation().ended.is_set, "the upstream sees the end")
                eventually(lambda: gateway.established() == 0, "nothing is left")
                return took

        promptly(attempt)

    def test_a_half_close_after_the_request_is_still_answered(self) -> None:
        gate = threading.Event()
        with through(answers.raw(gate, answers.response(b"answered"))) as (client, upstream, _):
            client.send(request()).half_close()
            upstream.conversation()
            assert client.is_idle()
            gate.set()
            assert client.response().body == b"answered"
            assert client.is_closed()

    def test_a_half_close_after_pipelined_requests_answers_all(self) -> None:
        with through(answers.ok) as (client, _, _):
            client.send(request() * 3).half_close()
            assert [client.response().body for _ in range(3)] == [b"ok"] * 3
            assert client.is_closed()

    @pytest.mark.parametrize(
        "said",
        [
            request("POST", "/", [("Content-Length", "10")]) + b"half",
            request("POST", "/", [("Transfer-Encoding", "chunked")]) + chunk(b"half"),
        ],
    )
    def test_a_request_cut_short_is_never_completed(self, said: bytes) -> None:
        with through(answers.ok) as (client, upstream, _):
            client.send(said)
            conversation = upstream.conversation()
            eventually(lambda: b"half" in conversation.received, "the piece arrives")
            client.half_close()
            eventually(conversation.ended.is_set, "the upstream sees the end")
            assert upstream.requests == []
            assert client.reader.at_end() or client.response().status == 400


class TestDeadReusedConnection:
    """The upstream's second answer never comes: its connection was idle, and dies with no byte."""

    @staticmethod
    def dies_on_the_second(ending: Script) -> Script:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(answers.response(b"first"))
            ending(peer)

        return script

    @pytest.mark.parametrize("ending", [answers.slam, answers.slam_reset])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
    def test_an_idempotent_request_is_sent_once_more(self, ending: Script, method: str) -> None:
        with through([self.dies_on_the_second(ending), answers.ok_or_head]) as (client, upstream, _):
            assert client.ask().body == b"first"
            assert client.ask(method, "/again").status == 200
            assert [r.target for r in upstream.requests] == ["/", "/again", "/again"]
            assert len(upstream.conversations) == 2

    @pytest.mark.parametrize("ending", [answers.slam, answers.slam_reset])
    def test_a_post_is_not(self, ending: Script) -> None:
        with through([self.dies_on_the_second(ending), answers.ok]) as (client, upstream, _):
            client.ask()
            assert_problem(client.ask("POST", "/", body=b"pay"), 502, "connection_terminated")
            assert len(upstream.requests) == 2
            assert client.ask().body == b"ok"

    def test_once_is_enough(self) -> None:
        with through([self.dies_on_the_second(answers.slam), answers.slam]) as (client, upstream, _):
            client.ask()
            assert_problem(client.ask(), 502, "connection_terminated")
            assert len(upstream.conversations) == 2

    def test_one_that_closed_while_idle_is_not_used(self) -> None:
        with through([answers.once(answers.response(b"first")), answers.ok]) as (client, upstream, gateway):
            client.ask()
            assert upstream.conversation().done.wait(5)
            eventually(lambda: gateway.established() == 1, "the idle connection is dropped")
            assert client.ask("POST", "/", body=b"pay").body == b"ok"

    def test_idle_connections_are_dropped_in_time(self) -> None:
        with through(answers.ok, upstream={"pool": {"idle": "200ms"}}) as (client, upstream, _):
            client.ask()
            eventually(upstream.conversation().ended.is_set, "the idle connection is closed")
            assert client.ask().body == b"ok"

    def test_what_comes_unasked_spoils_the_connection(self) -> None:
        stuffed = answers.once(answers.response(b"first") + answers.response(b"poison"))
        with through([stuffed, answers.ok]) as (client, upstream, _):
            assert client.ask().body == b"first"
            assert client.ask().body == b"ok"
            assert len(upstream.conversations) == 2


class TestUpstreamDies:
    @pytest.mark.parametrize("ending", [answers.slam, answers.slam_reset])
    def test_before_a_byte_on_a_fresh_connection(self, ending: Script) -> None:
        with through(ending) as (client, _, _):
            assert_problem(client.ask(), 502, "connection_terminated")
            assert client.is_idle()

    def test_within_the_head(self) -> None:
        with through(answers.once(b"HTTP/1.1 200 OK\r\nContent-")) as (client, _, _):
            assert client.ask().status == 502

    @pytest.mark.parametrize(
        "pieces",
        [
            [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"],
            [answers.chunked_head(), chunk(b"half")],
            [answers.chunked_head(), b"9\r\nhalf"],
            [answers.chunked_head(), chunk(b"half"), b"0\r\n"],
            [answers.chunked_head(), chunk(b"half"), b"zz\r\n"],
        ],
    )
    @pytest.mark.parametrize("reset", [False, True])
    def test_within_the_body_the_answer_is_cut(self, pieces: list[bytes], reset: bool) -> None:
        go = threading.Event()

        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(*pieces)
            if reset:
                peer.wait(go)
                peer.reset()

        with through(script) as (client, _, _):
            client.send(request())
            head = client.head()
            go.set()
            with pytest.raises((Truncated, ConnectionResetError)):
                list(client.reader.response_body(head))

    def test_within_the_body_for_a_client_of_1_0_is_no_clean_end(self) -> None:
        go = threading.Event()

        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(answers.chunked_head(), chunk(b"half"), go)

        with through(script) as (client, _, _):
            client.send(b"GET / HTTP/1.0\r\n\r\n").head()
            assert client.reader.exactly(4) == b"half"
            go.set()
            with pytest.raises(ConnectionResetError):
                client.until_eof()

    def test_an_early_answer_reaches_a_client_that_still_sends(self) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(answers.response(b"enough", "413 Content Too Large", [("Connection", "close")]))
            peer.half_close()
            peer.until_ended()

        with through(script) as (client, _, _):
            client.send(request("PUT", "/", [("Content-Length", str(1 << 30))]), bytes(1 << 16))
            assert client.response().status == 413


def test_nothing_is_left_after_all_kinds_of_endings() -> None:
    scripts = [
        answers.slam,
        answers.slam_reset,
        answers.once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
    ]
    by_turn = [scripts[index % len(scripts)] for index in range(30)]
    with (
        Upstream([answers.once(answers.response(b"ok")), *by_turn]) as upstream,
        Gateway(proxy(upstream.url)) as gateway,
    ):
        with gateway.client() as client:
            client.ask()
        eventually(lambda: gateway.established() == 0, "at rest")
        before = gateway.descriptors()
        for turn in range(30):
            with gateway.client() as client:
                client.send(request("POST", "/", body=b"x"))
                if turn % 3:
                    client.head()
                else:
                    client.reset()
        eventually(lambda: gateway.established() == 0, "all connections are gone")
        eventually(lambda: gateway.descriptors() <= before, "all descriptors are given back")
