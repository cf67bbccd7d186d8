"""Bodies stream both ways from the first byte, with bounded memory; interim responses pass."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    LAST_CHUNK,
    Client,
    Conversation,
    Growth,
    Truncated,
    answers,
    chunk,
    eventually,
    request,
    through,
    wait_taken,
)

MIB = 1 << 20
ALLOWANCE = 8 * MIB


class TestFirstByte:
    def test_events_arrive_one_by_one(self) -> None:
        gates = [threading.Event() for _ in range(3)]
        events = [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
        with through(answers.events(*zip(gates, events, strict=True))) as (client, _, _):
            client.send(request("GET", "/events", [("Accept", "text/event-stream")]))
            head = client.head()
            assert head.headers.get("Content-Type") == "text/event-stream"
            body = client.reader.response_body(head)
            for gate, event in zip(gates, events, strict=True):
                assert client.is_idle()
                gate.set()
                assert next(body) == event
            assert list(body) == []

    def test_a_long_poll_is_waited_for(self) -> None:
        """Timeouts that are about the client leave alone who waits for an answer."""
        gate = threading.Event()
        timeouts = {"header": "1s", "body_idle": "1s", "body": "1s", "keepalive": "1s"}
        config: dict[str, Any] = {
            "server": {"timeouts": timeouts},
            "upstream": {"timeouts": {"idle": "1s"}},
        }
        with through(answers.raw(gate, answers.response(b"news")), **config) as (client, _, _):
            client.send(request("POST", "/poll", body=b"since=1"))
            assert client.is_idle(1.5)
            gate.set()
            assert client.response("POST").body == b"news"

    def test_bytes_of_a_sized_answer_are_not_held_back(self) -> None:
        gate = threading.Event()
        with through(answers.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe", gate, b"re")) as (
            client,
            _,
            _,
        ):
            client.send(request())
            head = client.head()
            assert client.reader.exactly(2) == b"he"
            assert client.is_idle()
            gate.set()
            assert client.reader.exactly(2) == b"re"
            assert head.headers.get("Content-Length") == "4"

    def test_the_head_is_not_held_back_for_the_body(self) -> None:
        gate = threading.Event()
        with through(answers.raw(answers.chunked_head(), gate, LAST_CHUNK)) as (client, _, _):
            assert client.send(request()).head().status == 200
            gate.set()
            assert client.reader.line() == "0"

    def test_uploads_arrive_as_they_are_sent(self) -> None:
        came = [threading.Event(), threading.Event()]

        def script(peer: Conversation) -> None:
            body = peer.reader.request_body(peer.head())
            assert next(body) == b"one"
            came[0].set()
            assert next(body) == b"two"
            came[1].set()
            assert list(body) == []
            peer.send(answers.response(b"both"))

        with through(script) as (client, _, _):
            client.send(request("POST", "/", [("Transfer-Encoding", "chunked")]))
            for piece, event in zip([b"one", b"two"], came, strict=True):
                client.send(chunk(piece))
                assert event.wait(5)
            assert client.send(LAST_CHUNK).response().body == b"both"

    def test_an_answer_may_come_before_the_request_has_ended(self) -> None:
        def script(peer: Conversation) -> None:
            body = peer.reader.request_body(peer.head())
            peer.send(answers.chunked_head())
            for piece in body:
                peer.send(chunk(piece.upper()))
            peer.send(LAST_CHUNK)

        with through(script) as (client, _, _):
            client.send(request("POST", "/", [("Transfer-Encoding", "chunked")]))
            answer = client.reader.response_body(client.head())
            for word in (b"a", b"b", b"c"):
                client.send(chunk(word))
                assert next(answer) == word.upper()
            client.send(LAST_CHUNK)
            assert list(answer) == []


class TestBackpressure:
    def test_a_slow_reader_slows_a_fast_upstream(self) -> None:
        total = 256 * MIB
        sent = [0]

        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
            block = bytes(MIB)
            while sent[0] < total:
                peer.send(block)
                sent[0] += MIB

        with through(script, record=False, rcvbuf=65536) as (client, _, gateway):
            growth = Growth(gateway.pid)
            client.send(request())
            head = client.head()
            wait_still(sent, growth)
            assert sent[0] < total // 2
            assert growth.peak - growth.before < ALLOWANCE
            assert sum(map(len, sampled(client.reader.response_body(head), growth))) == total
            assert growth.peak - growth.before < ALLOWANCE

    def test_a_slow_upstream_slows_a_fast_client(self) -> None:
        total = 256 * MIB
        gate = threading.Event()
        sent = [0]

        def script(peer: Conversation) -> None:
            head = peer.head()
            peer.wait(gate)
            peer.send(answers.response(b"%d" % sum(map(len, peer.reader.request_body(head)))))

        with through(script, record=False) as (client, _, gateway):
            client.sock.settimeout(30)
            growth = Growth(gateway.pid)
            client.send(request("PUT", "/", [("Content-Length", str(total))]))

            def upload() -> None:
                block = bytes(MIB)
                while sent[0] < total:
                    client.send(block)
                    sent[0] += MIB

            uploader = threading.Thread(target=upload, daemon=True)
            uploader.start()
            wait_still(sent, growth)
            assert sent[0] < total // 2
            assert growth.sample() < ALLOWANCE
            gate.set()
            assert client.response().body == b"%d" % total
            uploader.join(5)
            assert growth.sample() < ALLOWANCE

    def test_an_upload_that_an_upstream_was_slow_to_take_is_over_when_it_is(self, tmp_path: Path) -> None:
        """Its answer may take longer than a client may rest within its body."""
        piece = chunk(bytes(16384))
        gates = threading.Event(), threading.Event()
        taken = threading.Semaphore(0)

        def script(peer: Conversation) -> None:
            head = peer.head()
            peer.wait(gates[0])
            for _ in peer.reader.request_body(head):
                pass
            taken.release()
            peer.wait(gates[1])
            peer.send(answers.response(b"done"))

        server = {"listen": [f"unix:{tmp_path}/s"], "timeouts": {"body_idle": "1s"}}
        with through(script, record=False, server=server) as (probe, _, gateway), ExitStack() as stack:
            # How many pieces are taken until the gateway has piled up all that it does?
            start = request("PUT", "/", [("Transfer-Encoding", "chunked")])
            probe.send(start)
            most = 0
            while takes(probe.send(piece)):
                most += 1
            clients = [stack.enter_context(gateway.client()) for _ in range(4)]
            for fewer, client in enumerate(clients, 1):
                client.send(start)
                for _ in range(most - fewer):
                    if not takes(client.send(piece)):
                        break
                client.send(chunk(bytes(60000)) + LAST_CHUNK)
            gates[0].set()
            for _ in clients:
                assert taken.acquire(timeout=5)
            assert clients[0].is_idle(1.5)
            gates[1].set()
            assert [client.response().body for client in clients] == [b"done"] * len(clients)

    def test_pipelined_requests_that_nobody_reads_the_answers_of_are_not_piled_up(self) -> None:
        body = bytes(MIB)
        with through(answers.raw(answers.response(body)), record=False, rcvbuf=65536) as (client, _, gateway):
            growth = Growth(gateway.pid)
            client.send(b"".join(request() for _ in range(64)))
            assert client.head().status == 200
            assert growth.sample() < ALLOWANCE
            assert len(client.reader.exactly(MIB)) == MIB
            for _ in range(63):
                assert len(client.response().body) == MIB
                assert growth.sample() < ALLOWANCE


@pytest.mark.large
class TestLarge:
    SIZE = 1 << 30

    def test_download_of_a_gibibyte(self) -> None:
        with through(answers.sized(self.SIZE, piece=MIB), record=False) as (client, _, gateway):
            growth = Growth(gateway.pid)
            client.send(request())
            body = client.reader.response_body(client.head())
            assert sum(map(len, sampled(body, growth))) == self.SIZE
            assert growth.peak - growth.before < ALLOWANCE

    def test_upload_of_a_gibibyte(self) -> None:
        block = bytes(range(256)) * (MIB // 256)
        digest = hashlib.sha256()
        with through(answers.swallow, record=False) as (client, _, gateway):
            client.sock.settimeout(30)
            growth = Growth(gateway.pid)
            client.send(request("PUT", "/", [("Content-Length", str(self.SIZE))]))
            for number in range(self.SIZE // MIB):
                client.send(block)
                digest.update(block)
                if not number % 64:
                    growth.sample()
            assert client.response().body == f"{self.SIZE} {digest.hexdigest()}".encode()
            assert growth.sample() < ALLOWANCE


class TestExpect:
    HEAD = request("PUT", "/", [("Expect", "100-continue"), ("Content-Length", "4")])

    def test_the_upstream_decides_to_go_on(self) -> None:
        def script(peer: Conversation) -> None:
            head = peer.head()
            assert head.headers.get("Expect") == "100-continue"
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = b"".join(peer.reader.request_body(head))
            peer.send(answers.response(body))

        with through(script) as (client, _, _):
            assert client.send(self.HEAD).head().status == 100
            assert client.send(b"body").response().body == b"body"

    def test_the_time_of_an_upload_that_goes_on_is_not_over(self) -> None:
        """Each piece of a body may take as long as a target may rest, after leave to send it as before."""

        def script(peer: Conversation) -> None:
            head = peer.head()
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            peer.send(answers.response(b"".join(peer.reader.request_body(head))))

        with through(script, upstream={"timeouts": {"idle": "1s", "response": "1s"}}) as (client, _, gateway):
            assert client.send(self.HEAD).head().status == 100
            for piece in (b"b", b"o", b"d"):
                assert client.is_idle(0.5)
                client.send(piece)
            assert client.send(b"y").response().body == b"body"
            eventually(lambda: bool(gateway.access_log), "the exchange is logged")
            line = gateway.access_log[0]
            assert line["upstream_us"] < line["duration_us"] / 2, "the time in which it sends is the client's"

    def test_the_upstream_decides_against_it(self) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(answers.response(b"no", "417 Expectation Failed"))
            with pytest.raises(Truncated):
                list(peer.reader.request_body(peer.heads[0]))

        with through(script) as (client, _, _):
            response = client.send(self.HEAD).response()
            assert (response.status, response.interim) == (417, [])
            # RFC 9110 section 10.1.1: nobody knows whether the body comes, so the connection ends.
            assert response.headers.get("Connection") == "close"
            assert client.is_closed()

    def test_a_client_may_go_on_by_itself(self) -> None:
        with through(answers.echo) as (client, _, _):
            response = client.send(self.HEAD + b"body").response()
            assert answers.told(response.body)["body"] == "body"

    def test_a_gateways_own_answer_needs_no_body(self) -> None:
        with through(answers.ok, server={"limits": {"body": 3}}) as (client, upstream, _):
            response = client.send(self.HEAD).response()
            assert (response.status, response.headers.get("Connection")) == (413, "close")
            assert upstream.conversations == []

    def test_who_sends_a_long_body_unasked_is_told_that_the_connection_ends_with_its_refusal(self) -> None:
        with through(answers.ok, server={"limits": {"body": "1KiB"}}) as (client, _, _):
            response = client.send(request("PUT", "/", [("Content-Length", "1000000")])).response()
            assert (response.status, response.headers.get("Connection")) == (413, "close")
            assert client.is_closed()


class TestInterim:
    def test_passes_to_the_client(self) -> None:
        script = answers.raw(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
            b"HTTP/1.1 102 Processing\r\n\r\n",
            answers.response(b"done"),
        )
        with through(script) as (client, _, _):
            response = client.ask()
            assert [head.status for head in response.interim] == [103, 102]
            assert response.interim[0].headers == [("Link", "</a.css>; rel=preload")]
            assert response.body == b"done"

    def test_is_not_held_back(self) -> None:
        gate = threading.Event()
        script = answers.raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", gate, answers.response(b"done"))
        with through(script) as (client, _, _):
            assert client.send(request()).head().status == 103
            gate.set()
            assert client.response().body == b"done"

    def test_is_kept_from_clients_of_1_0(self) -> None:  # RFC 9110, 15.2
        script = answers.raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", answers.response(b"done"))
        with through(script) as (client, _, _):
            response = client.send(b"GET / HTTP/1.0\r\n\r\n").response()
            assert (response.interim, response.body) == ([], b"done")


def takes(client: Client) -> bool:
    """Whether the gateway reads what was sent, or has stopped to."""
    try:
        wait_taken(client, within=0.5)
    except AssertionError:
        return False
    return True


def wait_still(count: list[int], growth: Growth) -> None:
    """Waits until the count has stood still for 40 looks: buffers are full."""
    last, looks = -1, 0

    def still() -> bool:
        nonlocal last, looks
        growth.sample()
        looks = looks + 1 if count[0] == last and last > 0 else 0
        last = count[0]
        return looks >= 40

    eventually(still, "the sender is held back", within=20)


def sampled(pieces: Iterator[bytes], growth: Growth) -> Iterator[bytes]:
    """Passes pieces on and looks at the memory every 32 MiB or so."""
    seen = 0
    for piece in pieces:
        seen += len(piece)
        if seen >= 32 * MIB:
            seen = 0
            growth.sample()
        yield piece
