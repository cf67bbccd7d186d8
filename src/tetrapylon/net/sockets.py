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
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from tetrapylon.errors import TetrapylonError

# The kernel cuts it to net.core.somaxconn.
BACKLOG = 4096


class ListenError(TetrapylonError):
    """An address that cannot be listened on; the text names it and says what to do."""


class Listener:
    """One address and its sockets: one a worker, or one that all share.

    `address` is where it is bound, in the config's spelling and with the port that the system chose; `asked`
    is what was asked for, and `tls` whether that speaks TLS.
    """

    def __init__(
        self, address: str, sockets: list[socket.socket], path: str | None = None, *, shared: bool = False
    ) -> None:
        self.address = address
        self.asked = address
        self.tls = False
        self.shared = shared or path is not None
        """Whether all workers accept from one socket."""
        self._sockets = sockets
        self._path = path
        self._identity = _identity(path) if path is not None else None

    @property
    def url(self) -> str:
        if self.address.startswith("unix:"):
            return self.address
        return f"{'https' if self.tls else 'http'}://{self.address}"

    def sockets(self, place: int, workers: int) -> list[socket.socket]:
        """Those of the worker at `place` among `workers`: each has at least one that accepts from it."""
        if self.shared:
            return list(self._sockets)
        return [sock for i, sock in enumerate(self._sockets) if i % workers == place]

    def grow(self, workers: int, setting: str) -> list[socket.socket]:
        """Binds further sockets until there is one a worker. Gives them; raises ListenError."""
        missing = workers - len(self._sockets)
        if self.shared or missing <= 0:
            return []
        first = self._sockets[0]
        try:
            more = _bind_all(first.family, first.getsockname(), missing, alone=False)
        except OSError as error:
            raise ListenError(_reason(self.address, error, setting)) from error
        self._sockets.extend(more)
        return more

    def shrink(self, sockets: Collection[socket.socket]) -> None:
        """Closes what `grow` gave."""
        for sock in sockets:
            self._sockets.remove(sock)
            sock.close()

    def listen(self, setting: str) -> None:
        """Takes connections from now on, for somebody to accept. Raises ListenError."""
        try:
            for sock in self._sockets:
                sock.listen(BACKLOG)
        except OSError as error:
            raise ListenError(_reason(self.address, error, setting)) from error

    def keep(self, sockets: Collection[socket.socket] = ()) -> None:
        """Closes this process's copies but `sockets`."""
        for sock in self._sockets:
            if sock not in sockets:
                sock.close()

    def close(self) -> None:
        """Closes all of this process's copies, and removes the Unix socket if it is still ours."""
        self.keep()
        if self._path is not None and _identity(self._path) == self._identity:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
        self._path = None


class Held(msgspec.Struct, frozen=True):
    """A listener, for another program that inherits its descriptors."""

    address: str
    asked: str
    descriptors: list[int]
    path: str | None
    shared: bool


def hold(listener: Listener) -> Held:
    descriptors = [sock.fileno() for sock in listener._sockets]
    return Held(listener.address, listener.asked, descriptors, listener._path, listener.shared)


def take(held: Held) -> Listener:
    sockets = [socket.socket(fileno=descriptor) for descriptor in held.descriptors]
    listener = Listener(held.address, sockets, held.path, shared=held.shared)
    listener.asked = held.asked
    return listener


def given_by_manager(sock: socket.socket) -> Listener:
    """A socket that a service manager listens on, and keeps: all workers share it, and nobody removes it."""
    name = sock.getsockname()
    address = f"unix:{name}" if sock.family == socket.AF_UNIX else _spell(sock.family, name)
    return Listener(address, [sock], shared=True)


def open_listeners(
    addresses: Iterable[str],
    workers: int,
    setting: str,
    *,
    tls: Collection[str] = (),
    given: list[Listener] | None = None,
) -> list[Listener]:
    """As `bind_listeners`, and listens."""
    opened = bind_listeners(addresses, workers, setting, tls=tls, given=given)
    try:
        for listener in opened:
            listener.grow(workers, setting)
            listener.listen(setting)
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def bind_listeners(
    addresses: Iterable[str],
    workers: int,
    setting: str,
    *,
    tls: Collection[str] = (),
    own: Collection[int] = (),
    given: list[Listener] | None = None,
) -> list[Listener]:
    """Binds every address: `host:port`, `[IPv6]:port` or `unix:/path`; all or none stay open.

    A number behind `#` tells apart those that ask for port 0.
    A host name stands for all its addresses. `setting` is the config's key that a message points to. `tls`
    are those of the addresses that speak TLS, `own` the ports that this gateway has. Those of `given` that
    fit are taken from it, in place of new ones. Raises ListenError.
    """
    opened: list[Listener] = []
    given = [] if given is None else given
    try:
        for key in addresses:
            before = len(opened)
            address = key if key.startswith("unix:") else key.partition("#")[0]
            if inherited := [each for each in given if key in (each.asked, each.address)]:
                opened.extend(inherited)
                given[:] = [each for each in given if each not in inherited]
            elif address.startswith("unix:"):
                opened.append(_open_unix(address, setting))
            else:
                _open_tcp(address, workers, setting, opened, own)
            for listener in opened[before:]:
                listener.asked = key
                listener.tls = key in tls
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def _open_tcp(address: str, workers: int, setting: str, opened: list[Listener], own: Collection[int]) -> None:
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
            alone = chosen not in own
            sockets = _bind_all(family, (name[0], chosen, *name[2:]), workers, alone=alone)
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
        found = socket.getaddrinfo(
            host.encode("ascii"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ListenError(
            f"cannot listen on {address}: the host name {host!r} is unknown ({error}); "
            f"give {setting} an IP address, 127.0.0.1 for this machine alone or 0.0.0.0 for all"
        ) from error
    return list(dict.fromkeys((family, name) for family, _, _, _, name in found))


def _bind_all(family: int, name: tuple[Any, ...], workers: int, *, alone: bool) -> list[socket.socket]:
    """`alone`: nobody has the port yet. Raises OSError with nothing left open."""
    if name[1] != 0 and alone:
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
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(sock: socket.socket, family: int, name: tuple[Any, ...]) -> None:
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


def socket_folder() -> str:
    """A name for a folder of this process's own, short enough for sockets in it (108 bytes, unix(7))."""
    base = os.environ.get("RUNTIME_DIRECTORY") or os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    return f"{base.partition(':')[0]}/tetrapylon-{os.getpid()}-{os.urandom(4).hex()}"
