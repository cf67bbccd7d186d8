"""The admin address over TLS: handshakes count as connections do, and are given as little time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sized

from tetrapylon.telemetry.events import say

PAUSE = 1.0
"""Seconds without accepting, after this process had no descriptor left."""


class SecureServer:
    """Accepts on a listening socket and begins connections whose handshake is done.

    `context` gives what the next handshake is made with. `most` is how many `connections` there may be,
    handshakes included; further ones are closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        connection: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext],
        *,
        connections: Sized,
        most: int,
        patience: float,
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._connection = connection
        self._context = context
        self._connections = connections
        self._most = most
        self._patience = patience
        self._handshakes: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        self._loop.remove_reader(self._sock)
        if self._again is not None:
            self._again.cancel()
        for handshake in self._handshakes:
            handshake.cancel()
        self._sock.close()

    def _listen(self) -> None:
        self._again = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        try:
            client, _ = self._sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            say("error", f"admin: no connection can be accepted: {error.strerror}")
            self._loop.remove_reader(self._sock)
            self._again = self._loop.call_later(PAUSE, self._listen)
            return
        if len(self._handshakes) + len(self._connections) >= self._most:
            client.close()
            return
        handshake = self._loop.create_task(self._shake_hands(client))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, client: socket.socket) -> None:
        """One that fails is the client's affair: it speaks no TLS, or refuses ours, or we its certificate."""
        client.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(
                self._connection, client, ssl=self._context(), ssl_handshake_timeout=self._patience
            )
        except OSError:
            client.close()
