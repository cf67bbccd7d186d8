"""What a service manager is told (sd_notify(3)), and the sockets it hands over (sd_listen_fds(3))."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable

from tetrapylon import __version__
from tetrapylon.net.sockets import Listener, ListenError
from tetrapylon.telemetry.events import line, say

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
        microseconds = _number("WATCHDOG_USEC") if own and self._address else 0
        self.watchdog = microseconds / 2e6 or None
        """Every so many seconds it wants to hear that this process is alive; None: it does not."""
        self._barked = 0.0

    def announce(self, listeners: Iterable[Listener], admin: Iterable[Listener], workers: int) -> None:
        """It is told, and so is whoever reads standard error, that and where the gateway serves."""
        urls = ", ".join(listener.url for listener in listeners)
        also = "".join(f", admin on {listener.url}" for listener in admin)
        line(f"tetrapylon {__version__} listening on {urls} ({workers} worker{'s'[: workers != 1]}){also}")
        self.ready(f"listening on {urls}")

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
    """The listening sockets that the service manager opened for this process; once. Raises ListenError."""
    count = _number("LISTEN_FDS")
    own = os.environ.get("LISTEN_PID", "") == str(os.getpid())
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return [_listening(descriptor) for descriptor in range(FIRST, FIRST + count)] if own else []


def _listening(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.EINVAL, "no stream socket that listens")
    except OSError as error:
        raise ListenError(
            f"the service manager hands over descriptor {descriptor}, which cannot be served on:"
            f" {error.strerror}; expected ListenStream= in its socket unit"
        ) from None
    sock.setblocking(False)
    return sock


def _number(name: str) -> int:
    """Of a variable that a service manager sets; 0 where it is not set. Raises ListenError."""
    text = os.environ.get(name) or "0"
    if not (text.isascii() and text.isdigit()):
        raise ListenError(f"{name} is {text!r} in the environment; expected a number, or not to be set")
    return int(text)
