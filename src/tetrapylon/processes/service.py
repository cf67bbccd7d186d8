"""What a service manager is told (sd_notify(3)), and the sockets it hands over (sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket
import time

from tetrapylon.telemetry.events import say

__all__ = ["Manager", "activated"]

FIRST = 3
"""SD_LISTEN_FDS_START"""


class Manager:
    """The service manager of this process, if it has one: `NOTIFY_SOCKET` says so."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # in the abstract namespace
        own = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = int(os.environ.get("WATCHDOG_USEC", "0")) if own and self._address else 0
        self.watchdog = microseconds / 2e6 or None
        """Every so many seconds it wants to hear that this process is alive; None: it does not."""
        self._barked = 0.0

    def ready(self, status: str) -> None:
        self._tell(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """In one message, for the time has to be that of the news."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1\nSTATUS=draining")

    def alive(self, now: float) -> None:
        if self.watchdog is not None and now - self._barked >= self.watchdog:
            self._barked = now
            self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.connect(self._address)
                sock.sendall(text.encode())
        except OSError as error:
            say("warning", f"the service manager cannot be told {text.split(chr(10))[0]}: {error}")


def activated() -> list[socket.socket]:
    """The listening sockets that the service manager opened for this process; once."""
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    own = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    os.environ.pop("LISTEN_FDNAMES", None)
    if not own:
        return []
    found = []
    for descriptor in range(FIRST, FIRST + count):
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        found.append(sock)
    return found
