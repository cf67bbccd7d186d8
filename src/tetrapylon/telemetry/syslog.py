"""syslog as datagrams: RFC 3164 on this machine's socket, as daemons there expect, RFC 5424 over UDP."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Literal

__all__ = ["DEFAULT_SOCKET", "SEVERITIES", "Syslog"]

DEFAULT_SOCKET = "/dev/log"
LOCAL0 = 16
SEVERITIES = {"error": 3, "warning": 4, "info": 6}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Severity = Literal["error", "warning", "info"]


class Syslog:
    """`where` is the path of a Unix datagram socket, or (host, port)."""

    def __init__(self, where: str | tuple[str, int], *, clock: Callable[[], float] = time.time) -> None:
        self._where = where
        self._clock = clock
        self._resolved: tuple[int, str | tuple[object, ...]] | None = None
        self._socket: socket.socket | None = None
        self._second = -1
        self._prefixes: dict[str, bytes] = {}

    def open(self) -> int:
        """Connects, anew if need be, and returns the descriptor. Raises OSError.

        It waits at most once, to look the host's name up.
        """
        self.close()
        if self._resolved is None:
            self._resolved = self._address()
        family, address = self._resolved
        made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            made.connect(address)
        except OSError:
            made.close()
            raise
        self._socket = made
        return made.fileno()

    def _address(self) -> tuple[int, str | tuple[object, ...]]:
        if isinstance(self._where, str):
            return socket.AF_UNIX, self._where
        found = socket.getaddrinfo(*self._where, type=socket.SOCK_DGRAM)[0]
        return found[0], found[4]

    def send(self, severity: Severity, text: bytes) -> None:
        """One message. Raises OSError, after which it is connected anew."""
        if self._socket is None:
            self.open()
        assert self._socket is not None
        try:
            self._socket.send(self.prefix(severity) + text)
        except BlockingIOError:
            raise
        except OSError:
            self.close()
            raise

    def prefix(self, severity: Severity = "info") -> bytes:
        """What stands before a message now."""
        now = int(self._clock())
        if now != self._second:
            self._second = now
            self._prefixes.clear()
        if severity not in self._prefixes:
            self._prefixes[severity] = self._head(LOCAL0 * 8 + SEVERITIES[severity], now)
        return self._prefixes[severity]

    def _head(self, priority: int, now: int) -> bytes:
        if isinstance(self._where, str):
            t = time.localtime(now)
            stamp = f"{MONTHS[t.tm_mon - 1]} {t.tm_mday:2d} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
            return f"<{priority}>{stamp} tetrapylon[{os.getpid()}]: ".encode()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        host = "".join(char for char in socket.gethostname() if "!" <= char <= "~")[:255] or "-"
        return f"<{priority}>1 {stamp} {host} tetrapylon {os.getpid()} - - ".encode()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
