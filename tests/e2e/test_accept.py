"""Who may connect: limits in all and by client, the PROXY protocol, and descriptors that run out."""

import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Client, Gateway, Upstream, answers, ask, eventually, leaks, proxy, request
from tests.harness.wire import Response

pytestmark = pytest.mark.sockets("an embedding program accepts connections itself")

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ANNOUNCES: dict[str, Any] = {"server": {"listen": [{"address": "127.0.0.1:0", "proxy_protocol": True}]}}


def unhurried(config: dict[str, Any]) -> dict[str, Any]:
    """The config's `server`, with a drain that no slow machine uses up."""
    return {**config.get("server", {}), "timeouts": {"drain": "60s", "header": "60s"}}


@contextlib.contextmanager
def stopped(gateway: Gateway) -> Iterator[int]:
    """The gateway's one worker, which does nothing in here."""
    (worker,) = gateway.workers
    os.kill(worker, signal.SIGSTOP)
    try:
        eventually(lambda: leaks.state(worker) == "T", "the worker has stopped")
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):  # told to end, it may have been quick
            os.kill(worker, signal.SIGCONT)


def v2(body: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4711, 80)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 4711, 80)
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7") * 2 + struct.pack("!HH", 4711, 80)
TLV = b"\x02\x00\x09shop.test" + b"\x04\x00\x00"

HEADERS = {
    "v1 over IPv4": (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n", "192.0.2.7"),
    "v1 over IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "2001:db8::7"),
    "v1 that knows nothing": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1 that knows nothing at length": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "127.0.0.1"),
    "v2 over IPv4": (v2(V4), "192.0.2.7"),
    "v2 over IPv6": (v2(V6, family=0x21), "2001:db8::7"),
    "v2, IPv4 in IPv6": (v2(MAPPED, family=0x21), "192.0.2.7"),
    "v2 with more behind the addresses": (v2(V4 + TLV), "192.0.2.7"),
    "v2 with much behind them": (v2(V4 + b"\x04" + struct.pack("!H", 3000) + bytes(3000)), "192.0.2.7"),
    "v2 of a Unix socket": (v2(b"/client".ljust(108, b"\0") * 2, family=0x31), "unix:"),
    "v2 for itself": (v2(b"", command=0x20, family=0x00), "127.0.0.1"),
    "v2 for itself with addresses": (v2(V4, command=0x20), "127.0.0.1"),
    "v2 of no family": (v2(b"", family=0x00), "127.0.0.1"),
}
NO_HEADERS = {
    "none": b"",
    "a name": b"PROXY TCP4 client.test 192.0.2.1 4711 80\r\n",
    "IPv6 said to be IPv4": b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 80\r\n",
    "no ports": b"PROXY TCP4 192.0.2.7 192.0.2.1\r\n",
    "a port too high": b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 65536\r\n",
    "a port with a zero": b"PROXY TCP4 192.0.2.7 192.0.2.1 04711 80\r\n",
    "two spaces": b"PROXY  TCP4 192.0.2.7 192.0.2.1 4711 80\r\n",
    "a bare LF": b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\n",
    "UDP": b"PROXY UDP4 192.0.2.7 192.0.2.1 4711 80\r\n",
    "lower case": b"proxy TCP4 192.0.2.7 192.0.2.1 4711 80\r\n",
    "a NUL": b"PROXY TCP4 192.0.2.7\x00 192.0.2.1 4711 80\r\n",
    "a line without end": b"PROXY UNKNOWN " + b"x" * 200,
    "v2, version 1": v2(V4, command=0x11),
    "v2, an unknown command": v2(V4, command=0x22),
    "v2, datagrams": v2(V4, family=0x12),
    "v2, an unknown family": v2(V4, family=0x41),
    "v2, half an address": v2(V4[:8]),
    "v2, longer than any": v2(V4 + bytes(5000)),
}

SEVERAL = ["2001:db8:0:1::7", "2001:db8:0:1:ffff::8", "2001:db8:0:2::7"]


def rejected(gateway: Gateway, reason: str) -> int:
    text = asked(gateway, "/metrics").body.decode()
    return sum(
        int(float(line.rpartition(" ")[2])) for line in text.splitlines() if f'reason="{reason}"' in line
    )


def asked(gateway: Gateway, path: str) -> Response:
    """What the admin address answers."""
    return gateway.operate(path)


def admin(**server: Any) -> dict[str, Any]:
    return {"server": server, "admin": {"listen": "127.0.0.1:0"}}


@pytest.fixture(scope="module")
def rig() -> Iterator[tuple[Gateway, Upstream]]:
    with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, **ANNOUNCES)) as gateway:
        yield gateway, upstream


