"""What a connection reads from and writes to: the reactor's own sockets, or an asyncio transport."""

import asyncio
from typing import Self

from tetrapylon._core.reactor import Handle, Reactor, Timed

class Connection(Timed):
    """What stands on a stream and speaks a protocol."""

class Stream(Handle):
    """Bytes in and out, and flow control: congested above 64 KiB of queued output, until 16 KiB are left."""

class DeadStream(Stream):
    """Where a connection stands once its own stream is gone: takes everything and does nothing."""

class SocketStream(Stream):
    """A TCP or Unix socket in the reactor's epoll set."""

class TransportStream(Stream):
    """An asyncio transport, of any loop, behind the same surface: for embedding."""

    def __new__(cls, reactor: Reactor) -> Self: ...

class StreamProtocol(asyncio.BufferedProtocol):
    """The asyncio side of a TransportStream; `Gateway.protocol_factory` makes them."""

    stream: TransportStream

    def __init__(self, stream: TransportStream) -> None: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def get_buffer(self, sizehint: int) -> memoryview:
        """The reactor's scratch memory of 64 KiB, whatever `sizehint` says."""
    def buffer_updated(self, nbytes: int) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
