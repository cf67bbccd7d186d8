"""A gateway that takes on one config after the other while it serves."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Coroutine, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from tetrapylon._core.exchange import Plan
from tetrapylon._core.routing.route import Router
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.compile import Edition, Source, editions, gateway_of
from tetrapylon.config import model
from tetrapylon.config.net import listener_keys
from tetrapylon.telemetry import logs
from tetrapylon.upstreams.make import told
from tetrapylon.works import Steps, Works, finish

if TYPE_CHECKING:
    import socket
    import ssl

    from tetrapylon._core.accept import Listener
    from tetrapylon.processes.channel import Channel

T = TypeVar("T")
SLICE = 0.0005
"""Seconds of work on a new config between two turns of the loop."""
LET_GO = 64
"""Routes freed in one go."""


class Serving:
    """A gateway with the listeners of its config, which takes on one config after the other.

    All calls come from the loop's thread.
    """

    def __init__(
        self,
        config: Source,
        loop: asyncio.AbstractEventLoop,
        slab: Slab,
        fronts: Mapping[bytes, ssl.SSLContext] | None = None,
        found: Mapping[str, tuple[bytes, bytes]] | None = None,
        channel: Channel | None = None,
    ) -> None:
        """`fronts` as `works.fronts` made them, `found` and `channel` as `Context` has them.

        `found` None: it finds targets itself.
        """
        self._loop = loop
        self._works = Works(loop, slab, fronts, channel)
        for name, (fingerprint, targets) in (found or {}).items():
            self._works.found(name, fingerprint, targets)
        self._edition = finish(editions(config, self._works))
        self._works.settle(self._edition.kept)
        if found is None:
            self._works.follow(self._edition.head.upstreams)
        self._gateway = gateway_of(self._edition, self._works)
        self._listening: dict[str, list[Listener]] = {}
        self.reopen_logs = self._gateway.reopen_logs
        self.drain = self._gateway.drain
        self.close = self._gateway.close

    @property
    def active(self) -> int:
        return self._gateway.active

    @property
    def drain_time(self) -> float:
        """How many seconds the config gives exchanges in flight to finish."""
        return self._edition.head.server.timeouts.drain

    @property
    def _entries(self) -> dict[str, model.Listener]:
        listen = self._edition.head.server.listen
        return dict(zip(listener_keys(each.address for each in listen), listen, strict=True))

    async def start(self) -> None:
        """Before it listens. Raises TetrapylonError where the user's code does not begin."""
        if self._works.code is not None:
            await self._works.code.start()

    async def await_targets(self, patience: float, apps: float) -> None:
        await self._works.await_targets(patience, apps)

    def found(self, upstream: str, fingerprint: bytes, targets: bytes) -> None:
        """The targets of an upstream, found by the settings of that fingerprint, as MessagePack."""
        self._works.found(upstream, fingerprint, targets)

    async def stop(self) -> None:
        """Once nothing is in flight."""
        if self._works.code is not None:
            await self._works.code.stop()

    def listen(self, sock: socket.socket, address: str) -> None:
        settings = self._entries[address]
        tls = self._edition.kept.tls(address)
        listener = self._gateway.listen(sock, tls=tls, proxy_protocol=settings.proxy_protocol)
        self._listening.setdefault(address, []).append(listener)

    async def prepare(self, config: Source) -> Edition:
        """Compiles another config, in slices that leave the loop its turns. `adopt` it, or `discard` it.

        What is made meanwhile lasts as long as the config does, so the collector need not walk it.
        """
        gc.collect(1)
        gc.disable()
        try:
            edition = await _paced(self._loop, editions(config, self._works))
            await self.start()  # what is new in the user's code
            return edition
        except BaseException:
            self._works.settle(self._edition.kept)
            gc.enable()
            raise

    async def discard(self, edition: Edition) -> None:
        """Frees one that was prepared and is not adopted."""
        self._works.settle(self._edition.kept)
        await self._free(edition.snapshot.router)

    def adopt(
        self, edition: Edition, sockets: Sequence[tuple[socket.socket, str]]
    ) -> Coroutine[Any, Any, None]:
        """Serves by it from the next request on. What is given is to be run: it frees the last config.

        `sockets` are further ones to accept on, each with its address.
        """
        router = self._edition.snapshot.router
        logs.follow(self._edition.head.log.errors, edition.head.log.errors)
        self._edition = edition
        self._gateway.swap(edition.snapshot)
        self._gateway.write_to(edition.kept.access_log)
        self._relisten()
        for sock, address in sockets:
            self.listen(sock, address)
        self._works.settle(edition.kept)
        return self._free(router)

    def upstreams(self) -> list[dict[str, Any]]:
        """What each upstream does now, for operators."""
        return [told(name, made.made) for name, made in self._edition.kept.upstreams.items()]

    def purge(self, how: Literal["path", "prefix", "tag"], what: str) -> int:
        """Forgets stored answers, in this process; how many there were. See `Store.purge`."""
        return self._works.purge(how, what)

    def _relisten(self) -> None:
        settings = self._entries
        for address, listeners in list(self._listening.items()):
            entry = settings.get(address)
            for listener in listeners:
                if entry is None:
                    self._gateway.stop_listening(listener)
                else:
                    tls = self._edition.kept.tls(address)
                    listener.change(tls=tls, proxy_protocol=entry.proxy_protocol)
            if entry is None:
                del self._listening[address]

    async def _free(self, router: Router[Plan]) -> None:
        """Some routes at a time; exchanges in flight keep the plans of theirs."""
        await _paced(self._loop, _let_go(router.routes, router.table))
        gc.freeze()
        gc.enable()


def _let_go(*lists: list[T]) -> Generator[bool, None, None]:
    """Frees what is in the lists, some at a time. Nobody else has them any more."""
    while any(lists):
        for each in lists:
            del each[-LET_GO:]
        yield False


async def _paced(loop: asyncio.AbstractEventLoop, steps: Steps[T]) -> T:
    """Takes the steps, a slice in each turn of the loop, and those that may be long in a thread."""
    began = time.perf_counter()
    apart = False
    while True:
        step = await loop.run_in_executor(None, _next, steps) if apart else _next(steps)
        if step.done:
            value: T = step.value
            return value
        apart = step.apart
        if apart or time.perf_counter() - began >= SLICE:
            await asyncio.sleep(0)
            began = time.perf_counter()


class _Step(NamedTuple):
    apart: bool
    done: bool = False
    value: Any = None


def _next(steps: Steps[Any]) -> _Step:
    try:
        return _Step(next(steps))
    except StopIteration as stop:
        return _Step(False, True, stop.value)
