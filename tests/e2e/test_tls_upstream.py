"""TLS with upstreams: who is believed, who we say we are, what fails how, and where an answer ends."""

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    Client,
    Conversation,
    Gateway,
    Script,
    Truncated,
    Upstream,
    answers,
    assert_problem,
    eventually,
    net,
    proxy,
    request,
    secure,
)
from tests.harness.secure import Authority, Pair, TlsSocket


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def own(ca: Authority) -> Pair:
    return ca.issue("localhost")


@contextmanager
def to(
    script: Script | Sequence[Script],
    context: ssl.SSLContext,
    tls: dict[str, Any],
    *,
    listen: str = "127.0.0.1:0",
    **upstream: Any,
) -> Iterator[tuple[Client, Upstream]]:
    """A client of a gateway that speaks TLS with its upstream."""
    with (
        Upstream(script, listen, wrap=secure.server(context), record=False) as backend,
        Gateway(proxy(backend.url, upstream={"tls": tls, **upstream})) as gateway,
        gateway.client(record=False) as client,
    ):
        yield client, backend


class TestRequests:
    def test_go_through_on_one_connection(self, ca: Authority, own: Pair) -> None:
        with to(answers.echo, secure.serving(own), {"ca": ca.pem}) as (client, upstream):
            for number in range(3):
                assert answers.told(client.ask("GET", f"/{number}").body)["target"] == f"/{number}"
            assert len(upstream.conversations) == 1

    def test_large_bodies_in_both_directions(self, ca: Authority, own: Pair) -> None:
        body = bytes(range(256)) * (4 << 12)
        with to(answers.swallow, secure.serving(own), {"ca": ca.pem}) as (client, _):
            expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
            assert client.ask("POST", "/", body=body).body == expected
        size = 40 << 20
        with to(answers.sized(size), secure.serving(own), {"ca": ca.pem}) as (client, _):
            client.send(request())
            assert sum(map(len, client.reader.response_body(client.head()))) == size

    def test_the_host_is_the_targets_without_the_usual_port(self, ca: Authority, own: Pair) -> None:
        with to(answers.echo, secure.serving(own), {"ca": ca.pem}, host="target") as (client, upstream):
            headers = dict(answers.told(client.ask().body)["headers"])  # type: ignore[call-overload]
            assert headers["Host"] == upstream.url.removeprefix("https://")

    def test_an_idle_connection_that_the_upstream_closed_is_not_used(self, ca: Authority, own: Pair) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(answers.response(b"ok"))
            sealed(peer).part()

        with to(script, secure.serving(own), {"ca": ca.pem}) as (client, upstream):
            for _ in range(3):
                assert client.ask().body == b"ok"
                eventually(lambda: upstream.open == 0, "both sides have ended")
            assert len(upstream.conversations) == 3


def sealed(peer: Conversation) -> TlsSocket:
    assert isinstance(peer.sock, TlsSocket)
    return peer.sock


class TestWhoIsBelieved:
    def test_nobody_of_an_unknown_ca(self, own: Pair) -> None:
        with to(answers.ok, secure.serving(own), {}) as (client, upstream):
            assert_problem(client.ask(), 502, "tls_certificate_error")
            assert_problem(client.ask("POST", "/", body=b"x"), 502, "tls_certificate_error")
            eventually(lambda: upstream.open == 0, "no connection is left")
            assert upstream.requests == []

    def test_nobody_of_another_name(self, ca: Authority) -> None:
        other = ca.issue("other.test")
        with to(answers.ok, secure.serving(other), {"ca": ca.pem}) as (client, upstream):
            assert_problem(client.ask(), 502, "tls_certificate_error")
            assert upstream.requests == []

    def test_a_name_of_the_config_is_asked_for_and_verified(self, ca: Authority) -> None:
        other = ca.issue("other.test")
        context = secure.serving(other)
        asked: list[str | None] = []
        context.sni_callback = lambda _, name, __: asked.append(name)
        with to(answers.ok, context, {"ca": ca.pem, "server_name": "other.test"}) as (client, _):
            assert client.ask().body == b"ok"
            assert asked == ["other.test"]

    def test_an_address_is_verified_as_one(self, ca: Authority) -> None:
        pair = ca.issue("127.0.0.1")
        with Upstream(answers.ok, wrap=secure.server(secure.serving(pair))) as upstream:
            config = proxy(f"https://{upstream.address}", upstream={"tls": {"ca": ca.pem}})
            with Gateway(config) as gateway, gateway.client() as client:
                assert client.ask().body == b"ok"

    def test_anybody_without_verification(self, tmp_path: Path) -> None:
        pair = Authority(tmp_path).issue("anything.test")
        with to(answers.ok, secure.serving(pair), {"verify": False}) as (client, _):
            assert client.ask().body == b"ok"

    def test_a_new_ca_is_read_without_a_restart(self, ca: Authority, own: Pair, tmp_path: Path) -> None:
        other = Authority(tmp_path)
        with to(answers.ok, secure.serving(own), {"ca": other.pem}) as (client, _):
            assert_problem(client.ask(), 502, "tls_certificate_error")
            Path(other.pem).write_bytes(Path(ca.pem).read_bytes())
            eventually(lambda: client.ask().status == 200, "the new CA is believed", within=10)


