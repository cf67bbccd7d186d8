"""The control process's loop, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvloop

from tetrapylon.admin import diff, live, move, record
from tetrapylon.admin.api import Api
from tetrapylon.admin.certificates import Certificates
from tetrapylon.admin.server import serve_admin
from tetrapylon.config.model import Admin
from tetrapylon.config.wire import Encoded
from tetrapylon.control.comparing import Comparing
from tetrapylon.control.link import Link
from tetrapylon.control.moving import LOOK_EVERY, Moving
from tetrapylon.control.recording import Recording
from tetrapylon.processes.fork import Context
from tetrapylon.processes.slots import Table
from tetrapylon.telemetry import events
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    import ssl

    from tetrapylon.config.model import ListenerTls
    from tetrapylon.discovery.follow import Follower


def main(context: Context) -> int:
    """Answers for all workers until QUIT, or until the supervisor is gone. Returns the exit status."""
    # A service manager may send TERM to each process; this one answers "draining" until the workers are gone.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_tell_exception)
    try:
        return loop.run_until_complete(_serve(loop, context))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _serve(loop: asyncio.AbstractEventLoop, context: Context) -> int:
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGQUIT, stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, events.reopen)
    loop.add_reader(context.lifeline, stopped.set)
    assert context.channel is not None
    link = Link(loop, context.channel, context.config)
    labels = Table(context.slots)
    api = Api(context.slabs, labels, link, silence=context.timing.silence)
    follower: Follower | None = None

    def follow() -> None:
        """By the config that is in force now."""
        nonlocal follower
        upstreams = Encoded(link.config).head.upstreams
        if follower is None and any(each.discover is not None for each in upstreams.values()):
            from tetrapylon.discovery.follow import Follower

            follower = Follower(loop, link.found)
        if follower is not None:
            follower.follow(upstreams)

    slab = context.slab

    def dropped(route: str, count: int) -> None:
        slab.count("tetrapylon_shadow_dropped_total", {"route": route}, count)

    def lost(count: int) -> None:
        slab.count("tetrapylon_record_lost_total", {}, count)

    comparing = Comparing(link.config, dropped)
    recording = Recording(link.config, lost)
    moving = Moving(link.config, context.slabs.moves, comparing.counts)
    certificates = Certificates()
    certificates.follow(Encoded(link.config).head)

    def renewed() -> None:
        follow()
        comparing.follow(link.config)
        recording.follow(link.config)
        moving.follow(link.config)
        certificates.follow(Encoded(link.config).head)

    link.renewed = renewed
    link.compared = comparing.take
    link.recorded = recording.take
    api.add(diff.endpoints(comparing))
    api.add(record.endpoints(recording))
    api.add(move.endpoints(moving))
    api.tell(certificates.families)
    follow()
    admin = Encoded(link.config).head.admin or Admin()
    front = Front(loop, admin.tls.listener()) if admin.tls is not None else None
    servers = [
        await serve_admin(
            loop,
            sock,
            api.answer,
            admin.token,
            tls=front.context if front is not None else None,
            certificate=admin.tls is not None and admin.tls.client_ca is not None,
        )
        for sock, _ in context.sockets
    ]
    tickers = [
        loop.create_task(every(live.EVERY, api.tick)),
        loop.create_task(every(LOOK_EVERY, moving.tick)),
    ]
    # It dies with its supervisor at once: it holds nothing that a client would miss.
    await stopped.wait()
    for ticker in tickers:
        ticker.cancel()
    for server in servers:
        server.close()
    await comparing.close()
    await recording.close()
    moving.close()
    if follower is not None:
        follower.close()
    if front is not None:
        front.close()
    link.close()
    loop.remove_reader(context.lifeline)
    os.close(context.lifeline)
    return 0


async def every(seconds: float, do: Callable[[], None]) -> None:
    """Also after it has raised, which is told: a move that nobody looks at any more is never rolled back."""
    while True:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next time may go well
            say("error", f"control process (pid {os.getpid()}): {do.__qualname__} raised", error=error)
        await asyncio.sleep(seconds)


def _tell_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    say(
        "error",
        f"control process (pid {os.getpid()}): {context['message']}",
        error=context.get("exception"),
    )


class Front:
    """What a handshake at the admin address is made with. Files that change are read again.

    Raises TlsProblem.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: ListenerTls) -> None:
        from tetrapylon.net.tls import Identity, Watcher

        self._identity = Identity(settings)
        self._watcher = Watcher(loop)
        self._watcher.add(self._identity.files, self._identity.reload)

    def context(self) -> ssl.SSLContext:
        return self._identity.front

    def close(self) -> None:
        self._watcher.close()
