"""The control process's loop, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import uvloop

from tetrapylon.admin.api import Api
from tetrapylon.admin.server import serve_admin
from tetrapylon.process import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tetrapylon.config.model import Config


def main(config: bytes, context: Context) -> int:
    """The control process of `tetrapylon run`; `config` as `config.encode` wrote it."""
    from tetrapylon.config import decode

    return serve(context, route_labels(decode(config)))


def route_labels(config: Config) -> list[dict[str, str]]:
    """The labels of each route's series: its template or name, and what else tells it from its neighbours."""
    found = []
    for route in config.routes:
        labels = {"http_route": route.name or route.path}
        if route.methods:
            labels["http_request_method"] = ",".join(route.methods)
        if route.host is not None:
            labels["server_address"] = route.host
        found.append(labels)
    return found


def serve(context: Context, labels: Sequence[dict[str, str]]) -> int:
    """Answers for all workers until QUIT, or until the supervisor is gone. Returns the exit status."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    api = Api(context.slabs, labels, silence=context.timing.silence)
    try:
        return loop.run_until_complete(_serve(loop, context, api))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _serve(loop: asyncio.AbstractEventLoop, context: Context, api: Api) -> int:
    stopped = asyncio.Event()
    # A service manager may send TERM to each process; this one answers "draining" until the workers are gone.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    loop.add_signal_handler(signal.SIGQUIT, stopped.set)
    loop.add_reader(context.lifeline, stopped.set)
    servers = [await serve_admin(loop, sock, api.answer) for sock in context.sockets]
    # It dies with its supervisor at once: it holds nothing that a client would miss.
    await stopped.wait()
    for server in servers:
        server.close()
    loop.remove_reader(context.lifeline)
    os.close(context.lifeline)
    return 0
