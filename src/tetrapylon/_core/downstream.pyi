"""Listeners and client connections: the gateway."""

import socket
from collections.abc import Iterable
from typing import Protocol

from tetrapylon._core.counters import Slab
from tetrapylon._core.exchange import Sink
from tetrapylon._core.log import AccessLog
from tetrapylon._core.reactor import Handle, Reactor
from tetrapylon._core.stages import Pipeline, Snapshot
from tetrapylon._core.stream import Connection, StreamProtocol

class _Closes(Protocol):
    def close(self) -> object: ...

class Gateway(Pipeline):
    """Serves what it is given: listening sockets, or an asyncio server's connections. One thread.

    `closing` is what is closed with it. Embedded in another program:
    `await loop.create_server(gateway.protocol_factory, host, port)`.
    """

    def __init__(
        self,
        reactor: Reactor,
        snapshot: Snapshot,
        slab: Slab,
        log: AccessLog | None = None,
        *,
        closing: Iterable[_Closes] = (),
    ) -> None: ...
    @property
    def connections(self) -> int:
        """Client connections open."""
    @property
    def active(self) -> int:
        """Client connections open; 0 when nothing would be cut."""
    def listen(self, sock: socket.socket) -> None:
        """Accepts from a listening, non-blocking socket, of which it keeps a duplicate. Raises OSError."""
    def protocol_factory(self) -> StreamProtocol:
        """The protocol of one client connection on a transport of any asyncio loop."""
    def drain(self) -> None:
        """Accepts what is queued, then no more; closes idle connections, others after their answer."""
    def close(self) -> None:
        """Cuts what is left and closes the reactor."""
    def reopen_logs(self) -> None:
        """Opens log files anew by name, after they were moved away."""

class Listener(Handle):
    """A listening socket in the reactor's epoll set."""

class DownstreamConnection(Connection):
    """One client connection, HTTP/1."""

class ClientSide(Sink):
    """An exchange's view of a client connection."""
