"""The harness against itself: client and upstream talk directly, no gateway between."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.harness import (
    LAST_CHUNK,
    Client,
    Conversation,
    Growth,
    Reader,
    Truncated,
    Upstream,
    WireError,
    answers,
    ask,
    chunk,
    eventually,
    leaks,
    net,
    request,
)

Read = Callable[[bytes], Reader]


@pytest.fixture
def read() -> Iterator[Read]:
    """Makes a reader over exactly these bytes, then the end of the stream."""
    with contextlib.ExitStack() as stack:

        def reader(data: bytes) -> Reader:
            ours, theirs = socket.socketpair()
            stack.enter_context(ours).settimeout(5)
            with theirs:
                theirs.sendall(data)
            return Reader(ours)

        yield reader


class TestReader:
    def test_response_with_length_keeps_order_and_spelling(self, read: Read) -> None:
        reader = read(b"HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a:2\r\nX-B: 3 \r\nContent-Length: 2\r\n\r\nhi")
        response = reader.response()
        assert response.headers == [("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("Content-Length", "2")]
        assert (response.status, response.head.reason, response.body) == (200, "OK", b"hi")
        assert response.head.raw.startswith(b"HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a:2\r\n")

    def test_chunked_with_trailers(self, read: Read) -> None:
        data = answers.chunked_head() + chunk(b"a" * 10) + b"3;ext=1\r\nbcd\r\n0\r\nSum: 7\r\n\r\n"
        response = read(data).response()
        assert response.body == b"a" * 10 + b"bcd"
        assert response.trailers == [("Sum", "7")]

    def test_interim_responses_are_kept_apart(self, read: Read) -> None:
        response = read(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answers.response(b"ok")).response()
        assert [head.status for head in response.interim] == [103]
        assert response.status == 200

    def test_body_until_the_end(self, read: Read) -> None:
        assert read(b"HTTP/1.0 200 OK\r\n\r\nrest").response().body == b"rest"

    @pytest.mark.parametrize(
        ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
    )
    def test_bodiless(self, read: Read, method: str, status: str) -> None:
        reader = read(f"HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\nnext".encode())
        assert reader.response(method).body == b""
        assert reader.buffered() == b"next"

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\nA: b\n\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
        ],
    )
    def test_anything_else_is_an_error(self, read: Read, data: bytes) -> None:
        with pytest.raises(WireError):
            read(data).response()

    def test_a_cut_body_says_what_had_come(self, read: Read) -> None:
        with pytest.raises(Truncated) as cut:
            read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").response()
        assert cut.value.partial == b"half"


class TestUpstream:
    def test_records_byte_for_byte(self) -> None:
        said = request("POST", "/a?b", [("X-Odd", "  1")], b"body")
        with Upstream(answers.ok) as upstream, Client(upstream.address) as client:
            assert client.send_bytewise(said).response().body == b"ok"
            assert upstream.conversation().received == said
            assert upstream.requests[0].body == b"body"

    def test_gates_hold_back_what_follows(self) -> None:
        gate = threading.Event()
        script = answers.raw(answers.chunked_head(), chunk(b"one"), gate, chunk(b"two"), LAST_CHUNK)
        with Upstream(script) as upstream, Client(upstream.address) as client:
            client.send(request())
            head = client.head()
            pieces = client.reader.response_body(head)
            assert next(pieces) == b"one"
            assert client.is_idle()
            gate.set()
            assert b"".join(pieces) == b"two"

    def test_a_script_for_each_connection(self) -> None:
        with Upstream([answers.named("a"), answers.named("b")]) as upstream:
            assert [ask(upstream.address).body for _ in range(3)] == [b"a", b"b", b"b"]

    def test_a_failing_script_fails_the_test(self) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            raise RuntimeError("planned")

        upstream = Upstream(script)
        with Client(upstream.address) as client:
            client.send(request())
            assert client.is_closed()
        with pytest.raises(BaseExceptionGroup, match="scripts of upstream") as failed:
            upstream.close()
        assert failed.group_contains(RuntimeError, match="planned")

    def test_nonsense_from_the_client_fails_the_test(self) -> None:
        upstream = Upstream(answers.ok)
        with Client(upstream.address) as client:
            client.send(b"GET / HTTP/1.1\nHost: a\n\n")
            assert client.is_closed()
        with pytest.raises(BaseExceptionGroup):
            upstream.close()

    def test_sees_the_end_of_a_connection(self) -> None:
        with Upstream(answers.silent) as upstream:
            client = Client(upstream.address)
            client.send(request())
            conversation = upstream.conversation()
            client.reset()
            eventually(conversation.ended.is_set, "reset noticed")
            assert upstream.open == 0

    def test_resets(self) -> None:
        with (
            Upstream(answers.slam_reset) as upstream,
            Client(upstream.address) as client,
            pytest.raises(ConnectionResetError),
        ):
            client.send(request()).response()

    def test_half_close_is_answered(self) -> None:
        with Upstream(answers.echo) as upstream, Client(upstream.address) as client:
            assert client.send(request()).half_close().response().status == 200
            assert client.is_closed()

    @pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix"])
    def test_address_families(self, address: str, tmp_path: os.PathLike[str]) -> None:
        place = f"unix:{os.fspath(tmp_path)}/s" if address == "unix" else address
        with Upstream(answers.ok, place) as upstream:
            assert ask(upstream.address).body == b"ok"

    def test_sized_and_swallowed(self) -> None:
        with Upstream([answers.sized(1_000_001), answers.swallow]) as upstream:
            assert len(ask(upstream.address).body) == 1_000_001
            assert ask(upstream.address, "PUT", body=bytes(70_000)).body.startswith(b"70000 ")


class TestLeaks:
    def test_established_counts_own_connections(self) -> None:
        before = leaks.established(os.getpid())
        with Upstream(answers.ok) as upstream, Client(upstream.address) as client:
            client.ask()
            assert leaks.established(os.getpid()) == before + 2
        assert leaks.established(os.getpid()) == before

    def test_descriptors(self) -> None:
        before = leaks.descriptors(os.getpid())
        with socket.socket() as sock:
            assert sock.fileno() in leaks.descriptors(os.getpid()).keys() - before.keys()
        assert sock.fileno() not in leaks.descriptors(os.getpid())

    def test_growth_sees_memory(self) -> None:
        growth = Growth(os.getpid())
        block = bytearray(os.urandom(1 << 20) * 64)
        assert growth.sample() > 40 << 20
        del block


def test_refused_is_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        net.connect(net.refused())


def test_eventually_gives_up_with_what_was_hoped_for() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: a miracle"):
        eventually(lambda: False, "a miracle", within=0.05)
