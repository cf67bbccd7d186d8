"""TLS with clients: certificates by name, sessions, client certificates, new files, and bad beginnings."""

import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.harness import (
    Client,
    Conversation,
    Gateway,
    Growth,
    Script,
    Upstream,
    answers,
    chunk,
    eventually,
    leaks,
    net,
    proxy,
    request,
    secure,
)
from tests.harness.secure import Authority, Pair, TlsSocket

pytestmark = pytest.mark.sockets("TLS under a transport is the program's own")

Dial = Callable[..., Client]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def own(ca: Authority) -> Pair:
    return ca.issue("gateway.test")


@contextmanager
def over(
    tls: dict[str, Any], script: Script = answers.echo, *, timeouts: dict[str, str] | None = None, **more: Any
) -> Iterator[tuple[Gateway, Upstream]]:
    """A gateway whose one listener speaks TLS, with its admin address, in front of a plain upstream."""
    server = {
        "listen": [{"address": "127.0.0.1:0", "tls": tls}],
        "timeouts": {"drain": "1s", **(timeouts or {})},
    }
    admin = {"listen": "127.0.0.1:0"}
    with (
        Upstream(script, record=False) as upstream,
        Gateway(proxy(upstream.url, server=server, admin=admin, **more)) as gateway,
    ):
        yield gateway, upstream


def dial(
    gateway: Gateway, context: ssl.SSLContext, name: str | None = "gateway.test", **options: Any
) -> Client:
    return gateway.client(wrap=secure.client(context, name, **options), record=False)


def sealed(client: Client) -> TlsSocket:
    assert isinstance(client.sock, TlsSocket)
    return client.sock


def shown(client: Client) -> set[str]:
    """The names in the certificate that the gateway showed."""
    certificate = sealed(client).tls.getpeercert()
    assert certificate is not None
    names: Any = certificate["subjectAltName"]
    return {name for _, name in names}


def rejected(gateway: Gateway, reason: str) -> int:
    with urlopen(f"http://{gateway.admin}/metrics", timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f'tetrapylon_rejects_total{{reason="{reason}"}}'):
                return int(line.rpartition(" ")[2])
    raise LookupError(reason)


class TestRequests:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_go_through(self, ca: Authority, own: Pair, version: ssl.TLSVersion) -> None:
        context = ca.trusted()
        context.maximum_version = version
        with over(own.config()) as (gateway, _), dial(gateway, context) as client:
            assert "https://" in gateway.stderr
            for number in range(3):
                told = answers.told(client.ask("GET", f"/{number}").body)
                assert told["target"] == f"/{number}"
                assert ["X-Forwarded-Proto", "https"] in told["headers"]  # type: ignore[operator]

    def test_pipelined_in_one_record_and_split_at_every_byte(self, ca: Authority, own: Pair) -> None:
        with over(own.config()) as (gateway, _), dial(gateway, ca.trusted()) as client:
            client.send(request("GET", "/1") + request("GET", "/2"))
            assert [answers.told(client.response().body)["target"] for _ in "12"] == ["/1", "/2"]
            for byte in request("POST", "/3", body=b"body"):
                client.send(bytes([byte]))  # a record of its own
            assert answers.told(client.response().body)["body"] == "body"
            records = sealed(client).seal(request("GET", "/4"))
            for byte in records:
                sealed(client).raw(bytes([byte]))
            assert answers.told(client.response().body)["target"] == "/4"

    def test_large_bodies_in_both_directions(self, ca: Authority, own: Pair) -> None:
        body = bytes(range(256)) * (4 << 12)
        with over(own.config(), answers.swallow) as (gateway, _), dial(gateway, ca.trusted()) as client:
            expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
            assert client.ask("POST", "/", body=body).body == expected
            head = request("POST", "/", [("Transfer-Encoding", "chunked")])
            client.send(head, chunk(body[:100_000]), chunk(body[100_000:]), b"0\r\n\r\n")
            assert client.response().body == expected
        size = 40 << 20
        with over(own.config(), answers.sized(size)) as (gateway, _), dial(gateway, ca.trusted()) as client:
            client.send(request())
            assert sum(map(len, client.reader.response_body(client.head()))) == size

    def test_a_slow_reader_slows_the_upstream_and_fills_no_memory(self, ca: Authority, own: Pair) -> None:
        size = 128 << 20
        with over(own.config(), answers.sized(size)) as (gateway, upstream):
            growth = Growth(gateway.pid)
            with dial(gateway, ca.trusted()) as client:
                client.send(request())
                head = client.head()
                assert not upstream.conversation().ended.wait(1)
                assert growth.sample() < 8 << 20
                assert sum(map(len, client.reader.response_body(head))) == size
            assert growth.sample() < 8 << 20

    def test_a_slow_upstream_slows_the_client_and_fills_no_memory(self, ca: Authority, own: Pair) -> None:
        gate = threading.Event()
        size = 64 << 20

        def script(peer: Conversation) -> None:
            head = peer.head()
            peer.wait(gate)
            count = sum(map(len, peer.reader.request_body(head)))
            peer.send(answers.response(str(count).encode()))

        with over(own.config(), script) as (gateway, _), dial(gateway, ca.trusted()) as client:
            growth = Growth(gateway.pid)
            client.sock.settimeout(0.5)
            client.send(request("POST", "/", [("Content-Length", str(size))]))
            rest = memoryview(sealed(client).seal(bytes(size)))
            with contextlib.suppress(TimeoutError):
                while rest:
                    rest = rest[socket.socket.send(client.sock, rest) :]
            assert rest
            assert growth.sample() < 8 << 20
            gate.set()
            client.sock.settimeout(30)
            socket.socket.sendall(client.sock, rest)
            assert client.response().body == str(size).encode()


