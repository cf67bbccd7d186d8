"""What a hosted app says on standard output and standard error, line by line into the log."""

from __future__ import annotations

import os

from tetrapylon.telemetry.events import pass_on, say

__all__ = ["Output"]

TRACEBACK = "Traceback (most recent call last):"
GROUP = f"Exception Group {TRACEBACK}"
MANY = 10
"""Tracebacks within a window that are worth a word of their own."""
LONGEST_LINE = 8192
READ = 65536
WINDOW = 10.0
"""Seconds over which lines are counted."""


class Output:
    """Times are CLOCK_MONOTONIC seconds, given by the caller."""

    def __init__(self, app: str, descriptor: int, per_second: int) -> None:
        """Owns the descriptor."""
        self.descriptor = descriptor
        """-1 once there is nothing more to come."""
        self.last_error = ""
        """What the last traceback in it ended with."""
        self.error_at = 0.0
        self._in_traceback = False
        self._app = app
        self._most = per_second * WINDOW
        self._rest = b""
        self._since = 0.0
        self._lines = 0
        self._tracebacks = 0
        os.set_blocking(descriptor, False)

    def hear(self, now: float) -> bool:
        """Passes on what has been said. Whether there may be more."""
        if self.descriptor < 0:
            return False
        try:
            data = os.read(self.descriptor, READ)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE or not data:
            lines.append(self._rest)
            self._rest = b""
        for each in lines:
            self._take(each.decode("utf-8", "backslashreplace").rstrip(), now)
        if not data:
            self.close()
        return bool(data)

    def tick(self, now: float) -> None:
        """Tells what was left out, once its time is over."""
        if now - self._since >= WINDOW:
            self._tell()
            self._since = now

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            self._tell()

    def _take(self, text: str, now: float) -> None:
        if not text:
            return
        self.tick(now)
        self._lines += 1
        if text.endswith(TRACEBACK):  # a log has its own word before it
            self._tracebacks += 1
            self._in_traceback = not text.endswith(GROUP)  # which has no such last line
        elif self._in_traceback and not text[0].isspace():
            self._in_traceback = False
            self.last_error = text
            self.error_at = now
        if self._lines <= self._most:
            pass_on("info", f"app {self._app}: {text}", app=self._app)

    def _tell(self) -> None:
        left_out = self._lines - int(self._most)
        if left_out > 0 or self._tracebacks >= MANY:
            traces = f", {self._tracebacks} tracebacks among them" if self._tracebacks else ""
            last = f", the last of {self.last_error}" if traces and self.last_error else ""
            left = f"; {left_out} of them were left out (`log_lines`)" if left_out > 0 else ""
            say(
                "warning",
                f"app {self._app} said {self._lines} lines in {WINDOW:g} s{traces}{last}{left}",
                app=self._app,
            )
        self._lines = self._tracebacks = 0
