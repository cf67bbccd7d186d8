"""The gateway inside a program of your own, on its event loop, without supervisor or forked workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tetrapylon.errors import TetrapylonError

if TYPE_CHECKING:
    from tetrapylon._core.downstream import Gateway
    from tetrapylon.config.model import Config

__all__ = ["embed", "embedded"]


def embed(config: Config, loop: asyncio.AbstractEventLoop) -> Gateway:
    """A gateway for `config` on `loop`, to be served as any asyncio protocol:

        gateway = tetrapylon.embed(config, loop)
        server = await loop.create_server(gateway.protocol_factory, "127.0.0.1", 8080)

    `gateway.listen(sock)` serves a listening, non-blocking socket directly, which is faster. Of the config's
    `server` section the listeners and the number of workers are left aside, and so is `admin`. End it with
    `gateway.drain()`, then `gateway.close()`; both belong to the loop's thread.

    Raises ConfigError for a config that cannot be served.
    """
    from tetrapylon._core.telemetry.counters import Slabs
    from tetrapylon.compile import build
    from tetrapylon.config import validate
    from tetrapylon.config.apps import refuse_apps
    from tetrapylon.telemetry import misfit

    checked = validate(config)
    refuse_apps(checked)
    misfit.tell()
    gateway, code = build(checked, loop, Slabs(1, len(checked.routes)).slab(0))
    if code is not None and code.begins:
        gateway.close()
        raise TetrapylonError(
            "this config has a lifespan, or plugins with on_start: they are begun by `async with"
            " tetrapylon.embedded(config) as gateway`"
        )
    return gateway


@asynccontextmanager
async def embedded(config: Config) -> AsyncIterator[Gateway]:
    """As `embed`, on the running loop, with what handlers and plugins begin and end with."""
    from tetrapylon._core.telemetry.counters import Slabs
    from tetrapylon.compile import build
    from tetrapylon.config import validate
    from tetrapylon.config.apps import refuse_apps
    from tetrapylon.telemetry import misfit

    checked = validate(config)
    refuse_apps(checked)
    misfit.tell()
    loop = asyncio.get_running_loop()
    gateway, code = build(checked, loop, Slabs(1, len(checked.routes)).slab(0))
    try:
        if code is not None:
            await code.start()
        try:
            yield gateway
        finally:
            gateway.drain()
            if code is not None:
                await code.stop()
    finally:
        gateway.close()
