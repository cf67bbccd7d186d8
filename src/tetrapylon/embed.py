"""The gateway inside a program of your own, on its event loop, without supervisor or forked workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tetrapylon._core.downstream import Gateway
    from tetrapylon.config.model import Config

__all__ = ["embed"]


def embed(config: Config, loop: asyncio.AbstractEventLoop) -> Gateway:
    """A gateway for `config` on `loop`, to be served as any asyncio protocol:

        gateway = tetrapylon.embed(config, loop)
        server = await loop.create_server(gateway.protocol_factory, "127.0.0.1", 8080)

    `gateway.listen(sock)` serves a listening, non-blocking socket directly, which is faster. Of the config's
    `server` section the listeners and the number of workers are left aside, and so is `admin`. End it with
    `gateway.drain()`, then `gateway.close()`; both belong to the loop's thread.

    Raises ConfigError for a config that cannot be served.
    """
    from tetrapylon import misfit
    from tetrapylon._core.counters import Slabs
    from tetrapylon.compile import build
    from tetrapylon.config import validate

    checked = validate(config)
    misfit.tell()
    return build(checked, loop, Slabs(1, len(checked.routes)).slab(0))