class TestWhoWeAre:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_certificate_of_our_own(self, ca: Authority, own: Pair, version: ssl.TLSVersion) -> None:
        mine = ca.issue("gateway@example.test", common_name="gateway")
        context = secure.serving(own, client_ca=ca.pem)
        context.maximum_version = version
        with to(answers.ok, context, {"ca": ca.pem, "cert": mine.cert, "key": mine.key}) as (client, _):
            assert client.ask().body == b"ok"
        with to(answers.ok, context, {"ca": ca.pem}) as (client, upstream):
            assert_problem(client.ask(), 502, "tls_alert_received")
            eventually(lambda: upstream.open == 0, "no connection is left")


class TestFailures:
    def test_an_upstream_without_tls(self) -> None:
        def script(peer: Conversation) -> None:
            peer.reader.some()
            peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            peer.until_ended()

        with Upstream(script) as upstream, Gateway(proxy(f"https://{upstream.address}")) as gateway:
            with gateway.client() as client:
                assert_problem(client.ask(), 502, "tls_protocol_error")
                assert_problem(client.ask("POST", "/", body=b"x"), 502, "tls_protocol_error")
            eventually(lambda: upstream.open == 0, "no connection is left")

    def test_one_that_ends_the_handshake(self) -> None:
        def script(peer: Conversation) -> None:
            peer.reader.some()

        with (
            Upstream(script) as upstream,
            Gateway(proxy(f"https://{upstream.address}")) as gateway,
            gateway.client() as client,
        ):
            assert_problem(client.ask(), 502, "tls_protocol_error")

    def test_one_that_stalls_in_it(self) -> None:
        upstream_settings = {"timeouts": {"connect": "200ms"}}
        with Upstream(Conversation.until_ended) as upstream:
            config = proxy(f"https://{upstream.address}", upstream=upstream_settings)
            with Gateway(config) as gateway, gateway.client() as client:
                assert_problem(client.ask(), 504, "connection_timeout")
            eventually(lambda: upstream.open == 0, "no connection is left")

    def test_a_client_that_leaves_in_it_takes_the_connection_along(self) -> None:
        with (
            Upstream(Conversation.until_ended) as upstream,
            Gateway(proxy(f"https://{upstream.address}")) as gateway,
        ):
            with gateway.client() as client:
                client.send(request())
                upstream.conversation()
            eventually(lambda: upstream.open == 0, "no connection is left")

    def test_the_next_target_takes_over(self, ca: Authority, own: Pair) -> None:
        stranger = ca.issue("other.test")
        with (
            Upstream(answers.ok, wrap=secure.server(secure.serving(stranger))) as bad,
            Upstream(answers.ok, wrap=secure.server(secure.serving(own))) as good,
            Gateway(proxy(bad.url, good.url, upstream={"tls": {"ca": ca.pem}})) as gateway,
            gateway.client() as client,
        ):
            assert [client.ask("POST", "/", body=b"x").body for _ in range(4)] == [b"ok"] * 4
            assert bad.requests == []

    def test_a_broken_record_cuts_the_answer(self, ca: Authority, own: Pair) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            sealed(peer).raw(b"\x17\x03\x03\x00\x20" + bytes(32))
            peer.until_ended()

        with to(script, secure.serving(own), {"ca": ca.pem}) as (client, _):
            client.send(request())
            with pytest.raises(Truncated) as cut:
                client.response()
            assert cut.value.partial == b"half"


class TestTheEndOfAnAnswer:
    HEAD = b"HTTP/1.1 200 OK\r\n\r\n"

    def test_is_a_close_notify(self, ca: Authority, own: Pair) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(self.HEAD, b"whole")
            sealed(peer).part()

        with to(script, secure.serving(own), {"ca": ca.pem}) as (client, _):
            assert client.ask().body == b"whole"

    @pytest.mark.parametrize("end", [net.half_close, net.reset, socket.socket.close])
    def test_is_not_the_mere_end_of_the_connection(self, ca: Authority, own: Pair, end: Any) -> None:
        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(self.HEAD, b"half")
            seen.wait(5)
            end(peer.sock)

        seen = threading.Event()
        with to(script, secure.serving(own), {"ca": ca.pem}) as (client, _):
            client.send(request())
            head = client.head()
            body = client.reader.response_body(head)
            assert next(body) == b"half"
            seen.set()
            with pytest.raises(Truncated):
                next(body)

    def test_behind_a_slow_client_is_not_lost(self, ca: Authority, own: Pair) -> None:
        """The close_notify comes in one read with the last bytes, while reading is paused."""
        size = 24 << 20
        done = threading.Event()

        def script(peer: Conversation) -> None:
            peer.request()
            peer.send(self.HEAD, bytes(size))
            sealed(peer).part()
            done.wait(30)  # our own end of the connection stays open

        with to(script, secure.serving(own), {"ca": ca.pem}) as (client, _):
            client.send(request())
            head = client.head()
            assert sum(map(len, client.reader.response_body(head))) == size
            done.set()