class TestProxyProtocol:
    @pytest.mark.parametrize("name", HEADERS)
    @pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
    def test_the_client_is_whom_the_header_names(
        self, name: str, split: bool, rig: tuple[Gateway, Upstream]
    ) -> None:
        gateway, upstream = rig
        said, client_address = HEADERS[name]
        with gateway.client() as client:
            if split:
                client.send_bytewise(said, 1 if len(said) < 300 else 97)
            else:
                client.send(said + request())
            response = client.response() if not split else client.ask()
            assert response.status == 200
            assert upstream.requests[-1].headers.get("X-Forwarded-For") == client_address

    @pytest.mark.parametrize("name", NO_HEADERS)
    def test_without_a_valid_header_the_connection_is_closed(
        self, name: str, rig: tuple[Gateway, Upstream]
    ) -> None:
        gateway, upstream = rig
        before = len(upstream.requests)
        with gateway.client() as client:
            client.send(NO_HEADERS[name] + request())
            assert client.is_closed()
        assert len(upstream.requests) == before

    def test_what_follows_is_read_as_if_nothing_had_come_before(self, rig: tuple[Gateway, Upstream]) -> None:
        gateway, _ = rig
        with gateway.client() as client:
            client.send(HEADERS["v2 over IPv4"][0] + request() * 3)
            assert [client.response().status for _ in range(3)] == [200] * 3

    def test_a_refusal_is_counted(self) -> None:
        config: dict[str, Any] = {**ANNOUNCES, "admin": {"listen": "127.0.0.1:0"}}
        with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, **config)) as gateway:
            with gateway.client() as client:
                assert client.send(request()).is_closed()
            eventually(lambda: rejected(gateway, "proxy_header") == 1, "the refusal is counted")

    def test_a_header_that_does_not_come_is_not_waited_for(self) -> None:
        server = {**ANNOUNCES["server"], "timeouts": {"header": "200ms"}}
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, server=server)) as gateway,
            gateway.client() as client,
        ):
            assert client.send(b"PROXY TCP4").is_closed()

    def test_connections_that_still_wait_do_not_hold_up_the_end(self) -> None:
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, **ANNOUNCES)) as gateway,
            gateway.client() as client,
        ):
            client.send(b"PROXY TCP4")
            assert client.is_idle()
            assert gateway.stop() == 0


class TestTheEnd:
    """What had arrived when the gateway was told to end is served: nobody else will."""

    @pytest.mark.parametrize("announced", [False, True], ids=["plain", "behind a PROXY header"])
    @pytest.mark.parametrize("tells", ["supervisor", "worker"])
    def test_more_connections_than_are_accepted_in_one_go(self, tells: str, announced: bool) -> None:
        config: dict[str, Any] = ANNOUNCES if announced else {}
        head = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n" if announced else b""
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, server=unhurried(config))) as gateway,
            contextlib.ExitStack() as clients,
        ):
            with stopped(gateway) as worker:
                queued = [clients.enter_context(gateway.client()) for _ in range(100)]
                for client in queued:
                    client.send(head + request())
                os.kill(worker if tells == "worker" else gateway.pid, signal.SIGTERM)
            assert [client.response().status for client in queued] == [200] * 100
            assert all(client.is_closed() for client in queued)

    def test_the_next_request_on_a_connection(self) -> None:
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, server=unhurried({}))) as gateway,
            gateway.client() as client,
        ):
            assert client.ask().status == 200
            with stopped(gateway) as worker:
                client.send(request())
                os.kill(worker, signal.SIGTERM)
            assert client.response().status == 200
            assert client.is_closed()

    @pytest.mark.parametrize("announced", [False, True], ids=["plain", "behind a PROXY header"])
    def test_who_never_speaks_does_not_hold_it_up(self, announced: bool) -> None:
        server = unhurried(ANNOUNCES if announced else {})
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, server=server)) as gateway,
            gateway.client() as client,
        ):
            gateway.signal(signal.SIGTERM)
            assert client.is_closed()
            assert gateway.wait() == 0
            assert "cut" not in gateway.stderr


