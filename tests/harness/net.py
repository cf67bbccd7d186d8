"""Sockets by address: `host:port`, `[v6]:port` or `unix:/path`, the gateway's own spelling."""

import asyncio
import contextlib
import socket
import struct


def split(address: str) -> tuple[int, tuple[str, int] | str]:
    """Family and sockaddr of an address.

    Raises:
        ValueError: it is no address.
    """
    if address.startswith("unix:"):
        return socket.AF_UNIX, address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"no address: {address!r}")
    if host.startswith("["):
        return socket.AF_INET6, (host[1:-1], int(port))
    return socket.AF_INET, (host, int(port))


def join(sock: socket.socket) -> str:
    """The address that a socket is bound to."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def connect(address: str, *, timeout: float = 5.0, rcvbuf: int | None = None) -> socket.socket:
    """A connected blocking socket; a small `rcvbuf` makes the peer feel a slow reader early."""
    family, name = split(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        if rcvbuf is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.connect(name)
    except OSError:
        sock.close()
        raise
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def listen(address: str = "127.0.0.1:0", *, backlog: int = 4096) -> socket.socket:
    """A listening socket; where a backlog is full, Linux drops a SYN, which comes again after a second."""
    family, name = split(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(name)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def refused() -> str:
    """An address on the loopback where nobody listens."""
    with listen() as sock:
        return join(sock)


def reset(sock: socket.socket) -> None:
    """Closes with RST instead of FIN: SO_LINGER with zero seconds. A Unix socket is closed plainly."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def reset_transport(transport: asyncio.Transport) -> None:
    """The same for a transport, whose socket is its own."""
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def half_close(sock: socket.socket) -> None:
    """Sends FIN and goes on reading; a peer that has gone already is fine."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
