"""One process of a hosted app: from its start to its end, and what it says of itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum

from tetrapylon.apps.growth import Grown, Growth
from tetrapylon.apps.inside import PATIENCE
from tetrapylon.apps.output import Output
from tetrapylon.apps.servers import LAST, command, reference
from tetrapylon.config.model import App, Target
from tetrapylon.processes.fork import describe_end
from tetrapylon.telemetry.events import say

__all__ = ["Server", "State", "target_name"]

MANAGERS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
"""What a service manager tells the gateway alone (sd_notify(3), sd_listen_fds(3))."""
RECENT = 5.0
"""Seconds within which what a process has said last may be why it exited."""
PAGE = os.sysconf("SC_PAGE_SIZE")


class State(Enum):
    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"
    """It is to end; what is in flight may finish."""
    GONE = "gone"


def target_name(app: str, number: int) -> str:
    """What metrics, logs and operators call a process of an app."""
    return f"{app}/{number}"


class Server:
    """It listens at a socket of its own. Times are CLOCK_MONOTONIC seconds, given by the caller.

    Raises OSError or ValueError from its constructor where it cannot be started.
    """

    def __init__(
        self, name: str, app: App, trusted: Sequence[str], epoch: int, socket: str, now: float
    ) -> None:
        self.name = name
        self.app = app
        self.epoch = epoch
        """Which of the orders to be replaced it has followed."""
        self.socket = socket
        self.number = 0
        """Among the processes of its app, once it serves: what its target is called by."""
        self.born = now
        self.state = State.STARTING
        self.spent = ""
        """Why another is to take its place."""
        self.has_served = False
        self.kill_at: float | None = now + app.startup
        self.reason = ""
        """Why it ended, where more is known than its status."""
        self.growth: Growth | None = None
        """Of its memory, while it serves."""
        self.grown: Grown | None = None
        """How it has, where it goes on to."""
        self._beat: float | None = None
        """When it last said that it runs; None: it does not."""
        self._worker = 0
        """The process that has imported the app."""
        self._heard = b""
        """The beginning of a line."""
        self._status, status = os.pipe2(os.O_CLOEXEC)
        heard, said = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                command(app, trusted, socket, os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=app.folder,
                env={
                    **{name: value for name, value in os.environ.items() if name not in MANAGERS},
                    **app.env,
                    "TETRAPYLON_APP": reference(app),
                    "TETRAPYLON_APP_STATUS": str(status),
                },
                pass_fds=(status,),
                process_group=0,
            )
        except (OSError, ValueError):
            os.close(self._status)
            os.close(heard)
            raise
        finally:
            os.close(status)
            os.close(said)
        os.set_blocking(self._status, False)
        self.output = Output(name, heard, app.log_lines)

    def __str__(self) -> str:
        return f"app {self.name} (pid {self.pid})"

    @property
    def target(self) -> Target:
        return Target(url=f"unix:{self.socket}", name=target_name(self.name, self.number))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def descriptors(self) -> list[int]:
        """What it may be heard on."""
        return [each for each in (self.output.descriptor, self._status) if each >= 0]

    def hear(self, descriptor: int, now: float) -> None:
        if descriptor == self.output.descriptor:
            self.output.hear(now)
        elif descriptor == self._status:
            try:
                data = os.read(self._status, 4096)
            except BlockingIOError:
                return
            *lines, self._heard = (self._heard + data).split(b"\n")
            for line in lines:
                self._take(line.decode(errors="backslashreplace"), now)
            if not data:
                os.close(self._status)
                self._status = -1

    def _take(self, line: str, now: float) -> None:
        """A line as `inside` writes them."""
        word, _, rest = line.partition(" ")
        if word == "beats":
            self._beat = now
        elif word == "loaded":
            if self._worker and self.state is State.SERVING:
                say(
                    "warning",
                    f"{self}: its server has replaced pid {self._worker}{self._had()} by {rest}",
                    app=self.name,
                )
                self._watch_memory(now)
            self._worker = int(rest)
            self._beat = None
        elif word == "failed":
            self.reason = rest
        elif word == "stuck":
            say("warning", f"{self}: {rest}", app=self.name)
        elif word in ("spent", "hangs") and not self.spent and self.state is State.SERVING:
            self.spent = rest
            if word == "hangs":
                self.reason = rest

    def look(self, now: float) -> None:
        """Whether it serves by now: the app is imported, and connections are taken."""
        if self.state is State.STARTING and self._worker:
            with socket.socket(socket.AF_UNIX) as sock:
                try:
                    sock.connect(self.socket)
                except OSError:
                    return
            self.state = State.SERVING
            self.has_served = True
            self.kill_at = None
            self._watch_memory(now)
        elif self.state is State.SERVING and not self.spent:
            self.spent = self._too_large() or self._silent(now)
            if self.growth is not None and now >= self.growth.due:
                self.grown = self.growth.see(now, self.resident()) or self.grown

    def _watch_memory(self, now: float) -> None:
        warmup = self.app.warmup
        self.growth = Growth(now, warmup) if warmup is not None and self.app.max_memory is None else None

    def _had(self) -> str:
        """How much memory, when it was looked at last."""
        last = self.growth.last if self.growth is not None else 0
        return f", which had {last / 2**20:,.0f} MiB resident," if last else ""

    def _too_large(self) -> str:
        most = self.app.max_memory
        resident = self.resident() if most is not None else 0
        if most is None or resident <= most:
            return ""
        return f"has {resident / 2**20:.0f} MiB resident, more than `max_memory`"

    def _silent(self, now: float) -> str:
        """Whether not even Python runs there, and since when."""
        if self.app.timeout is None or self._beat is None or now - self._beat < self.app.timeout + PATIENCE:
            return ""
        self.reason = f"did not run any Python for {now - self._beat:.0f} s: the tracebacks say where"
        return self.reason

    def resident(self) -> int:
        """Bytes of the process that has imported the app; 0 once it has gone."""
        try:
            with open(f"/proc/{self._worker}/statm", "rb") as file:
                return int(file.read().split()[1]) * PAGE
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def stop(self, now: float, patience: float, *, last: bool = False) -> None:
        """Lets it finish what is in flight. `last`: nothing is."""
        if self.state is State.STARTING:
            self.state = State.LEAVING
            self.kill("is not wanted any more")
        elif self.state is State.SERVING:
            self.state = State.LEAVING
            self.kill_at = now + patience
            with suppress(ProcessLookupError):
                os.kill(self.pid, LAST["wsgi" if self.app.wsgi else "asgi"] if last else signal.SIGTERM)

    def kill(self, why: str) -> None:
        self.kill_at = None
        self.reason = self.reason or why
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self, now: float) -> str | None:
        """Once it has ended: how, and why as far as it said so."""
        if self._process.poll() is None:
            return None
        while self.output.hear(now):
            pass
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # what it has left behind
        self.output.close()
        if self._status >= 0:
            os.close(self._status)
            self._status = -1
        with suppress(FileNotFoundError):
            os.unlink(self.socket)
        self.state = State.GONE
        status = self._process.returncode
        ended = describe_end(-status if status < 0 else status << 8)
        why = self.reason
        if not why and status > 0 and now - self.output.error_at < RECENT:
            why = self.output.last_error
        return f"{ended}: {why}" if why else ended
