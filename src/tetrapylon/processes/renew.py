"""A worker's side of a reload: it compiles what the supervisor hands it, and serves by it at its word."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import traceback
from collections.abc import Awaitable, Coroutine, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from tetrapylon.config.wire import Encoded
from tetrapylon.errors import TetrapylonError
from tetrapylon.processes.channel import (
    Abort,
    Ask,
    Channel,
    Commit,
    Committed,
    Found,
    Message,
    Prepare,
    Prepared,
    Purge,
    Told,
    content_of,
    file_of,
)
from tetrapylon.telemetry.events import say

How = Literal["path", "prefix", "tag"]
Sockets = Sequence[tuple[socket.socket, str]]


class Renewable(Protocol):
    """What a reload asks of a gateway. All calls come from the loop's thread."""

    def prepare(self, config: Encoded) -> Awaitable[Any]:
        """Makes what `adopt` takes, leaving the loop its turns. Raises whatever keeps it from that."""

    def discard(self, edition: Any) -> Awaitable[None]:
        """Forgets what `prepare` made."""

    def adopt(self, edition: Any, sockets: Sockets) -> Coroutine[Any, Any, None]:
        """Serves by it from now on, at once; what is given is to be run to free the last one.

        `sockets` are further ones to accept on, each with its address.
        """

    def upstreams(self) -> list[dict[str, Any]]:
        """What each upstream does now, for operators."""

    def found(self, upstream: str, fingerprint: bytes, targets: bytes) -> None:
        """The targets of an upstream, found by the settings of that fingerprint, as MessagePack."""

    def purge(self, how: How, what: str) -> int:
        """Forgets stored answers; how many there were."""


class Ready(NamedTuple):
    generation: int
    edition: Any
    sockets: list[tuple[socket.socket, str]]


class Renewals:
    """Listens to the supervisor on behalf of a gateway."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, channel: Channel, gateway: Renewable, name: str
    ) -> None:
        self._loop = loop
        self._channel = channel
        self._gateway = gateway
        self._name = name
        self._ready: Ready | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._freeing: asyncio.Task[None] | None = None
        self._early: list[tuple[Message, list[int]]] | None = []
        """What was heard before the gateway served, but for targets."""

    def begin(self) -> None:
        """Listens from now on: to what is found at once, to all else once it serves."""
        self._loop.add_reader(self._channel.fileno(), self._listen)

    def serve(self) -> None:
        early, self._early = self._early or [], None
        for message, descriptors in early:
            self._take(message, descriptors)

    def _listen(self) -> None:
        try:
            heard = self._channel.receive()
        except BlockingIOError:
            return
        if heard is None:
            # The supervisor has gone: the lifeline tells what to do about it.
            self._loop.remove_reader(self._channel.fileno())
            return
        message, descriptors = heard
        if self._early is not None and not isinstance(message, Found):
            self._early.append((message, descriptors))
        else:
            self._take(message, descriptors)

    def _take(self, message: Message, descriptors: list[int]) -> None:
        match message:
            case Found():
                self._gateway.found(message.upstream, message.fingerprint, content_of(descriptors[0]))
                os.close(descriptors[0])
            case Prepare():
                self._prepare(message, descriptors)
            case Commit():
                self._commit(message.generation)
            case Abort():
                self._abort(message.generation)
            case Ask():
                self._tell(message.number, self._gateway.upstreams())
            case Purge():
                how, what = msgspec.json.decode(content_of(descriptors[0]), type=tuple[How, str])
                os.close(descriptors[0])
                self._tell(message.number, self._gateway.purge(how, what))

    def _prepare(self, message: Prepare, descriptors: list[int]) -> None:
        config, *rest = descriptors
        sockets = [
            (socket.socket(fileno=descriptor), address)
            for descriptor, address in zip(rest, message.addresses, strict=True)
        ]
        encoded = content_of(config)
        os.close(config)
        self._preparing = self._loop.create_task(self._compile(message.generation, encoded, sockets))
        self._preparing.add_done_callback(partial(self._prepared, sockets))

    def _prepared(self, sockets: Sockets, task: asyncio.Task[None]) -> None:
        if task is self._preparing:
            self._preparing = None
        if task.cancelled():
            close_all(sockets)

    async def _compile(
        self, generation: int, encoded: bytes, sockets: list[tuple[socket.socket, str]]
    ) -> None:
        try:
            if self._freeing is not None:
                await self._freeing
            edition = await self._gateway.prepare(Encoded(encoded))
        except Exception as error:  # noqa: BLE001 - whatever it is, this worker goes on as before and says so
            if not isinstance(error, (TetrapylonError, OSError)):
                traceback.print_exc()
            close_all(sockets)
            self._channel.send(Prepared(generation, f"{self._name}: {error or type(error).__name__}"))
            return
        self._ready = Ready(generation, edition, sockets)
        self._channel.send(Prepared(generation))

    def _commit(self, generation: int) -> None:
        ready, self._ready = self._ready, None
        if ready is None or ready.generation != generation:
            say("error", f"{self._name} never heard of generation {generation}: draining for its successor")
            os.kill(os.getpid(), signal.SIGTERM)
            return
        rest = self._gateway.adopt(ready.edition, ready.sockets)
        close_all(ready.sockets)
        self._channel.send(Committed(generation))
        self._freeing = self._loop.create_task(rest)

    def _abort(self, generation: int) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
        ready, self._ready = self._ready, None
        if ready is not None and ready.generation == generation:
            close_all(ready.sockets)
            self._freeing = self._loop.create_task(_run(self._gateway.discard(ready.edition)))

    def _tell(self, number: int, answer: Any) -> None:
        file = file_of(msgspec.json.encode(answer), "answer")
        if not self._channel.send(Told(number, 0), [file]):
            say("error", f"{self._name} could not answer the admin: the supervisor does not listen")
        os.close(file)


async def _run(work: Awaitable[None]) -> None:
    await work


def close_all(sockets: Sockets) -> None:
    for sock, _ in sockets:
        sock.close()
