"""One hosted app: its server through all its lives, and what it says."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from contextlib import suppress
from itertools import count

from tetrapylon.apps.servers import command, reference
from tetrapylon.child import CRASH_LOOP, FIRST_DELAY, LONGEST_DELAY, SHORT_LIFE
from tetrapylon.config.model import App
from tetrapylon.events import say
from tetrapylon.process import describe_end

__all__ = ["Hosted"]

ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Warning|Interrupt)\b.*")
LONGEST_LINE = 8192
LIVES = count(1)
"""Of all apps: no two servers are told the same socket."""
READ = 65536


class Hosted:
    """Times are CLOCK_MONOTONIC seconds, given by the caller."""

    def __init__(self, name: str, app: App, address: str) -> None:
        self.name = name
        self.app = app
        self.start_at: float | None = None
        """When its next life begins."""
        self.kill_at: float | None = None
        self.leaving = False
        self.replaced = False
        """Another is to take its place, and it has no life after this one."""
        self.ready = False
        """It serves at its socket."""
        self.tried = False
        """It serves, or has failed to."""
        self.follows: list[Hosted] = []
        """Those that go once it serves."""
        self.socket = address
        self._process: subprocess.Popen[bytes] | None = None
        self._born = 0.0
        self._at = ""
        """Where its server listens until it is known to serve."""
        self._short_lives = 0
        self._rest = b""
        self._reason = ""

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def output(self) -> int:
        """The descriptor of what it says; -1 while there is none."""
        stream = self._process.stdout if self._process is not None else None
        return stream.fileno() if stream is not None and not stream.closed else -1

    def start(self, now: float) -> None:
        """The server comes at a socket of its own, which takes the app's name when it serves."""
        self.start_at = None
        self._born = now
        self._reason = ""
        self.ready = False
        self._at = f"{self.socket}.{next(LIVES)}"
        try:
            self._process = subprocess.Popen(
                command(self.app, self._at, os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.app.folder,
                env={
                    **os.environ,
                    **self.app.env,
                    "TETRAPYLON_APP": reference(self.app),
                    "TETRAPYLON_LOADED": f"{self._at}.loaded",
                },
                process_group=0,
            )
        except OSError as error:
            self._next_life(now, f"could not be started: {error.strerror}")
            return
        os.set_blocking(self.output, False)
        say("info", f"app {self.name} (pid {self.pid}): started {reference(self.app)}")

    def hear(self) -> None:
        """Passes on what it has said, line by line."""
        try:
            data = os.read(self.output, READ)
        except BlockingIOError:
            return
        if not data and self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE or not data:
            lines.append(self._rest)
            self._rest = b""
        for each in lines:
            text = each.decode("utf-8", "replace").rstrip()
            if text:
                if ERROR.fullmatch(text):
                    self._reason = text
                say("info", f"app {self.name}: {text}", app=self.name)

    @property
    def starting(self) -> bool:
        return self._process is not None and not self.ready and not self.leaving

    def look(self, now: float) -> None:
        """Whether it serves by now: it has imported the app, and takes connections."""
        if not self.starting or not os.path.exists(f"{self._at}.loaded"):
            return
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(self._at)
            except OSError:
                return
        os.unlink(f"{self._at}.loaded")
        os.link(self._at, f"{self._at}.new")  # the server unlinks the name it knows, when it ends
        os.rename(f"{self._at}.new", self.socket)
        self.ready = self.tried = True
        say("info", f"app {self.name} (pid {self.pid}): serves, {now - self._born:.1f} s after its start")
        for each in self.follows:
            each.stop(now, each.app.drain)
        self.follows.clear()

    def stop(self, now: float, patience: float) -> None:
        """What is in flight may finish."""
        self.leaving = True
        self.start_at = None
        if self.pid:
            self._signal(signal.SIGTERM)
            self.kill_at = now + patience

    def kill(self) -> None:
        self.kill_at = None
        if self.pid:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self, now: float) -> None:
        """Looks whether it has ended, and plans the next life."""
        if self._process is None or self._process.poll() is None:
            return
        while self.output >= 0:
            before = self.output
            self.hear()
            if self.output == before:
                break  # a process that it left behind has it still
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.returncode
        ended = describe_end(-status if status < 0 else status << 8)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        self.kill_at = None
        for left in (self._at, f"{self._at}.loaded"):
            with suppress(FileNotFoundError):
                os.unlink(left)
        self.ready = False
        self.tried = True
        if self.leaving or self.replaced:
            return
        if now - self._born >= SHORT_LIFE:
            self._short_lives = 0
        self._next_life(now, f"{ended}: {self._reason}" if self._reason else ended)

    def _next_life(self, now: float, why: str) -> None:
        self.tried = True
        self._short_lives += 1
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._short_lives - 1, 30))
        self.start_at = now + delay
        loop = f", {self._short_lives} short lives in a row" if self._short_lives >= CRASH_LOOP else ""
        say("error", f"app {self.name} {why}{loop}; next try in {delay:.2g} s", app=self.name)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
