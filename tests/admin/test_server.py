"""The admin's socket: one request a connection, and patience with nobody."""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Awaitable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import uvloop

from tests.control.running import eventually
from tetrapylon.admin import server
from tetrapylon.admin.answer import Answer
from tetrapylon.admin.server import http_date, is_loopback_host, serve_admin


async def later() -> Answer:
    for _ in range(20):
        await asyncio.sleep(0.001)  # turns of the loop in which the client's end is heard of
    return Answer(200, [("Content-Type", "text/plain")], b"later")


def echo(method: str, target: str, headers: Mapping[str, str]) -> Answer | Awaitable[Answer]:
    if target == "/later":
        return later()
    if target == "/raise":
        raise RuntimeError("boom")
    if target == "/large":
        return Answer(200, [("Content-Type", "text/plain")], b"x" * 4_000_000)
    if target == "/stream":
        return Answer(200, [("Content-Type", "text/plain")], iter([b"one ", b"two ", b"three"]))
    if target == "/stream/large":
        return Answer(200, [("Content-Type", "text/plain")], (b"x" * 65536 for _ in range(64)))
    if target == "/stream/raise":
        return Answer(200, [("Content-Type", "text/plain")], fail_midway())
    body = json.dumps({"method": method, "target": target, "headers": dict(headers)}).encode()
    return Answer(200, [("Content-Type", "application/json")], body)


def fail_midway() -> Iterator[bytes]:
    yield b"one "
    raise RuntimeError("boom")


@contextlib.contextmanager
def serving(sock: socket.socket) -> Iterator[socket.socket]:
    """Serves `echo` on a loop in a thread of its own."""
    loop = uvloop.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        listening = await serve_admin(loop, sock, echo)
        started.set()
        await stop.wait()
        listening.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert started.wait(5)
        yield sock
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving(socket.create_server(("127.0.0.1", 0))) as sock:
        yield sock.getsockname()


def exchange(address: tuple[str, int], data: bytes) -> bytes:
    """All that comes back for `data`, to the end of the connection."""
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(data)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    received = b""
    while part := client.recv(1 << 20):
        received += part
    return received


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 ")
    return int(answer[9:12])


def get(host: str, target: str = "/", more: str = "") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def open_sockets() -> int:
    """Of this process, which holds both ends."""
    return sum(os.readlink(f"/proc/self/fd/{fd}").startswith("socket:") for fd in descriptors())


def descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]


