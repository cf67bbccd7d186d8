"""A worker's side of a reload: it compiles what the supervisor hands it, and serves by it at its word."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import traceback
from collections.abc import Awaitable, Coroutine, Sequence
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
    Handed,
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
    attempt: int
    edition: Any


class Renewals:
    """Listens to the supervisor on behalf of a gateway."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, channel: Channel, gateway: Renewable, name: str
    ) -> None:
        self._loop = loop
        self._channel = channel
        self._gateway = gateway
        self._name = name
        self._handed: list[tuple[socket.socket, str]] = []
        """For the config that comes next."""
        self._ready: Ready | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._freeing: asyncio.Task[None] | None = None
        self._draining = False
        self._early: list[tuple[Message, list[int]]] | None = []
        """What was heard before the gateway served, but for targets."""

    def begin(self) -> None:
        """Listens from now on: to what is found at once, to all else once it serves."""
        self._loop.add_reader(self._channel.fileno(), self._listen)

    def drain(self) -> None:
        """It accepts nothing more: not on sockets either that a reload hands it from now on."""
        self._draining = True

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
            case Handed():
                sockets = (socket.socket(fileno=descriptor) for descriptor in descriptors)
                self._handed += zip(sockets, message.addresses, strict=True)
            case Prepare():
                encoded = content_of(descriptors[0])
                os.close(descriptors[0])
                self._preparing = self._loop.create_task(self._compile(message.attempt, encoded))
            case Commit():
                self._commit(message.attempt)
            case Abort():
                self._abort()
            case Ask():
                self._tell(message.number, self._gateway.upstreams())
            case Purge():
                how, what = msgspec.json.decode(content_of(descriptors[0]), type=tuple[How, str])
                os.close(descriptors[0])
                self._tell(message.number, self._gateway.purge(how, what))

    async def _compile(self, attempt: int, encoded: bytes) -> None:
        try:
            if self._freeing is not None:
                await asyncio.wait([self._freeing])  # which goes on to its end, whatever becomes of this one
            edition = await self._gateway.prepare(Encoded(encoded))
        except Exception as error:  # noqa: BLE001 - whatever it is, this worker goes on as before and says so
            if not isinstance(error, (TetrapylonError, OSError)):
                traceback.print_exc()
            self._channel.send(Prepared(attempt, f"{self._name}: {error or type(error).__name__}"))
            return
        self._ready = Ready(attempt, edition)
        self._channel.send(Prepared(attempt))

    def _commit(self, attempt: int) -> None:
        ready, self._ready = self._ready, None
        sockets, self._handed = self._handed, []
        if ready is None or ready.attempt != attempt:
            self._give_way("was not told of the config that is in force now")
            return
        try:
            rest = self._gateway.adopt(ready.edition, [] if self._draining else sockets)
        except Exception:  # noqa: BLE001 - it serves by neither config now: only another process can
            traceback.print_exc()
            self._give_way("could not take the config on that is in force now")
            return
        finally:
            close_all(sockets)
        self._channel.send(Committed(attempt))
        self._freeing = self._loop.create_task(rest)

    def _give_way(self, why: str) -> None:
        say("error", f"{self._name} {why}: draining for its successor")
        os.kill(os.getpid(), signal.SIGTERM)

    def _abort(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
        close_all(self._handed)
        self._handed.clear()
        ready, self._ready = self._ready, None
        if ready is not None:
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