class TestLimits:
    def test_connections_in_all(self) -> None:
        config = admin(limits={"connections": 3})
        with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, **config)) as gateway:
            clients = [gateway.client() for _ in range(3)]
            assert [client.ask().status for client in clients] == [200] * 3
            with gateway.client() as one_more:
                assert one_more.is_closed()
            eventually(lambda: rejected(gateway, "connection_limit") == 1, "the refusal is counted")
            clients.pop().close()
            eventually(lambda: asks_well(gateway), "a place is free again")
            for client in clients:
                client.close()

    def test_connections_of_one_client(self) -> None:
        config = admin(listen=["127.0.0.1:0"], limits={"connections_per_client": 2})
        with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, **config)) as gateway:
            with gateway.client() as first, gateway.client() as second:
                assert [client.ask().status for client in (first, second)] == [200, 200]
                with gateway.client() as third:
                    assert third.is_closed()
                with connect_from("127.0.0.2", gateway.address) as neighbour:
                    neighbour.sendall(request())
                    assert neighbour.recv(12) == b"HTTP/1.1 200"
                eventually(lambda: rejected(gateway, "client_connection_limit") == 1, "it is counted")
            eventually(lambda: asks_well(gateway), "its places are free again")

    def test_a_network_of_ipv6_is_one_client(self) -> None:
        listen = ANNOUNCES["server"]["listen"]
        config = {"server": {"listen": listen, "limits": {"connections_per_client": 1}}}
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, **config)) as gateway,
            gateway.client() as first,
            gateway.client() as second,
            gateway.client() as third,
        ):
            said = [f"PROXY TCP6 {each} 2001:db8::1 4711 80\r\n".encode() + request() for each in SEVERAL]
            assert first.send(said[0]).response().status == 200
            assert second.send(said[1]).is_closed()
            assert third.send(said[2]).response().status == 200

    def test_a_unix_socket_has_no_clients_to_tell_apart(self, tmp_path: Path) -> None:
        config = {"server": {"listen": [f"unix:{tmp_path}/gateway"], "limits": {"connections_per_client": 1}}}
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, **config)) as gateway,
            gateway.client() as first,
            gateway.client() as second,
        ):
            assert [first.ask().status, second.ask().status] == [200, 200]

    def test_a_trusted_proxy_stands_for_many_clients(self) -> None:
        server = {"limits": {"connections_per_client": 1}, "trusted_proxies": ["127.0.0.0/8"]}
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, server=server)) as gateway,
            gateway.client() as first,
            gateway.client() as second,
        ):
            assert [client.ask().status for client in (first, second)] == [200, 200]

    def test_the_admin_address_answers_when_no_place_is_left(self) -> None:
        config = admin(limits={"connections": 1})
        with (
            Upstream(answers.ok) as upstream,
            Gateway(proxy(upstream.url, **config)) as gateway,
            gateway.client() as client,
        ):
            assert client.ask().status == 200
            assert asked(gateway, "/readyz").status == 200


class TestDescriptors:
    def test_running_out_pauses_accepting(self) -> None:
        """It neither spins nor dies, the admin address answers, and all goes on once some are free."""
        with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, **admin())) as gateway:
            worker = serving(gateway)
            ask(gateway.address)
            limit = len(leaks.descriptors(worker)) + 5
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (limit, limit))
            with contextlib.ExitStack() as crowd:
                clients = [crowd.enter_context(gateway.client()) for _ in range(40)]
                eventually(lambda: len(leaks.descriptors(worker)) >= limit, "none is left")
                spent = cpu_seconds(worker)
                assert clients[-1].is_idle(0.5)
                assert cpu_seconds(worker) - spent < 0.1
                assert asked(gateway, "/livez").status == 200
            eventually(lambda: asks_well(gateway), "clients are served again")
            assert worker in gateway.workers

    def test_the_limit_is_raised_as_far_as_it_goes(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        try:
            with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url)) as gateway:
                allowed = [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in gateway.workers]
                assert allowed == [(hard, hard)]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_a_limit_too_low_for_the_config_is_told(self, tmp_path: Path) -> None:
        config = tmp_path / "gateway.yaml"
        config.write_text("server: {listen: ['127.0.0.1:0']}\nroutes: [{path: /, respond: {}}]\n")
        command = f"ulimit -n 300; exec {Path(sys.executable).with_name('tetrapylon')} run {config}"
        with subprocess.Popen(["sh", "-c", command], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            said = process.stderr.readline()
            process.terminate()
        assert "may need 10064 descriptors and is allowed 300" in said


def asks_well(gateway: Gateway) -> bool:
    try:
        with Client(gateway.address, timeout=1.0) as client:
            return client.ask().status == 200
    except (AssertionError, OSError):
        return False


def connect_from(source: str, address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), 5.0, (source, 0))


def serving(gateway: Gateway) -> int:
    """The process that holds the connections."""
    with gateway.client() as client:
        client.ask()
        return next(pid for pid in gateway.workers if leaks.established(pid))


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
