"""A worker: one uvloop loop with a compiled gateway on it, its heartbeat, and how it ends.

`python -m tetrapylon.worker CONFIG` serves in this very process, without a supervisor, for profilers.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import uvloop

from tetrapylon._core.telemetry.counters import Slab, Slabs, State, set_bounds
from tetrapylon.config.wire import Encoded, encode
from tetrapylon.errors import TetrapylonError
from tetrapylon.processes.channel import content_of, file_of
from tetrapylon.processes.fork import EXIT_USAGE, Context
from tetrapylon.processes.renew import Renewable, Renewals
from tetrapylon.telemetry import events
from tetrapylon.telemetry.events import line, say

if TYPE_CHECKING:
    import socket
    import ssl

DRAIN_POLL = 0.02
FIRST_TARGETS = 2.0
"""Seconds that a worker waits, before it accepts, for targets that are to be found."""
FIRST_APPS = 45.0
"""Likewise for hosted apps to serve, or to fail to."""
REHEARSALS = 8  # until what runs has its last form
LAST_REQUEST = 0.5
"""Seconds that a draining worker leaves idle connections open: a request may be on its way already."""


class Gateway(Renewable, Protocol):
    """What a worker asks of the compiled plane. All calls come from the loop's thread."""

    @property
    def active(self) -> int:
        """Client connections open and exchanges in flight; 0 when nothing would be cut."""

    @property
    def drain_time(self) -> float:
        """How many seconds the config gives exchanges in flight to finish."""

    def listen(self, sock: socket.socket, address: str) -> None:
        """Accepts on a listening, non-blocking socket, beginning in this turn of the loop.

        `address` is that of the config's listener that it belongs to.
        """

    async def start(self) -> None:
        """What has to be there before it accepts."""

    async def await_targets(self, patience: float, apps: float) -> None:
        """Returns when all upstreams know theirs that are to find them, or after so many seconds, `apps` for
        those of hosted apps."""

    async def stop(self) -> None:
        """Ends what `start` began, when nothing is in flight any more."""

    def drain(self, patience: float) -> None:
        """Accepts what is queued, then no more; closes connections after an exchange, idle ones after
        `patience` s."""

    def reopen_logs(self) -> None:
        """Opens log files anew by name, after they were moved away. Raises OSError."""

    def close(self) -> None:
        """Cuts what is left, writes out what is buffered, and frees everything."""


Fronts = Mapping[bytes, "ssl.SSLContext"]
Build = Callable[[asyncio.AbstractEventLoop, Slab], Gateway]


def rehearse() -> None:
    """Does once what every worker begins with, before they are forked.

    The interpreter writes into code that it runs for the first times (PEP 659), and memory that is written
    before a fork is shared after it: 0.3 MB of each worker.
    """
    from tetrapylon.config import model
    from tetrapylon.serving import Serving

    upstream = model.Upstream(targets=(model.Target(url="http://127.0.0.1:80"),))
    route = model.Route(path="/{rest:path}", upstream="any")
    config = model.Config(upstreams={"any": upstream}, routes=(route,))
    loop = uvloop.new_event_loop()
    for _ in range(REHEARSALS):
        Serving(Encoded(encode(config)), loop, Slabs(1, 1).slab(0), {}).close()
    loop.close()


def main(fronts: Fronts, context: Context) -> int:
    """The worker of `tetrapylon run`; `fronts` as `works` made them.

    Returns the exit status. Raises TetrapylonError where the config cannot be compiled.
    """
    from tetrapylon.serving import Serving

    def build(loop: asyncio.AbstractEventLoop, slab: Slab) -> Gateway:
        config = content_of(context.config)
        os.close(context.config)
        found = context.found if context.channel is not None else None
        return Serving(Encoded(config), loop, slab, fronts, found, context.channel)

    return serve(context, build)


def serve(context: Context, build: Build) -> int:
    """Serves until told to stop, and what is in flight to its end. Returns the exit status."""
    context.slab.claim(os.getpid())
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_tell_exception)
    gateway = build(loop, context.slab)
    gc.collect()
    gc.freeze()
    try:
        loop.run_until_complete(_Worker(context, loop, gateway).run())
        return 0
    finally:
        # The loop gives its signals up: one that comes now would kill the process, and its status with it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
        gateway.close()
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


