"""Under a service manager: what it is told, and the sockets it hands over."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.e2e.test_reload import answering
from tests.harness import Client, Gateway, eventually
from tests.harness.load import load

COMMAND = str(Path(sys.executable).with_name("tetrapylon"))
# Becomes the gateway as systemd would start it: with the socket as descriptor 3, its own pid in LISTEN_PID.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS=os.environ.get("SAID", "1"), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Hears what a service tells."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait(self, text: str) -> str:
        eventually(lambda: any(text in said for said in self.said), f"{text!r} in {self.said}", within=20)
        return next(said for said in self.said if text in said)

    def _listen(self) -> None:
        while data := self._sock.recv(4096):
            self.said.append(data.decode())


class TestNotify:
    def test_the_states_of_its_life(self, tmp_path: Path) -> None:
        manager = Manager(tmp_path / "notify")
        with Gateway(answering("old"), env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as gateway:
            assert gateway.address in manager.wait("READY=1\nSTATUS=listening on")
            gateway.write(answering("new"))
            gateway.signal(signal.SIGHUP)
            reloading = manager.wait("RELOADING=1")
            assert "\nMONOTONIC_USEC=" in reloading
            assert manager.said.index(reloading) < manager.said.index(
                manager.wait("READY=1\nSTATUS=generation 2")
            )
            assert gateway.stop() == 0
            manager.wait("STOPPING=1")

    def test_a_refused_reload_ends_as_well(self, tmp_path: Path) -> None:
        manager = Manager(tmp_path / "notify")
        with Gateway(answering("old"), env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as gateway:
            gateway.write("routes: [")
            gateway.signal(signal.SIGHUP)
            manager.wait("RELOADING=1")
            manager.wait("READY=1\nSTATUS=generation 1")

    def test_the_watchdog_is_fed_in_half_its_time(self, tmp_path: Path) -> None:
        manager = Manager(tmp_path / "notify")
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with Gateway(answering("x"), env=told):
            eventually(lambda: manager.said.count("WATCHDOG=1") >= 3, "it is fed", within=20)


class TestActivation:
    def test_no_request_fails_through_a_full_stop_and_start(self, tmp_path: Path) -> None:
        config = tmp_path / "gateway.yaml"
        with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
            address = f"127.0.0.1:{sock.getsockname()[1]}"
            config.write_text(
                f'server: {{listen: ["{address}"], workers: 2, timeouts: {{drain: 5s}}}}\n'
                "log: {access: none}\nroutes: [{path: /, respond: {body: x}}]\n"
            )
            first = start(sock, config)
            try:
                with load(address):
                    first.send_signal(signal.SIGTERM)
                    assert first.wait(30) == 0
                    end(first)
                    first = start(sock, config)
            finally:
                end(first)

    def test_a_socket_that_is_none_of_the_configs_is_told_and_closed(self, tmp_path: Path) -> None:
        config = tmp_path / "gateway.yaml"
        config.write_text('server: {listen: ["127.0.0.1:0"]}\nroutes: [{path: /, respond: {}}]\n')
        with socket.create_server(("127.0.0.1", 0)) as sock:
            process = start(sock, config)
            try:
                assert process.stderr is not None
                assert b"is in no use; closing it" in process.stderr.readline()
            finally:
                end(process)

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ("1", b"descriptor 3, which cannot be served on: no stream socket that listens"),
            ("one", b"LISTEN_FDS is 'one' in the environment"),
        ],
    )
    def test_what_cannot_be_served_on_is_told(self, tmp_path: Path, said: str, told: bytes) -> None:
        """A unit with ListenDatagram=, for one."""
        config = tmp_path / "gateway.yaml"
        config.write_text('server: {listen: ["127.0.0.1:0"]}\nroutes: [{path: /, respond: {}}]\n')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            process = start(sock, config, SAID=said)
            errors = process.communicate(timeout=30)[1]
        assert told in errors
        assert b"Traceback" not in errors
        assert process.returncode == 2


def start(sock: socket.socket, config: Path, **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, str(sock.fileno()), COMMAND, "run", str(config)],
        pass_fds=[sock.fileno()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )


def end(process: "subprocess.Popen[bytes]") -> None:
    """By TERM, so that its workers end, too."""
    assert process.stderr is not None
    process.stderr.close()
    process.terminate()
    process.wait(30)


def test_the_client_of_a_stopped_service_waits(tmp_path: Path) -> None:
    """What is queued while nobody runs is served by who comes next."""
    config = tmp_path / "gateway.yaml"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        config.write_text(f'server: {{listen: ["{address}"]}}\nroutes: [{{path: /, respond: {{body: x}}}}]\n')
        with Client(address, timeout=30) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            process = start(sock, config)
            try:
                assert client.response().body == b"x"
            finally:
                end(process)