class TestNames:
    def test_choose_the_certificate(self, ca: Authority) -> None:
        first, second = ca.issue("one.test"), ca.issue("two.test", "*.wild.test")
        certificates = [{"cert": second.cert, "key": second.key}]
        with over(first.config(certificates=certificates)) as (gateway, _):
            for name, expected in [
                ("one.test", {"one.test"}),
                ("two.test", {"two.test", "*.wild.test"}),
                ("TWO.test", {"two.test", "*.wild.test"}),
                ("any.wild.test", {"two.test", "*.wild.test"}),
            ]:
                with dial(gateway, ca.trusted(), name) as client:
                    assert shown(client) == expected
                    assert client.ask().status == 200

    def test_that_are_unknown_or_missing_get_the_first(self, ca: Authority, own: Pair) -> None:
        other = ca.issue("other.test")
        context = ca.trusted()
        context.check_hostname = False
        with over(own.config(certificates=[other._asdict()])) as (gateway, _):
            for name in ("unknown.test", "deep.below.other.test", None):
                with dial(gateway, context, name) as client:
                    assert shown(client) == {"gateway.test"}


class TestAgreement:
    def test_alpn(self, ca: Authority, own: Pair) -> None:
        with over(own.config()) as (gateway, _):
            with dial(gateway, ca.trusted(alpn=("h2", "http/1.1"))) as client:
                assert sealed(client).tls.selected_alpn_protocol() == "http/1.1"
            with dial(gateway, ca.trusted()) as client:
                assert sealed(client).tls.selected_alpn_protocol() is None
                assert client.ask().status == 200
            with pytest.raises(ssl.SSLError, match="no application protocol"):  # RFC 7301 section 3.2
                dial(gateway, ca.trusted(alpn=("h2", "acme-tls/1")))
            eventually(lambda: rejected(gateway, "tls_handshake") == 1, "it is counted")

    def test_tls_1_1_is_refused(self, ca: Authority, own: Pair) -> None:
        context = ca.trusted()
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with over(own.config()) as (gateway, _):
            with pytest.raises(ssl.SSLError):
                dial(gateway, context)
            eventually(lambda: rejected(gateway, "tls_handshake") == 1, "it is counted")

    def test_the_minimum_version_is_the_configs(self, ca: Authority, own: Pair) -> None:
        context = ca.trusted()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with over(own.config(min_version="1.3")) as (gateway, _):
            with pytest.raises(ssl.SSLError):
                dial(gateway, context)
            with dial(gateway, ca.trusted()) as client:
                assert sealed(client).tls.version() == "TLSv1.3"

    def test_the_ciphers_are_the_configs(self, ca: Authority, own: Pair) -> None:
        context = ca.trusted()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        only = "ECDHE-ECDSA-AES256-GCM-SHA384"
        with over(own.config(ciphers=only)) as (gateway, _), dial(gateway, context) as client:
            cipher = sealed(client).tls.cipher()
            assert cipher is not None
            assert cipher[0] == only


