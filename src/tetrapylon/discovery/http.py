"""As much of an HTTP client as asking a registry takes: JSON posted, a body read in pieces, TLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httptools
import msgspec

if TYPE_CHECKING:
    import ssl

__all__ = ["Refused", "Reply", "post"]

PIECE = 64 * 1024
LARGEST = 64 * 2**20
# Seconds until a connection that says nothing is asked whether it is still there, and how often.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


class Refused(Exception):
    """An answer of another status than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        super().__init__(f"status {status}: {body[:200].decode('utf-8', 'replace').strip()}")


class Reply:
    """A response whose head has come."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.status = 0
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._complete = False

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._complete = True

    async def head(self) -> None:
        while not self.status:
            await self._feed()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises ConnectionError where it ends too early."""
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if self._complete and not self._pieces:
                return
            await self._feed()

    async def body(self) -> bytes:
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > LARGEST:
                raise ConnectionError(f"an answer of more than {LARGEST // 2**20}MiB")
        return bytes(body)

    async def _feed(self) -> None:
        data = await self._reader.read(PIECE)
        if not data:
            raise ConnectionError("the connection ended before the answer did")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ConnectionError(f"this is no HTTP answer: {error}") from None


@asynccontextmanager
async def post(
    url: str, value: Any, *, headers: Mapping[str, str], context: ssl.SSLContext | None, within: float
) -> AsyncIterator[Reply]:
    """`within` seconds are for all up to the answer's head. Raises OSError, or Refused."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    body = msgspec.json.encode(value)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    async with asyncio.timeout(within):
        reader, writer = await asyncio.open_connection(
            host, parts.port or (443 if secure else 80), ssl=context if secure else None
        )
    try:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, number in KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, number)
        reply = Reply(reader)
        async with asyncio.timeout(within):
            writer.write("\r\n".join(lines).encode() + body)
            await reply.head()
            if reply.status != 200:
                raise Refused(reply.status, await reply.body())
        yield reply
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
