"""A real redis-server, of this test alone: started, killed, frozen and started again."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from types import TracebackType
from typing import Self

import pytest

from tests.harness.wait import eventually


class RedisServer:
    """On a Unix socket that stays the same over its lives; keeps nothing on disk. A context manager."""

    def __init__(self, program: str | None = None) -> None:
        """`program` is the one to run; None: whichever there is."""
        program = program or shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            pytest.skip("no redis-server here: apt-get install redis-server")
        self._program = program
        self._directory = tempfile.TemporaryDirectory(prefix="redis-")
        self.path = f"{self._directory.name}/redis.sock"
        self.url = f"unix://{self.path}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no"],
            cwd=self._directory.name,
            stdout=subprocess.DEVNULL,
        )
        eventually(lambda: self.answers(), "redis-server answers", within=20)

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.say("PING") == "+PONG"
        return False

    def say(self, *words: str) -> str:
        """The first line of what it answers to a command."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.path)
            parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
            sock.sendall(f"*{len(words)}\r\n{parts}".encode())
            with sock.makefile("rb") as answer:
                return answer.readline().decode().strip()

    def info(self, section: str) -> str:
        """What it tells of itself."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.path)
            sock.sendall(f"*2\r\n$4\r\nINFO\r\n${len(section)}\r\n{section}\r\n".encode())
            with sock.makefile("rb") as answer:
                length = int(answer.readline()[1:])
                return answer.read(length).decode()

    def scripts(self) -> int:
        """How many scripts it has run in this life."""
        lines = self.info("commandstats").splitlines()
        calls = [line for line in lines if line.startswith(("cmdstat_evalsha:", "cmdstat_eval:"))]
        return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in calls)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGKILL)
        self._directory.cleanup()
