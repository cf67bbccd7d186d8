"""A target as a process, seen from the test: told how to behave, killed, frozen, begun anew."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness import net

ROOT = Path(__file__).resolve().parents[2]
BACKLOG = 1024


class Target:
    """A context manager. `backlog` is how many connections wait to be accepted at most.

    `under` are the words of a command that runs the process's own.
    """

    def __init__(
        self, address: str = "127.0.0.1:0", *, backlog: int = BACKLOG, under: Sequence[str] = ()
    ) -> None:
        self._backlog = backlog
        self._under = under
        self._filling: list[socket.socket] = []
        self._begin(address)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, *words: object) -> list[int]:
        """Returns what it answers, once it does as it was told."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline().split()
        assert told[:1] == ["ok"], f"the target at {self.address} said {told}"
        return [int(word) for word in told[1:]]

    @property
    def requests(self) -> int:
        """So many have come since it began."""
        return self.say("count")[0]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def restart(self) -> None:
        """A new process on the same address, and well."""
        self._begin(self.address)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def fill(self) -> None:
        """It accepts no more, and its accept queue is filled: connecting there is not answered at all."""
        self.say("deaf")
        for _ in range(self._backlog + 8):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(net.split(self.address)[1])
            self._filling.append(sock)

    def empty(self) -> None:
        """The end of that."""
        self._leave()
        self.say("well")

    def close(self) -> None:
        self._leave()
        with contextlib.suppress(ProcessLookupError):
            self.thaw()
        self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, address: str) -> None:
        self._process = subprocess.Popen(
            [*self._under, sys.executable, "-m", "tests.faults.origin", address, str(self._backlog)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address, "the target did not begin"

    def _leave(self) -> None:
        for sock in self._filling:
            sock.close()
        self._filling.clear()