class TestAnswers:
    def test_a_plain_client_is_answered(self, address: tuple[str, int]) -> None:
        client = http.client.HTTPConnection(*address, timeout=5)
        client.request("GET", "/path?q=1", headers={"X-Asked": "yes"})
        response = client.getresponse()
        told = json.loads(response.read())
        client.close()
        assert (told["method"], told["target"], told["headers"]["x-asked"]) == ("GET", "/path?q=1", "yes")
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Connection"] == "close"
        assert parsedate_to_datetime(response.headers["Date"]).tzinfo is not None

    def test_a_large_answer_arrives_whole(self, address: tuple[str, int]) -> None:
        answer = exchange(address, get("localhost", "/large"))
        assert len(answer.partition(b"\r\n\r\n")[2]) == 4_000_000

    def test_head_has_the_length_and_no_body(self, address: tuple[str, int]) -> None:
        head, _, body = exchange(address, b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").partition(
            b"\r\n\r\n"
        )
        assert body == b""
        assert b"Content-Length: " in head
        assert b"Content-Length: 0" not in head

    def test_pieces_are_chunks(self, address: tuple[str, int]) -> None:  # RFC 9112, 7.1
        head, _, body = exchange(address, get("localhost", "/stream")).partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert b"Content-Length" not in head
        assert body == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"

    def test_pieces_end_with_the_connection_for_http_1_0(self, address: tuple[str, int]) -> None:
        head, _, body = exchange(address, b"GET /stream HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert body == b"one two three"

    def test_head_of_pieces_has_none(self, address: tuple[str, int]) -> None:
        request = b"HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert exchange(address, request).endswith(b"\r\n\r\n")
        assert b"one" not in exchange(address, request)

    def test_others_are_answered_between_pieces_that_nobody_takes(self, address: tuple[str, int]) -> None:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.settimeout(5)
            lazy.connect(address)
            lazy.sendall(get("localhost", "/stream/large"))
            assert lazy.recv(1) == b"H"
            assert status(exchange(address, get("localhost"))) == 200
            assert read_all(lazy).endswith(b"\r\n0\r\n\r\n")

    def test_pieces_that_fail_are_cut_not_ended(
        self, address: tuple[str, int], capfd: pytest.CaptureFixture[str]
    ) -> None:
        answer = exchange(address, get("localhost", "/stream/raise"))
        assert not answer.endswith(b"0\r\n\r\n")
        assert "raised RuntimeError: boom" in capfd.readouterr().err

    def test_absolute_form_is_understood(self, address: tuple[str, int]) -> None:  # RFC 9112, 3.2.2
        answer = exchange(address, get("localhost", "http://localhost/livez?q"))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["target"] == "/livez?q"

    def test_a_head_in_single_bytes_is_understood(self, address: tuple[str, int]) -> None:
        with socket.create_connection(address, timeout=5) as client:
            for byte in get("localhost", "/slow"):
                client.sendall(bytes([byte]))
            assert b'"target": "/slow"' in read_all(client)

    def test_a_client_that_half_closes_is_answered(self, address: tuple[str, int]) -> None:
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(get("localhost"))
            client.shutdown(socket.SHUT_WR)
            assert status(read_all(client)) == 200

    @pytest.mark.parametrize("target", ["/stream/large", "/later"])
    def test_also_with_an_answer_that_takes_its_time(self, address: tuple[str, int], target: str) -> None:
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(get("localhost", target))
            client.shutdown(socket.SHUT_WR)
            answer = read_all(client)
        assert status(answer) == 200
        assert answer.endswith(b"0\r\n\r\n" if target == "/stream/large" else b"later")

    def test_only_the_first_of_several_requests_is_answered(self, address: tuple[str, int]) -> None:
        answer = exchange(address, get("localhost") * 100)
        assert answer.count(b"HTTP/1.1 200 OK") == 1

    def test_an_upgrade_is_not_taken(self, address: tuple[str, int]) -> None:
        answer = exchange(address, get("localhost", more="Connection: upgrade\r\nUpgrade: websocket\r\n"))
        assert status(answer) == 200

    def test_a_fault_in_an_answer_is_500_and_the_next_is_fine(
        self, address: tuple[str, int], capfd: pytest.CaptureFixture[str]
    ) -> None:
        answer = exchange(address, get("localhost", "/raise"))
        assert status(answer) == 500
        assert b"boom" not in answer
        assert "raised RuntimeError: boom" in capfd.readouterr().err
        assert status(exchange(address, get("localhost"))) == 200

    def test_a_unix_socket_serves_any_host(self, tmp_path: Path) -> None:
        path = str(tmp_path / "admin")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()
        with serving(listening), socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(get("anything.example"))
            assert status(read_all(client)) == 200


class TestHosts:
    """A page that a browser loaded from elsewhere must not read a loopback port by DNS rebinding."""

    @pytest.mark.parametrize(
        "host",
        ["localhost", "LOCALHOST:9901", "a.localhost", "127.0.0.1", "127.1.2.3:1", "[::1]", "[::1]:9901"],
    )
    def test_names_of_this_machine_are_served(self, address: tuple[str, int], host: str) -> None:
        assert is_loopback_host(host)
        assert status(exchange(address, get(host))) == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:9901",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "",
        ],
    )
    def test_others_are_refused(self, address: tuple[str, int], host: str) -> None:
        assert not is_loopback_host(host)
        answer = exchange(address, get(host))
        assert status(answer) == 421
        assert b"application/problem+json" in answer

    def test_beyond_loopback_any_host_may_probe_and_no_more(self) -> None:
        with serving(socket.create_server(("0.0.0.0", 0))) as sock:
            address = ("127.0.0.1", sock.getsockname()[1])
            probe = exchange(address, get("gateway.example").replace(b"GET / ", b"GET /livez "))
            other = exchange(address, get("gateway.example"))
        assert status(probe) == 200
        assert status(other) == 403
        assert b"admin.token" in other

    @pytest.mark.parametrize("head", [b"", b"Host: localhost\r\nHost: localhost\r\n"])
    def test_exactly_one_is_needed(self, address: tuple[str, int], head: bytes) -> None:
        assert status(exchange(address, b"GET / HTTP/1.1\r\n" + head + b"\r\n")) == 400

    def test_http_1_0_may_do_without(self, address: tuple[str, int]) -> None:
        assert status(exchange(address, b"GET / HTTP/1.0\r\n\r\n")) == 200


class TestLimits:
    @pytest.mark.parametrize(
        "data", [b"\x16\x03\x01\x00\xa5\x01\x00", b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nA B: c\r\n\r\n"]
    )
    def test_what_is_no_http_is_400(self, address: tuple[str, int], data: bytes) -> None:
        assert status(exchange(address, data)) == 400

    @pytest.mark.parametrize("ended", [True, False])
    def test_a_large_head_is_431(self, address: tuple[str, int], ended: bool) -> None:
        large = "X-Large: " + "x" * server.HEAD_BYTES + "\r\n"
        data = get("localhost", more=large)
        assert status(exchange(address, data if ended else data[:-2])) == 431

    @pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked"])
    def test_a_body_is_413(self, address: tuple[str, int], field: str) -> None:
        data = f"POST / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\nhello".encode()
        assert status(exchange(address, data)) == 413

    def test_a_slow_head_is_408(self, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "HEAD_SECONDS", 0.05)
        assert status(exchange(address, b"GET / HT")) == 408

    def test_a_client_that_takes_nothing_is_cut(
        self, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "SEND_SECONDS", 0.05)
        before = open_sockets()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(5)
            client.connect(address)
            client.sendall(get("localhost", "/large"))
            received = len(client.recv(1))
            eventually(lambda: open_sockets() == before + 1, "the server's end is closed")
            with contextlib.suppress(ConnectionResetError):
                while part := client.recv(1 << 20):
                    received += len(part)
            assert received < 4_000_000

    def test_too_many_connections_at_once_are_503(
        self, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "CONNECTIONS", 2)
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                client = stack.enter_context(socket.create_connection(address, timeout=5))
                client.sendall(b"GET / HT")
            assert status(exchange(address, b"")) == 503
        answers = iter(lambda: status(exchange(address, get("localhost"))), 200)
        assert sum(1 for _ in answers) < 1000


def test_dates_are_as_rfc_9110_writes_them() -> None:
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
