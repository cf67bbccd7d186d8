"""Listening sockets: opened before the fork, kept by the supervisor, handed to its children.

A TCP address gets one `SO_REUSEPORT` socket a worker, so that the kernel spreads connections evenly, and a
worker's successor finds its queue intact. A Unix path has one socket that all workers share.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import Any

from tetrapylon.errors import TetrapylonError

# The kernel cuts it to net.core.somaxconn.
BACKLOG = 4096


class ListenError(TetrapylonError):
    """An address that cannot be listened on; the text names it and says what to do."""


class Listener:
    """One address and its sockets: one a worker, or one that all share.

    `address` is where it is bound, in the config's spelling and with the port that the system chose;
    `entry` tells which of the addresses asked for it serves.
    """

    def __init__(
        self, address: str, sockets: list[socket.socket], path: str | None = None, entry: int = 0
    ) -> None:
        self.address = address
        self.entry = entry
        self.url = address if path is not None else f"http://{address}"
        self._sockets = sockets
        self._path = path
        self._identity = _identity(path) if path is not None else None

    def socket(self, index: int) -> socket.socket:
        """The socket of worker `index`."""
        return self._sockets[index % len(self._sockets)]

    def keep(self, index: int | None) -> None:
        """Closes this process's copies but that of worker `index`; None keeps none."""
        kept = None if index is None else self.socket(index)
        for sock in self._sockets:
            if sock is not kept:
                sock.close()

    def close(self) -> None:
        """Closes all of this process's copies, and removes the Unix socket if it is still ours."""
        self.keep(None)
        if self._path is not None and _identity(self._path) == self._identity:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
        self._path = None


def open_listeners(addresses: Iterable[str], workers: int, setting: str) -> list[Listener]:
    """Opens every address: `host:port`, `[IPv6]:port` or `unix:/path`; all or none stay open.

    A host name stands for all its addresses. `setting` is the config's key that a message points to.
    Raises ListenError.
    """
    opened: list[Listener] = []
    try:
        for entry, address in enumerate(addresses):
            before = len(opened)
            if address.startswith("unix:"):
                opened.append(_open_unix(address, setting))
            else:
                _open_tcp(address, workers, setting, opened)
            for listener in opened[before:]:
                listener.entry = entry
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def _open_tcp(address: str, workers: int, setting: str, opened: list[Listener]) -> None:
    """Appends to `opened` each listener as it opens."""
    host, _, port = address.rpartition(":")
    chosen = int(port)
    missing: OSError | None = None
    before = len(opened)
    for family, name in _resolve(address, host.strip("[]"), chosen, setting):
        here = _spell(family, (name[0], chosen))
        if any(listener.address == here for listener in opened):
            raise ListenError(f"{here} is listed twice; remove one from {setting}")
        try:
            sockets = _bind_all(family, (name[0], chosen, *name[2:]), workers)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise ListenError(_reason(here, error, setting)) from error
            missing = error  # `localhost` may name ::1 on a machine without IPv6: its other address does
            continue
        chosen = sockets[0].getsockname()[1]
        opened.append(Listener(_spell(family, (name[0], chosen)), sockets))
    if len(opened) == before and missing is not None:
        raise ListenError(_reason(address, missing, setting)) from missing


def _resolve(
    address: str, host: str, port: int, setting: str
) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(
            f"cannot listen on {address}: the host name {host!r} is unknown ({error}); "
            f"give {setting} an IP address, 127.0.0.1 for this machine alone or 0.0.0.0 for all"
        ) from error
    return list(dict.fromkeys((family, name) for family, _, _, _, name in found))


def _bind_all(family: socket.AddressFamily, name: tuple[Any, ...], workers: int) -> list[socket.socket]:
    """Raises OSError with nothing left open."""
    if name[1] != 0:
        # SO_REUSEPORT alone would let a second gateway of the same user share the port in silence.
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            _bind(probe, family, name)
    sockets: list[socket.socket] = []
    try:
        for _ in range(workers):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
            sock.setblocking(False)
            _bind(sock, family, name)
            name = (name[0], sock.getsockname()[1], *name[2:])
        for sock in sockets:
            sock.listen(BACKLOG)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(sock: socket.socket, family: socket.AddressFamily, name: tuple[Any, ...]) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # [::] is not 0.0.0.0
    sock.bind(name)


def _open_unix(address: str, setting: str) -> Listener:
    path = address.removeprefix("unix:")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear_stale(path, setting)
        sock.setblocking(False)
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(_reason(address, error, setting)) from error
    except ListenError:
        sock.close()
        raise
    return Listener(address, [sock], path)


def _clear_stale(path: str, setting: str) -> None:
    """Removes a socket that a killed process left; anything else in its place is an error."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(
            f"cannot listen on unix:{path}: there is a file that is not a socket; move it or change {setting}"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # somebody listens, with a full queue
            pass
    raise ListenError(_reason(f"unix:{path}", OSError(errno.EADDRINUSE, "in use"), setting))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _spell(family: socket.AddressFamily, name: tuple[Any, ...]) -> str:
    return f"[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def _reason(address: str, error: OSError, setting: str) -> str:
    head = f"cannot listen on {address}: "
    port = address.rpartition(":")[2]
    unix = address.startswith("unix:")
    match error.errno:
        case errno.EADDRINUSE if unix:
            return f"{head}another process listens there; stop it, or change {setting}"
        case errno.EADDRINUSE:
            return (
                f"{head}the port is in use; stop the process that has it "
                f"(`ss -ltnp 'sport = :{port}'` names it), or change {setting}"
            )
        case errno.EACCES | errno.EPERM if unix:
            return f"{head}no permission; check owner and mode of its directory, or change {setting}"
        case errno.EACCES | errno.EPERM:
            return (
                f"{head}no permission; ports below 1024 need the capability CAP_NET_BIND_SERVICE. "
                f"Grant it, or choose a higher port in {setting}"
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return (
                f"{head}this machine has no such address; `ip address` lists those it has. Change {setting}"
            )
        case errno.ENOENT if unix:
            return f"{head}its directory does not exist; create it, or change {setting}"
        case _:
            return f"{head}{error.strerror or error}; change {setting}"
