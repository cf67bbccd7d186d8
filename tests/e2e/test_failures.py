"""The gateway's own errors: which status, which reason, and what becomes of the connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.harness import (
    Conversation,
    Gateway,
    Truncated,
    answers,
    assert_problem,
    chunk,
    eventually,
    net,
    proxy,
    request,
    through,
)


class TestConnecting:
    def test_refused(self) -> None:
        with Gateway(proxy(f"http://{net.refused()}")) as gateway, gateway.client() as client:
            assert_problem(client.ask(), 502, "connection_refused")
            assert_problem(client.ask("POST", "/", body=b"x" * 100_000), 502, "connection_refused")

    def test_the_log_names_the_target_that_could_not_be_reached(self) -> None:
        address = net.refused()
        with Gateway(proxy(f"http://{address}")) as gateway, gateway.client() as client:
            client.ask()
            eventually(lambda: len(gateway.log) == 1, "the line")
            (line,) = gateway.access_log
            assert (line["error"], line["upstream"]) == ("connect_failed", address)

    def test_no_such_socket(self) -> None:
        with Gateway(proxy("unix:/nonexistent/socket")) as gateway, gateway.client() as client:
            assert_problem(client.ask(), 502)

    def test_no_answer_in_time(self) -> None:
        with full_backlog() as address:
            config = proxy(f"http://{address}", upstream={"timeouts": {"connect": "200ms"}})
            with Gateway(config) as gateway, gateway.client() as client:
                assert_problem(client.ask(), 504, "connection_timeout")


class TestTimeouts:
    def test_no_response_in_time(self) -> None:
        with through(answers.silent, upstream={"timeouts": {"response": "200ms"}}) as (client, upstream, _):
            assert_problem(client.ask(), 504, "http_response_timeout")
            eventually(upstream.conversation().ended.is_set, "the connection is given up")
            assert client.is_idle()

    def test_the_time_starts_when_the_request_has_ended(self) -> None:
        gate = threading.Event()

        def script(peer: Conversation) -> None:
            head = peer.head()
            gate.set()
            peer.send(answers.response(b"".join(peer.reader.request_body(head))))

        with through(script, upstream={"timeouts": {"response": "1s"}}) as (client, _, _):
            client.send(request("POST", "/", [("Content-Length", "4")]))
            assert gate.wait(5)
            assert client.is_idle(1.5)
            assert client.send(b"body").response().body == b"body"

    def test_a_body_that_stalls_is_cut(self) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(answers.chunked_head(), chunk(b"half"))
            peer.until_ended()

        with through(script, upstream={"timeouts": {"idle": "200ms"}}) as (client, _, _):
            client.send(request())
            with pytest.raises(Truncated) as cut:
                client.response()
            assert cut.value.partial == b"half"

    def test_no_whole_answer_in_time(self) -> None:
        with through(answers.silent, upstream={"timeouts": {"total": "200ms"}}) as (client, _, _):
            assert_problem(client.ask(), 504, "http_response_timeout")

    def test_a_slow_reader_is_not_a_slow_upstream(self) -> None:
        size = 64 << 20
        with through(
            answers.sized(size), record=False, rcvbuf=65536, upstream={"timeouts": {"idle": "1s"}}
        ) as (client, upstream, _):
            client.send(request())
            head = client.head()
            assert not upstream.conversation().ended.wait(2)
            assert sum(map(len, client.reader.response_body(head))) == size


class TestBadAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            b"rubbish\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/3.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\nContent-Length: 0\r\n\r\n",
        ],
    )
    def test_are_502_and_the_connection_is_not_used_again(self, answer: bytes) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(answer)
            peer.until_ended()

        with through([script, answers.ok]) as (client, upstream, _):
            assert_problem(client.ask("POST", "/", body=b"x"), 502)
            eventually(upstream.conversation().ended.is_set, "the connection is given up")
            assert client.ask().body == b"ok"

    def test_name_their_reason(self) -> None:
        with through(answers.once(b"rubbish\r\n\r\n")) as (client, _, _):
            assert_problem(client.ask(), 502, "http_protocol_error")


class TestProblems:
    def test_head_gets_no_body(self) -> None:
        with Gateway(proxy(f"http://{net.refused()}")) as gateway, gateway.client() as client:
            response = client.ask("HEAD", "/")
            assert (response.status, response.body) == (502, b"")
            assert client.ask("HEAD", "/").status == 502

    def test_a_body_still_coming_does_not_become_the_next_request(self) -> None:
        smuggled = request("GET", "/smuggled")
        with Gateway(proxy(f"http://{net.refused()}")) as gateway, gateway.client() as client:
            client.send(request("POST", "/", body=smuggled))
            assert client.response().status == 502
            if not client.reader.at_eof:
                client.half_close()
            assert client.until_eof() == b""


def test_every_answer_is_logged() -> None:
    with Gateway(proxy(f"http://{net.refused()}")) as gateway:
        with gateway.client() as client:
            client.ask("GET", "/refused")
        with gateway.client() as client:
            client.send(b"malformed\r\n\r\n").response()
        with gateway.client() as client:
            client.send(request("PUT", "/gone", [("Content-Length", "9")])).reset()
        eventually(lambda: len(gateway.log) >= 3, "three lines in the access log")
        gateway.stop()
        assert [line["status"] for line in gateway.access_log][:2] == [502, 400]


@contextmanager
def full_backlog() -> Iterator[str]:
    """An address that neither accepts nor refuses: Linux drops a SYN while the accept queue is full."""
    with ExitStack() as stack:
        sock = stack.enter_context(net.listen(backlog=0))
        address = net.join(sock)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with pytest.raises(BlockingIOError):
                waiting.connect(sock.getsockname())
        yield address