class TestSessions:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_are_resumed_by_every_worker(self, ca: Authority, own: Pair, version: ssl.TLSVersion) -> None:
        context = ca.trusted()
        context.maximum_version = version
        server = {"listen": [{"address": "127.0.0.1:0", "tls": own.config()}], "workers": 3}
        with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, server=server)) as gateway:
            with dial(gateway, context) as client:
                client.ask()
                session = sealed(client).tls.session
            for _ in range(12):  # the kernel spreads them over the workers
                with dial(gateway, context, session=session) as client:
                    assert client.ask().body == b"ok"
                    assert sealed(client).tls.session_reused

    def test_outlive_a_new_certificate(self, ca: Authority) -> None:
        pair = ca.issue("gateway.test")
        context = ca.trusted()
        with over(pair.config()) as (gateway, _):
            with dial(gateway, context) as client:
                client.ask()
                session = sealed(client).tls.session
            pair.replace(ca.issue("gateway.test", "new.test"))
            eventually(
                lambda: "new.test" in names_now(gateway, ca), "the new certificate is shown", within=10
            )
            with dial(gateway, context, session=session) as client:
                assert sealed(client).tls.session_reused


def names_now(gateway: Gateway, ca: Authority) -> set[str]:
    with dial(gateway, ca.trusted()) as client:
        return shown(client)


