"""What a connection reads from and writes to: sockets on the reactor, or a transport of any asyncio loop."""

import asyncio
from typing import final

from typing_extensions import disjoint_base

from tetrapylon._core.reactor import Handle, Reactor, Timed

@disjoint_base
class Connection(Timed):
    """What stands on a stream and speaks a protocol."""

@disjoint_base
class Stream(Handle):
    """Bytes in and out, and flow control."""

@final
class DeadStream(Stream):
    """Where a connection stands once its own stream is gone: takes everything, keeps nothing."""

@disjoint_base
class SocketStream(Stream):
    """A plain TCP or Unix socket in the reactor's epoll set."""

@final
class TransportStream(Stream):
    """An asyncio transport behind the same surface."""

    def __init__(self, reactor: Reactor) -> None: ...

class StreamProtocol(asyncio.BufferedProtocol):
    """The asyncio side of a TransportStream."""

    stream: TransportStream

    def __init__(self, stream: TransportStream) -> None: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def get_buffer(self, sizehint: int) -> memoryview: ...
    def buffer_updated(self, nbytes: int) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
