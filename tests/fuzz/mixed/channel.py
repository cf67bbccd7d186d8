"""A client's connection, plain or TLS, with what a client that misbehaves wants of it."""

import asyncio
import socket
import ssl
from typing import Protocol, cast

from tests.harness import net

SMALL = 4096  # bytes of a receive buffer that makes the gateway feel a slow reader early


class Channel(Protocol):
    """`send` and `recv` raise ConnectionError when the peer has cut it."""

    async def send(self, data: bytes) -> None: ...
    async def recv(self, size: int) -> bytes: ...

    def end(self) -> None:
        """Says no more; nothing where a connection cannot be closed by halves, as TLS on a loop."""

    def reset(self) -> None: ...
    def close(self) -> None: ...


class Plain:
    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self.loop = loop
        self.sock = sock

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def recv(self, size: int) -> bytes:
        return await self.loop.sock_recv(self.sock, size)

    def end(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        net.reset(self.sock)

    def close(self) -> None:
        self.sock.close()


class Secured:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def recv(self, size: int) -> bytes:
        try:
            return await self.reader.read(size)
        except ssl.SSLError as error:
            raise ConnectionResetError from error

    def end(self) -> None:
        pass

    def reset(self) -> None:
        if not self.writer.transport.is_closing():
            net.reset_transport(cast(asyncio.Transport, self.writer.transport))

    def close(self) -> None:
        self.writer.transport.abort()


async def connect(
    loop: asyncio.AbstractEventLoop, address: str, trust: ssl.SSLContext | None, *, small: bool
) -> Channel:
    """`trust`: of a TLS listener; `small`: the receive buffer is."""
    family, name = net.split(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    try:
        await loop.sock_connect(sock, name)
        if trust is None:
            return Plain(loop, sock)
        streams = await asyncio.open_connection(sock=sock, ssl=trust, server_hostname="gateway.test")
    except BaseException:
        sock.close()
        raise
    return Secured(*streams)