class _Worker:
    def __init__(
        self,
        context: Context,
        loop: asyncio.AbstractEventLoop,
        gateway: Gateway,
    ) -> None:
        self._name = f"worker {context.worker} (pid {os.getpid()})"
        self._context = context
        self._slab = context.slab
        self._loop = loop
        self._gateway = gateway
        self._next_beat = 0.0
        self._draining = False
        self._renewals: Renewals | None = None
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Handlers first, so that no signal is lost between them and "serving"."""
        self._loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._loop.add_signal_handler(signal.SIGQUIT, self._stopped.set)
        self._loop.add_signal_handler(signal.SIGUSR1, self._reopen_logs)
        if self._context.lifeline >= 0:
            self._loop.add_reader(self._context.lifeline, self._orphaned)
        else:
            self._loop.add_signal_handler(signal.SIGINT, self._stop)
        if self._context.channel is not None:
            self._renewals = Renewals(self._loop, self._context.channel, self._gateway, self._name)
            self._renewals.begin()
        await self._gateway.start()
        await self._first_targets()
        if self._draining:
            await self._stopped.wait()
            return await self._gateway.stop()
        for sock, address in self._context.sockets:
            self._gateway.listen(sock, address)
        if self._renewals is not None:
            for sock, _ in self._context.sockets:
                sock.close()  # the gateway has its own: one that a reload closes must be closed everywhere
            self._renewals.serve()
        self._next_beat = time.monotonic()
        self._beat()
        self._slab.state = State.SERVING
        if self._context.notify >= 0:
            os.write(self._context.notify, b"\0")
        await self._stopped.wait()
        await self._gateway.stop()

    async def _first_targets(self) -> None:
        """Or the order to stop."""
        found = self._loop.create_task(self._gateway.await_targets(FIRST_TARGETS, FIRST_APPS))
        stopped = self._loop.create_task(self._stopped.wait())
        await asyncio.wait((found, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in (found, stopped):
            task.cancel()
        await asyncio.gather(found, stopped, return_exceptions=True)
        if not found.cancelled():
            found.result()

    def _reopen_logs(self) -> None:
        events.reopen()
        try:
            self._gateway.reopen_logs()
        except OSError as error:
            say(
                "error",
                f"{self._name}: the access log cannot be opened anew: {error}; the old one stays in use",
            )

    def _beat(self) -> None:
        now = time.monotonic()
        events.tick()
        self._slab.beat()
        self._slab.observe_lag(now - self._next_beat)
        self._next_beat = now + self._context.timing.beat
        self._loop.call_later(self._context.timing.beat, self._beat)

    def _stop(self) -> None:
        """Drains, once: a service manager may send TERM to each process, and then the supervisor sends it."""
        if self._draining:
            return
        self._draining = True
        self._slab.state = State.DRAINING
        if self._renewals is not None:
            self._renewals.drain()
        drain = self._gateway.drain_time
        self._gateway.drain(min(LAST_REQUEST, drain / 2))
        self._wait_idle(time.monotonic() + drain)

    def _wait_idle(self, deadline: float) -> None:
        left = self._gateway.active
        if left and time.monotonic() < deadline:
            self._loop.call_later(DRAIN_POLL, self._wait_idle, deadline)
            return
        if left:
            say(
                "warning",
                f"{self._name} cut {left} in flight that did not finish in {self._gateway.drain_time:g} s",
            )
        self._stopped.set()

    def _orphaned(self) -> None:
        """The supervisor is gone. The kernel ends this process should the loop fail to."""
        self._loop.remove_reader(self._context.lifeline)
        say("error", f"{self._name} lost its supervisor; draining, then ending")
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        limit = self._gateway.drain_time + 2 * self._context.timing.grace
        signal.setitimer(signal.ITIMER_REAL, limit)
        self._stop()


def _tell_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    say("error", f"worker (pid {os.getpid()}): {context['message']}", error=context.get("exception"))


def _run_alone(source: str) -> int:
    from tetrapylon.config import encode, load
    from tetrapylon.config.apps import refuse_apps
    from tetrapylon.config.net import listener_keys
    from tetrapylon.net.sockets import open_listeners
    from tetrapylon.telemetry import logs, misfit

    config = load(source)
    refuse_apps(config)
    logs.tell(config.log.errors)
    set_bounds(config.metrics.duration_bounds, config.metrics.gateway_bounds)
    addresses = listener_keys(each.address for each in config.server.listen)
    listen = zip(addresses, config.server.listen, strict=True)
    secure = [address for address, each in listen if each.tls is not None]
    listeners = open_listeners(addresses, 1, "server.listen", tls=secure)
    slabs = Slabs(1, len(config.routes))
    misfit.tell()
    line(f"tetrapylon worker listening on {', '.join(listener.url for listener in listeners)}")
    try:
        sockets = [(sock, listener.asked) for listener in listeners for sock in listener.sockets(0, 1)]
        context = Context(
            worker=0,
            sockets=sockets,
            slabs=slabs,
            slab=slabs.slab(0),
            config=file_of(encode(config), "config"),
        )
        return main({}, context)
    finally:
        for listener in listeners:
            listener.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        line("usage: python -m tetrapylon.worker CONFIG")
        sys.exit(EXIT_USAGE)
    try:
        sys.exit(_run_alone(sys.argv[1]))
    except TetrapylonError as error:
        line(str(error))
        sys.exit(EXIT_USAGE)
