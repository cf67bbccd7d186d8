"""The control process's line to the supervisor: orders and questions go there, answers and news come back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec

from tetrapylon.config.model import ErrorLog
from tetrapylon.config.wire import Encoded
from tetrapylon.processes.channel import (
    Ask,
    Channel,
    Done,
    Found,
    Hosting,
    News,
    Pairs,
    Purge,
    Reload,
    Told,
    content_of,
    file_of,
)
from tetrapylon.telemetry import logs
from tetrapylon.telemetry.events import say

__all__ = ["Link", "errors_of"]


class Link:
    """What the admin's answers know of the gateway."""

    def __init__(self, loop: asyncio.AbstractEventLoop, channel: Channel, config: int) -> None:
        """`config` is the file of the config in force."""
        self._loop = loop
        self._channel = channel
        self._config = config
        self._errors = errors_of(config)
        self._numbers = count(1)
        self._orders: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._questions: dict[int, _Question] = {}
        self.news: dict[str, Any] = {"generation": 1, "source": "", "workers": 0, "history": [], "last": None}
        self.apps: dict[str, dict[str, Any]] = {}
        """What becomes of hosted apps, by name."""
        self.renewed: Callable[[], None] | None = None
        """Called when another config is in force."""
        self.compared: Callable[[bytes], None] | None = None
        """Called with answers to compare, as a worker's `Outbox` made them."""
        self.recorded: Callable[[bytes], None] | None = None
        """Likewise with requests to record."""
        self._loop.add_reader(channel.fileno(), self._listen)

    @property
    def config(self) -> bytes:
        """The config in force, encoded."""
        return content_of(self._config)

    async def reload(self, origin: str, *, dry_run: bool = False, back: int | None = None) -> dict[str, Any]:
        """What becomes of it. Raises ConnectionError when the supervisor does not listen."""
        number = next(self._numbers)
        self._send(Reload(number, origin, dry_run, back))
        self._orders[number] = future = self._loop.create_future()
        outcome: dict[str, Any] = await future
        return outcome

    async def upstreams(self) -> dict[int, Any]:
        """What each worker's upstreams do, by the worker's place, of those that answer in time."""
        return (await self._ask(Ask(next(self._numbers)))).answers

    async def purge(self, how: str, what: str) -> tuple[int, bool]:
        """How many stored answers the workers have forgotten, and whether all have said so in time."""
        file = file_of(msgspec.json.encode((how, what)), "purge")
        try:
            question = await self._ask(Purge(next(self._numbers)), [file])
        finally:
            os.close(file)
        return sum(question.told), question.done.done()

    async def _ask(self, message: Ask | Purge, files: Sequence[int] = ()) -> _Question:
        """Raises ConnectionError when the supervisor does not listen."""
        self._send(message, files)
        question = self._questions[message.number] = _Question(self._loop.create_future())
        try:
            await asyncio.wait_for(asyncio.shield(question.done), 2.0)
        except TimeoutError:
            pass  # a worker that hangs is told of by its absence
        finally:
            del self._questions[message.number]
        return question

    def found(self, upstream: str, fingerprint: bytes, targets: Sequence[msgspec.Struct]) -> None:
        """Passes on to the workers what an upstream's targets are."""
        file = file_of(msgspec.msgpack.encode(targets), "found")
        if not self._channel.send(Found(upstream, fingerprint), [file]):
            say(
                "error", f"upstream {upstream}: the supervisor does not listen; workers keep the last targets"
            )
        os.close(file)

    def close(self) -> None:
        self._loop.remove_reader(self._channel.fileno())
        for future in self._orders.values():
            future.cancel()

    def _send(self, message: Reload | Ask | Purge, files: Sequence[int] = ()) -> None:
        if not self._channel.send(message, files):
            raise ConnectionError("the supervisor does not listen")

    def _listen(self) -> None:
        try:
            heard = self._channel.receive()
        except BlockingIOError:
            return
        if heard is None:
            self._loop.remove_reader(self._channel.fileno())  # the lifeline ends this process
            return
        message, files = heard
        try:
            self._take(message, files)
        finally:
            for file in files:
                os.close(file)

    def _take(self, message: Any, files: list[int]) -> None:
        match message:
            case Done():
                future = self._orders.pop(message.number, None)
                if future is not None and not future.done():
                    future.set_result(msgspec.json.decode(content_of(files[0])))
            case News():
                was = self._errors
                os.close(self._config)
                self._config = files.pop(0)
                self._errors = errors_of(self._config)
                logs.follow(was, self._errors)
                self.news = msgspec.json.decode(content_of(files[0]))
                if self.renewed is not None:
                    self.renewed()
            case Hosting():
                self.apps = msgspec.json.decode(content_of(files[0]))
            case Pairs():
                take = self.compared if message.of == "answers" else self.recorded
                if take is not None:
                    take(content_of(files[0]))
            case Told():
                question = self._questions.get(message.number)
                if question is not None:
                    question.hear(message, files)


def errors_of(config: int) -> ErrorLog:
    """Where events go by an encoded config."""
    return Encoded(content_of(config)).head.log.errors


class _Question:
    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done
        self.answers: dict[int, Any] = {}
        self.told: list[Any] = []
        """All of them: a worker that drains may have another one's place."""
        self._asked = -1

    def hear(self, message: Told, files: list[int]) -> None:
        if message.worker < 0:
            self._asked = message.left
        else:
            answer = msgspec.json.decode(content_of(files[0]))
            self.told.append(answer)
            self.answers.setdefault(message.worker, answer)
        if len(self.told) == self._asked and not self.done.done():
            self.done.set_result(None)
