"""A supervised stand-in gateway as a process of its own, and what a test may ask of it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


def eventually(condition: Callable[[], bool], what: str, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Running:
    """Starts it and, at the end, kills all of it that is left.

    `listen` is where it listens by default; `options` as `tests.control.standin` takes them.
    """

    def __init__(self, directory: Path, *, ready: bool = True, **options: Any) -> None:
        self.directory = directory
        self._errors = directory / "stderr"
        options = {"listen": ["127.0.0.1:0"], "directory": str(directory), **options}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.control.standin", json.dumps(options)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self.seen: set[int] = set()
        if ready:
            try:
                self.wait_line("listening on")
            except AssertionError:
                self.kill()
                raise

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        return self._errors.read_text()

    @property
    def ports(self) -> list[int]:
        """Of the line that says where it listens: the listeners', then the admin's."""
        line = next(line for line in self.stderr.splitlines() if "listening on" in line)
        return [int(port) for port in re.findall(r"http://\S+?:(\d+)\b", line)]

    def wait_line(self, text: str, within: float = 10.0) -> str:
        def found() -> str | None:
            return next((line for line in self.stderr.splitlines() if text in line), None)

        eventually(lambda: found() is not None, f"{text!r} in the log; it is:\n{self.stderr}", within)
        return found() or ""

    def wait_file(self, name: str) -> None:
        eventually((self.directory / name).exists, f"the file {name}")

    def touch(self, name: str) -> None:
        (self.directory / name).touch()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[0]), timeout=10)

    def send(self, path: str) -> socket.socket:
        """A request on a connection of its own; `receive` takes the answer."""
        sock = self.connect()
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return sock

    def ask(self, path: str = "/") -> dict[str, Any]:
        """Who answered: the worker's index and pid, and what its config has it say."""
        return receive(self.send(path))

    def workers(self) -> dict[int, int]:
        """Index and pid of every worker that answers, found by asking until the kernel has shown each."""
        return {answer["worker"]: answer["pid"] for answer in (self.ask() for _ in range(40))}

    def admin(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[-1], timeout=10)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, within: float = 10.0) -> int:
        """Its exit status, once it has ended."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended within {within:g} s:\n{self.stderr}") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            family = children(self.pid)
            self.process.kill()
            self.process.wait()
            for pid in family:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"its standard error:\n{self.stderr}")
        self.kill()


def receive(sock: socket.socket) -> dict[str, Any]:
    with sock:
        data = b""
        while part := sock.recv(65536):
            data += part
    answer: dict[str, Any] = json.loads(data.partition(b"\r\n\r\n")[2])
    return answer
