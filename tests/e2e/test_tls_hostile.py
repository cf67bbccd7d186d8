"""TLS where strangers try it: hellos, renegotiation, PROXY headers before it, half closes, memory."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tetrapylon
from tests.e2e.test_accept import v2
from tests.e2e.test_tls import dial, over, rejected, sealed
from tests.harness import (
    Client,
    Conversation,
    Gateway,
    Growth,
    Upstream,
    answers,
    eventually,
    proxy,
    request,
    secure,
)
from tests.harness.secure import Authority, Pair

pytestmark = pytest.mark.sockets("TLS under a transport is the program's own")

NAME = b"gateway.test"
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891")
NOT_A_NAME = NAME.replace(b"way", b"w\xffy")
UNEXPECTED_MESSAGE, RECORD_OVERFLOW, DECODE_ERROR, UNRECOGNIZED_NAME = 10, 22, 50, 112


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def own(ca: Authority) -> Pair:
    return ca.issue("gateway.test")


@pytest.fixture(scope="module")
def hello() -> bytes:
    """A ClientHello in one record."""
    out = ssl.MemoryBIO()
    connection = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=NAME.decode())
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    data = out.read()
    assert NAME in data
    return data


def sized(data: bytes, width: int = 2) -> bytes:
    return len(data).to_bytes(width, "big") + data


def without_a_share(name: bytes) -> bytes:
    """A ClientHello with a key for 0x6a6a, unknown to all, that would take P-256 (RFC 8446 section 4.1.4)."""
    extensions = {
        0: sized(b"\0" + sized(name)),  # server_name
        10: sized(b"\x6a\x6a\x00\x17"),  # supported_groups
        13: sized(b"\x04\x03\x08\x04"),  # signature_algorithms
        43: sized(b"\x03\x04", 1),  # supported_versions
        51: sized(b"\x6a\x6a" + sized(bytes(32))),  # key_share
    }
    told = b"".join(kind.to_bytes(2, "big") + sized(data) for kind, data in extensions.items())
    ciphers = sized(b"\x13\x01")
    body = b"\x03\x03" + bytes(32) + sized(bytes(32), 1) + ciphers + sized(b"\0", 1) + sized(told)
    return records(b"\x01" + sized(body, 3), 1 << 14)


def records(message: bytes, size: int) -> bytes:
    """A handshake message in records of so many bytes."""
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def alerts(gateway: Gateway, *said: bytes) -> int:
    """The fatal alert that an unfinished handshake is answered with."""
    with gateway.client(record=False) as client:
        for data in said:
            client.send(data)
        answer = client.until_eof()
    assert answer[:1] + answer[3:6] == b"\x15\x00\x02\x02", answer
    assert len(answer) == 7
    return answer[6]


class TestHellos:
    def test_a_name_that_is_not_ascii_is_refused_in_silence(self, own: Pair, hello: bytes) -> None:
        with over(own.config()) as (gateway, _):
            bad = hello.replace(NAME, NOT_A_NAME)
            assert alerts(gateway, bad) == UNRECOGNIZED_NAME
            assert alerts(gateway, records(bad[5:], 7)) == UNRECOGNIZED_NAME
            assert alerts(gateway, bad[:100], bad[100:]) == UNRECOGNIZED_NAME
            eventually(lambda: rejected(gateway, "tls_handshake") == 3, "it is counted")
            assert len(gateway.lines) == 1

    def test_so_it_is_in_a_second_hello(self, own: Pair) -> None:
        with over(own.config()) as (gateway, _):
            for between in (b"", b"\x14\x03\x03\x00\x01\x01"):
                with gateway.client(record=False) as client:
                    client.send(without_a_share(NAME))
                    assert RETRY in client.reader.exactly(43)
                    client.send(between + without_a_share(NOT_A_NAME))
                    assert client.until_eof().endswith(bytes([2, UNRECOGNIZED_NAME]))
            eventually(lambda: rejected(gateway, "tls_handshake") == 2, "it is counted")
            assert len(gateway.lines) == 1

    def test_an_honest_client_is_asked_for_another_key(
        self, ca: Authority, own: Pair, tmp_path: Path
    ) -> None:
        settings = tmp_path / "openssl.cnf"
        sections = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
        settings.write_text(f"{sections}Groups = P-384\n")
        server = {"listen": [{"address": "127.0.0.1:0", "tls": own.config()}]}
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, server=server), env={"OPENSSL_CONF": str(settings)}) as gateway,
        ):
            for step in (1 << 20, 1):
                asked: list[Any] = []
                context = ca.trusted()
                context._msg_callback = lambda *said, asked=asked: asked.append(said)  # type: ignore[attr-defined]
                with dial(gateway, context, step=step) as client:
                    assert client.ask().body == b"ok"
                assert any(RETRY in said[-1] for said in asked)

    def test_nothing_may_follow_a_hello(self, own: Pair, hello: bytes) -> None:
        with over(own.config()) as (gateway, _):
            for more in (hello, hello[:1], b"\x17\x03\x03\x00\x01\x00"):
                assert alerts(gateway, hello + more) == UNEXPECTED_MESSAGE
            message = hello[5:]
            assert alerts(gateway, records(message + b"\x14", 1 << 14)) == UNEXPECTED_MESSAGE

    def test_other_beginnings(self, own: Pair, hello: bytes) -> None:
        with over(own.config()) as (gateway, _):
            finished = b"\x16\x03\x01\x00\x04\x14\x00\x00\x00"
            assert alerts(gateway, finished) == UNEXPECTED_MESSAGE
            assert alerts(gateway, b"\x16\x03\x01\x00\x00" + hello) == DECODE_ERROR
            assert alerts(gateway, records(b"\x01\x00\x00\x20" + hello[9:60], 100)) == UNEXPECTED_MESSAGE
            assert alerts(gateway, records(b"\x01\x00\x00\x20" + hello[9:41], 100)) == DECODE_ERROR
            assert alerts(gateway, b"\x16\x03\x01\x40\x01") == RECORD_OVERFLOW
            huge = b"\x01\x00\x60\x00" + bytes(0x6000)
            assert alerts(gateway, records(huge, 1 << 13)) == RECORD_OVERFLOW
            warned = b"\x15\x03\x01\x00\x02\x01\x5a"
            with gateway.client() as client:
                assert client.send(warned).is_closed()

    def test_every_length_within_it_may_lie(self, own: Pair, hello: bytes) -> None:
        with over(own.config()) as (gateway, _):
            for cut in range(9, len(hello), 11):
                body = hello[9:cut]
                whole = b"\x01" + len(body).to_bytes(3, "big") + body
                with gateway.client() as client:
                    client.send(records(whole, 1 << 14)).half_close()
                    client.until_eof()
            assert len(gateway.lines) == 1

    def test_small_records_lose_nothing(self, own: Pair) -> None:
        """A client may ask for records of 512 bytes (RFC 6066 section 4)."""
        with over(own.config(), answers.sized(300_000)) as (gateway, _):
            command = ["openssl", "s_client", "-connect", gateway.address, "-quiet", "-ign_eof"]
            for version in ("-tls1_2", "-tls1_3"):
                found = subprocess.run(
                    [*command, version, "-maxfraglen", "512"],
                    input=request("GET", "/", [("Connection", "close")]),
                    capture_output=True,
                    timeout=20,
                    check=True,
                )
                assert len(found.stdout.partition(b"\r\n\r\n")[2]) == 300_000

    def test_nobody_renegotiates(self, own: Pair) -> None:
        with over(own.config()) as (gateway, _):
            command = ["openssl", "s_client", "-connect", gateway.address, "-tls1_2"]
            found = subprocess.run(command, input=b"R\n", capture_output=True, timeout=20, check=False)
            assert b"RENEGOTIATING" in found.stdout + found.stderr
            assert b"no renegotiation" in found.stderr


ANNOUNCED = {
    "v1": b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n",
    "v2": v2(socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + bytes([18, 103, 1, 187])),
}


class TestBehindAProxyHeader:
    @contextmanager
    def announced(self, own: Pair, patience: str = "30s") -> Iterator[Gateway]:
        listen = [{"address": "127.0.0.1:0", "proxy_protocol": True, "tls": own.config()}]
        server = {"listen": listen, "timeouts": {"handshake": patience, "header": patience}}
        with (
            Upstream(answers.echo) as upstream,
            Gateway(proxy(upstream.url, server=server, admin={"listen": "127.0.0.1:0"})) as gateway,
        ):
            yield gateway

    @pytest.mark.parametrize("version", ANNOUNCED)
    @pytest.mark.parametrize("step", [1, 1 << 20])
    def test_the_client_is_the_announced_one(self, ca: Authority, own: Pair, version: str, step: int) -> None:
        wrap = secure.client(ca.trusted(), step=step)

        def behind(sock: socket.socket) -> socket.socket:
            for i in range(0, len(header), step):
                sock.sendall(header[i : i + step])
            return wrap(sock)

        header = ANNOUNCED[version]
        with self.announced(own) as gateway, gateway.client(wrap=behind, record=False) as client:
            headers = answers.told(client.ask().body)["headers"]
            assert ["X-Forwarded-For", "192.0.2.7"] in headers  # type: ignore[operator]
            assert ["X-Forwarded-Proto", "https"] in headers  # type: ignore[operator]

    @pytest.mark.parametrize("version", ANNOUNCED)
    def test_both_in_one_segment(self, own: Pair, hello: bytes, version: str) -> None:
        with self.announced(own) as gateway, gateway.client(record=False) as client:
            client.send(ANNOUNCED[version] + hello)
            assert client.reader.exactly(6)[::5] == b"\x16\x02"  # a ServerHello

    def test_tls_without_a_header_and_a_header_without_tls(self, own: Pair, hello: bytes) -> None:
        with self.announced(own, "1s") as gateway:
            for said, reason in [
                (hello, "proxy_header"),
                (ANNOUNCED["v1"] + request(), "tls_absent"),
                (ANNOUNCED["v1"] * 2, "tls_absent"),
                (ANNOUNCED["v1"], "tls_handshake"),  # by deadline
            ]:
                refused(gateway, said, reason)


def refused(gateway: Gateway, said: bytes, reason: str) -> None:
    before = rejected(gateway, reason)
    with gateway.client() as client:
        assert client.send(said).is_closed()
    eventually(lambda: rejected(gateway, reason) == before + 1, f"{reason} is counted")


class TestHalfClosedTunnels:
    def test_the_client_speaks_on_after_the_upstream_has_ended(self, ca: Authority, own: Pair) -> None:
        heard: list[bytes] = []
        half, done = threading.Event(), threading.Event()

        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            peer.reader.exactly(5)
            assert half.wait(5)
            peer.half_close()
            while data := peer.reader.some():
                heard.append(data)
            done.set()

        with over(own.config(), script) as (gateway, _), dial(gateway, ca.trusted()) as client:
            client.send(request(headers=[("Connection", "upgrade"), ("Upgrade", "echo")]))
            assert client.head().status == 101
            # A record that is half there when ours ends: our close_notify must not break it.
            client.send(b"begin")
            record = sealed(client).seal(b"x" * 1000)
            sealed(client).raw(record[:500])
            half.set()
            assert client.until_eof() == b""
            assert not sealed(client).truncated
            for i in range(500, len(record), 100):
                sealed(client).raw(record[i : i + 100])
            sealed(client).part()
            assert done.wait(5)
            assert b"".join(heard) == b"x" * 1000


class TestMemory:
    KIB = 1 << 10

    def test_of_idle_connections(self, ca: Authority, own: Pair) -> None:
        count = 200
        with over(own.config()) as (gateway, _), contextlib.ExitStack() as clients:
            for _ in range(20):  # what the first ones need, the next ones use
                with dial(gateway, ca.trusted()) as client:
                    client.ask()
            growth = Growth(gateway.pid)
            for _ in range(count):
                clients.enter_context(dial(gateway, ca.trusted())).ask()
            assert growth.sample() / count <= 24 * self.KIB

    def test_after_large_bodies_has_a_bound_and_does_not_grow(self, ca: Authority, own: Pair) -> None:
        count, size = 60, 1 << 20
        body = bytes(size)
        with over(own.config()) as (gateway, _), contextlib.ExitStack() as stack:
            clients = [stack.enter_context(dial(gateway, ca.trusted())) for _ in range(count)]
            for client in clients:
                client.ask()
            growth = Growth(gateway.pid)
            for turn in range(3):
                for client in clients:
                    assert len(client.ask("POST", "/", body=body).body) > size
                # A memory BIO keeps its largest size: a read's worth going in, a record's going out.
                assert growth.sample() < count * 72 * self.KIB + (4 << 20), turn


@pytest.mark.parametrize("forwarded", ["X-Forwarded-Proto", "Forwarded"])
def test_under_a_transport_the_scheme_is_told(ca: Authority, own: Pair, forwarded: str) -> None:
    """A program that serves the gateway by TLS of its own."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        gateway = tetrapylon.embed(config, loop)
        context = secure.serving(own)
        for tls, scheme in ((context, "https"), (None, "http")):
            server = await loop.create_server(gateway.protocol_factory, "127.0.0.1", 0, ssl=tls)
            host, port = server.sockets[0].getsockname()
            address = f"{host}:{port}"
            assert scheme in await asyncio.to_thread(told, address, tls is not None)
            server.close()
        gateway.drain()
        gateway.close()

    def told(address: str, tls: bool) -> list[str]:
        wrap = secure.client(ca.trusted()) if tls else None
        with Client(address, wrap=wrap, record=False) as client:
            asked = client.ask(headers=[("Forwarded", "for=192.0.2.1")])
        headers: Any = answers.told(asked.body)["headers"]
        return str(dict(headers)[forwarded]).rpartition("proto=")[2].split(";")

    with Upstream(answers.echo) as upstream:
        config = tetrapylon.Config(
            log=tetrapylon.Log(access=None),
            server=tetrapylon.Server(trusted_proxies=("127.0.0.1",)),
            upstreams={"backend": tetrapylon.Upstream(targets=(tetrapylon.Target(url=upstream.url),))},
            routes=(tetrapylon.Route(path="/{rest:path}", upstream="backend"),),
        )
        asyncio.run(main())
