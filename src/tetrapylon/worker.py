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
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import uvloop

from tetrapylon._core.counters import Slab, Slabs, State
from tetrapylon.errors import TetrapylonError
from tetrapylon.events import line, say
from tetrapylon.process import EXIT_USAGE, Context, Timing

if TYPE_CHECKING:
    import socket
    import ssl

DRAIN_POLL = 0.02


class Gateway(Protocol):
    """What a worker asks of the compiled plane. All calls come from the loop's thread."""

    @property
    def active(self) -> int:
        """Client connections open and exchanges in flight; 0 when nothing would be cut."""

    def listen(self, sock: socket.socket, entry: int) -> None:
        """Accepts on a listening, non-blocking socket, beginning in this turn of the loop.

        `entry` is the config's listener that it belongs to.
        """

    def drain(self) -> None:
        """Accepts what is queued, then no more; closes idle connections, others when their exchange ends."""

    def reopen_logs(self) -> None:
        """Opens log files anew by name, after they were moved away."""

    def close(self) -> None:
        """Cuts what is left, writes out what is buffered, and frees everything."""


Fronts = Sequence["ssl.SSLContext | None"]
Build = Callable[[asyncio.AbstractEventLoop, Slab], Gateway]


def main(config: bytes, fronts: Fronts, context: Context) -> int:
    """The worker of `tetrapylon run`; `config` as `config.encode` wrote it, `fronts` as `compile` made them.

    Returns the exit status. Raises TetrapylonError where the config cannot be compiled.
    """
    from tetrapylon import compile
    from tetrapylon.config import decode

    settings = decode(config)
    return serve(
        context,
        lambda loop, slab: compile.serving(settings, loop, slab, fronts),
        settings.server.timeouts.drain,
    )


def serve(context: Context, build: Build, drain: float) -> int:
    """Serves until told to stop; what is in flight is then given `drain` seconds.

    Returns the exit status.
    """
    context.slab.claim(os.getpid())
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_tell_exception)
    gateway = build(loop, context.slab)
    gc.collect()
    gc.freeze()
    try:
        loop.run_until_complete(_Worker(context, loop, gateway, drain).run())
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
        drain: float,
    ) -> None:
        self._name = f"worker {context.worker} (pid {os.getpid()})"
        self._context = context
        self._slab = context.slab
        self._loop = loop
        self._gateway = gateway
        self._drain = drain
        self._next_beat = 0.0
        self._draining = False
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Handlers first, so that no signal is lost between them and "serving"."""
        self._loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._loop.add_signal_handler(signal.SIGQUIT, self._stopped.set)
        self._loop.add_signal_handler(signal.SIGUSR1, self._gateway.reopen_logs)
        if self._context.lifeline >= 0:
            self._loop.add_reader(self._context.lifeline, self._orphaned)
        else:
            self._loop.add_signal_handler(signal.SIGINT, self._stop)
        for sock, entry in zip(self._context.sockets, self._context.entries, strict=True):
            self._gateway.listen(sock, entry)
        self._next_beat = time.monotonic()
        self._beat()
        self._slab.state = State.SERVING
        if self._context.notify >= 0:
            os.write(self._context.notify, b"\0")
        await self._stopped.wait()

    def _beat(self) -> None:
        now = time.monotonic()
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
        self._gateway.drain()
        self._wait_idle(time.monotonic() + self._drain)

    def _wait_idle(self, deadline: float) -> None:
        left = self._gateway.active
        if left and time.monotonic() < deadline:
            self._loop.call_later(DRAIN_POLL, self._wait_idle, deadline)
            return
        if left:
            say("warning", f"{self._name} cut {left} in flight that did not finish in {self._drain:g} s")
        self._stopped.set()

    def _orphaned(self) -> None:
        """The supervisor is gone. The kernel ends this process should the loop fail to."""
        self._loop.remove_reader(self._context.lifeline)
        say("error", f"{self._name} lost its supervisor; draining, then ending")
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self._drain + 2 * self._context.timing.grace)
        self._stop()


def _tell_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    say("error", f"worker (pid {os.getpid()}): {context['message']}")
    if error is not None:
        traceback.print_exception(error)


def _run_alone(source: str) -> int:
    from tetrapylon import compile, misfit
    from tetrapylon.config import encode, load
    from tetrapylon.sockets import open_listeners

    config = load(source)
    addresses = [each.address for each in config.server.listen]
    secure = [i for i, each in enumerate(config.server.listen) if each.tls is not None]
    listeners = open_listeners(addresses, 1, "server.listen", tls=secure)
    slabs = Slabs(1, len(config.routes))
    misfit.tell()
    line(f"tetrapylon worker listening on {', '.join(listener.url for listener in listeners)}")
    try:
        sockets = [listener.socket(0) for listener in listeners]
        entries = [listener.entry for listener in listeners]
        context = Context(0, sockets, entries, slabs, slabs.slab(0), -1, -1, Timing())
        return main(encode(config), compile.fronts(config), context)
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