class TestClientCertificates:
    def test_are_verified_and_told_upstream(self, ca: Authority, own: Pair, tmp_path: Path) -> None:
        clients = Authority(tmp_path, "clients")
        pair = clients.issue("client@example.test", common_name="Büro, \r\nX: y")
        with over(own.config(client_ca=clients.pem)) as (gateway, _):
            context = ca.trusted(pair)
            session = None
            for resumed in (False, True):
                with dial(gateway, context, session=session) as client:
                    told = answers.told(client.ask().body)
                    assert subject(told) == [r"CN=B\C3\BCro\, \0D\0AX: y,OU=Tests,O=Acme"]
                    session = sealed(client).tls.session
                    assert sealed(client).tls.session_reused is resumed

    def test_forged_subjects_are_dropped_on_every_listener(
        self, ca: Authority, own: Pair, tmp_path: Path
    ) -> None:
        clients = Authority(tmp_path, "clients")
        tls = own.config(client_ca=clients.pem, client_auth="optional")
        listen = [{"address": "127.0.0.1:0", "tls": tls}, "127.0.0.1:0"]
        forged = [
            ("X-Client-Cert-Subject", "CN=root"),
            ("x_client_cert_subject", "CN=root"),
            ("X-Client_Cert-SUBJECT", "CN=root"),
        ]
        with (
            Upstream(answers.echo) as upstream,
            Gateway(proxy(upstream.url, server={"listen": listen})) as gateway,
        ):
            with dial(gateway, ca.trusted()) as client:
                assert subject(answers.told(client.ask(headers=forged).body)) == []
            with Client(gateway.addresses[1]) as client:
                assert subject(answers.told(client.ask(headers=forged).body)) == []
                head = request("POST", "/", [("Transfer-Encoding", "chunked"), ("TE", "trailers")])
                trailers = "".join(f"{name}: {value}\r\n" for name, value in forged).encode()
                client.send(head, chunk(b"x"), b"0\r\nX-Kept: 1\r\n" + trailers + b"\r\n")
                told = answers.told(client.response().body)
                assert told["trailers"] == [["X-Kept", "1"]]
            with dial(gateway, ca.trusted(clients.issue("a@b.test", common_name="real"))) as client:
                forged.append(("Connection", "X-Client-Cert-Subject"))
                assert subject(answers.told(client.ask(headers=forged).body)) == ["CN=real,OU=Tests,O=Acme"]

    def test_without_one_the_handshake_fails(self, ca: Authority, own: Pair, tmp_path: Path) -> None:
        clients = Authority(tmp_path, "clients")
        strangers = Authority(tmp_path, "strangers")
        with over(own.config(client_ca=clients.pem)) as (gateway, upstream):
            for pair in (None, strangers.issue("client@example.test")):
                context = ca.trusted(pair)
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                with pytest.raises(ssl.SSLError):
                    dial(gateway, context)
            with dial(gateway, ca.trusted()) as client, pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
                client.ask()  # in TLS 1.3 the client learns it only now
            eventually(lambda: rejected(gateway, "tls_handshake") == 3, "it is counted")
            assert upstream.conversations == []

    def test_the_field_has_the_name_of_the_config(self, ca: Authority, own: Pair, tmp_path: Path) -> None:
        clients = Authority(tmp_path, "clients")
        tls = own.config(client_ca=clients.pem, subject_header="X-Who")
        with (
            over(tls) as (gateway, _),
            dial(gateway, ca.trusted(clients.issue("a@b.test", common_name="me"))) as client,
        ):
            told = answers.told(client.ask(headers=[("X-WHO", "root")]).body)
            assert subject(told, "x-who") == ["CN=me,OU=Tests,O=Acme"]

    def test_a_route_can_ask_for_a_subject_and_nobody_can_pretend(
        self, ca: Authority, own: Pair, tmp_path: Path
    ) -> None:
        clients = Authority(tmp_path, "clients")
        listener = {
            "address": "127.0.0.1:0",
            "tls": own.config(client_ca=clients.pem, client_auth="optional"),
        }
        name = "X-Client-Cert-Subject"
        route = {"path": "/", "headers": {name: "CN=boss,OU=Tests,O=Acme"}, "respond": {"body": "hello boss"}}
        with Gateway({"server": {"listen": [listener]}, "routes": [route]}) as gateway:
            with dial(gateway, ca.trusted()) as client:
                assert client.ask(headers=[(name, "CN=boss,OU=Tests,O=Acme")]).status == 404
            with dial(gateway, ca.trusted(clients.issue("a@b.test", common_name="boss"))) as client:
                assert client.ask().body == b"hello boss"

    def test_a_new_client_ca_ends_the_sessions_of_the_old(
        self, ca: Authority, own: Pair, tmp_path: Path
    ) -> None:
        clients, others = Authority(tmp_path, "clients"), Authority(tmp_path, "others")
        context = ca.trusted(clients.issue("a@b.test", common_name="me"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with over(own.config(client_ca=clients.pem)) as (gateway, _):
            with dial(gateway, context) as client:
                client.ask()
                session = sealed(client).tls.session
            Path(clients.pem).write_bytes(Path(others.pem).read_bytes())
            fresh = ca.trusted(others.issue("a@b.test", common_name="new"))
            fresh.maximum_version = ssl.TLSVersion.TLSv1_2
            eventually(lambda: accepts(gateway, fresh), "the new CA's clients are let in", within=10)
            with pytest.raises(ssl.SSLError):
                dial(gateway, context, session=session)


def accepts(gateway: Gateway, context: ssl.SSLContext) -> bool:
    try:
        dial(gateway, context).close()
    except ssl.SSLError:
        return False
    return True


def subject(told: dict[str, Any], name: str = "x-client-cert-subject") -> list[str]:
    return [value for key, value in told["headers"] if key.lower().replace("_", "-") == name]


class TestNewFiles:
    def test_are_used_without_a_restart(self, ca: Authority) -> None:
        pair = ca.issue("gateway.test")
        with over(pair.config()) as (gateway, _), dial(gateway, ca.trusted()) as old:
            old.ask()
            pair.replace(ca.issue("gateway.test", "new.test", rsa=True))
            eventually(
                lambda: "new.test" in names_now(gateway, ca), "the new certificate is shown", within=10
            )
            assert old.ask().status == 200

    def test_that_are_bad_leave_the_old_in_use(self, ca: Authority) -> None:
        pair = ca.issue("gateway.test")
        with over(pair.config()) as (gateway, _):
            Path(pair.key).write_bytes(Path(ca.issue("gateway.test").key).read_bytes())
            line = gateway.wait_line("does not belong", within=10)
            assert pair.key in line
            assert "stay in use" in line
            assert names_now(gateway, ca) == {"gateway.test"}
            Path(pair.cert).unlink()
            gateway.wait_line("cannot be read", within=10)
            assert names_now(gateway, ca) == {"gateway.test"}
            pair.replace(ca.issue("gateway.test", "new.test"))
            eventually(
                lambda: "new.test" in names_now(gateway, ca), "the new certificate is shown", within=10
            )
            assert len(gateway.lines) == 3


class TestBadBeginnings:
    def test_plain_http_is_closed_and_counted(self, own: Pair) -> None:
        with over(own.config()) as (gateway, _):
            for plain in (request(), b"\r\n", b"\x80"):
                with gateway.client() as client:
                    assert client.send(plain).is_closed()
            eventually(lambda: rejected(gateway, "tls_absent") == 3, "it is counted")
            assert rejected(gateway, "tls_handshake") == 0

    def test_tls_on_a_plain_listener_is_closed_and_counted(self, ca: Authority) -> None:
        config = {"routes": [{"path": "/", "respond": {}}], "admin": {"listen": "127.0.0.1:0"}}
        with Gateway(config) as gateway:
            with pytest.raises(ssl.SSLError):
                dial(gateway, ca.trusted())
            eventually(lambda: rejected(gateway, "tls_unexpected") == 1, "it is counted")
            assert rejected(gateway, "malformed") == 0

    def test_rubbish_in_the_handshake(self, own: Pair) -> None:
        with over(own.config()) as (gateway, _):
            for rubbish in (b"\x16\x03\x01\x00\x05hello", b"\x16rubbish" * 100, b"\x16\x03\x01\xff\xff"):
                with gateway.client() as client:
                    client.send(rubbish).half_close()
                    client.until_eof()
            eventually(lambda: rejected(gateway, "tls_handshake") == 3, "they are counted")

    @pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
    def test_a_handshake_that_stalls_ends_by_its_deadline(self, own: Pair, said: bytes) -> None:
        with (
            over(own.config(), timeouts={"handshake": "200ms"}) as (gateway, _),
            gateway.client() as client,
        ):
            assert client.send(said).is_closed()
            eventually(lambda: rejected(gateway, "tls_handshake") == 1, "it is counted")

    def test_a_handshake_byte_by_byte_has_the_same_deadline(self, own: Pair) -> None:
        hello = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            ssl.create_default_context().wrap_bio(
                ssl.MemoryBIO(), hello, server_hostname="a.test"
            ).do_handshake()
        data = hello.read()
        with over(own.config(), timeouts={"handshake": "300ms"}) as (gateway, _):
            with gateway.client() as client:
                sent = 0
                while sent < len(data) - 1 and client.is_idle(0.02):
                    client.send(data[sent : sent + 1])
                    sent += 1
                assert sent < len(data) - 1
            eventually(lambda: rejected(gateway, "tls_handshake") == 1, "it is counted")

    def test_a_handshake_in_single_bytes_that_is_quick_enough_is_fine(self, ca: Authority, own: Pair) -> None:
        with over(own.config()) as (gateway, _), dial(gateway, ca.trusted(), step=1) as client:
            assert client.ask().status == 200

    def test_a_handshake_does_not_keep_a_drain_waiting(self, own: Pair) -> None:
        with over(own.config(), timeouts={"drain": "10s"}) as (gateway, _), gateway.client() as client:
            client.send(b"\x16\x03\x01")
            assert gateway.stop() == 0
            assert client.is_closed()
            assert "cut" not in gateway.stderr

    def test_a_broken_record_ends_the_connection_alone(self, ca: Authority, own: Pair) -> None:
        with over(own.config()) as (gateway, _), dial(gateway, ca.trusted()) as other:
            with dial(gateway, ca.trusted()) as client:
                assert client.ask().status == 200
                sealed(client).raw(b"\x17\x03\x03\x00\x20" + bytes(32))
                with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
                    client.until_eof()
            assert other.ask().status == 200


class TestEndings:
    def test_a_close_says_so(self, ca: Authority, own: Pair) -> None:
        with over(own.config()) as (gateway, _), dial(gateway, ca.trusted()) as client:
            assert client.ask(headers=[("Connection", "close")]).status == 200
            assert client.is_closed()
            assert not sealed(client).truncated

    def test_a_client_that_half_closes_is_answered(self, ca: Authority, own: Pair) -> None:
        gate = threading.Event()

        def script(peer: Conversation) -> None:
            peer.request()
            peer.wait(gate)
            peer.send(answers.response(b"late"))

        with over(own.config(), script) as (gateway, upstream), dial(gateway, ca.trusted()) as client:
            client.send(request())
            sealed(client).part()
            upstream.wait_requests(1)
            gate.set()
            assert client.response().body == b"late"
            assert client.is_closed()

    def test_one_that_ends_within_its_body_is_not_completed(self, ca: Authority, own: Pair) -> None:
        for end in (TlsSocket.part, net.half_close):
            with over(own.config()) as (gateway, upstream), dial(gateway, ca.trusted()) as client:
                client.send(request("POST", "/", [("Content-Length", "10")]), b"half")
                upstream.conversation()
                end(sealed(client))
                assert client.is_closed()
                eventually(upstream.conversation().ended.is_set, "the upstream's connection ends")
                assert upstream.requests == []

    def test_an_answer_that_was_cut_does_not_end_cleanly(self, ca: Authority, own: Pair) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"half"))

        with over(own.config(), script) as (gateway, _), dial(gateway, ca.trusted()) as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")  # its answer ends with the connection
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                client.until_eof()

    def test_nothing_is_left_behind(self, ca: Authority, own: Pair) -> None:
        with over(own.config()) as (gateway, _):
            with dial(gateway, ca.trusted()) as client:
                client.ask()
            eventually(lambda: client_connections(gateway) == 1, "only an idle one to the upstream is left")
            before = gateway.descriptors()
            for number in range(60):
                client = dial(gateway, ca.trusted())
                if number % 3:
                    client.ask()
                if number % 2:
                    sealed(client).part()
                client.reset() if number % 5 == 0 else client.close()
            eventually(lambda: gateway.descriptors() <= before, "all are closed")


def client_connections(gateway: Gateway) -> int:
    return sum(leaks.established(pid) for pid in gateway.workers)


class TestUpgrades:
    def test_are_tunnels(self, ca: Authority, own: Pair) -> None:
        def script(peer: Conversation) -> None:
            peer.head()
            peer.send(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello"
            )
            while data := peer.reader.some():
                peer.send(data.upper())
            peer.send(b"bye")

        with over(own.config(), script) as (gateway, _), dial(gateway, ca.trusted()) as client:
            client.send(request(headers=[("Connection", "upgrade"), ("Upgrade", "echo")]))
            assert client.head().status == 101
            assert client.reader.exactly(5) == b"hello"
            client.send(b"one")
            assert client.reader.exactly(3) == b"ONE"
            client.send(big := b"x" * 300_000)
            assert client.reader.exactly(len(big)) == big.upper()
            sealed(client).part()
            assert client.until_eof() == b"bye"
            assert not sealed(client).truncated
