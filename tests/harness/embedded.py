"""A program that embeds the gateway: TransportStreams on asyncio's servers, one process, no supervisor.

`python -m tests.harness.embedded run CONFIG` takes the place of `tetrapylon run CONFIG` in the harness with
TETRAPYLON_TEST_STREAM=transport, so that the same tests hold both kinds of stream to the same promises.
"""

import asyncio
import signal
import socket
import sys

import uvloop

import tetrapylon
from tetrapylon._core.downstream import Gateway
from tetrapylon._core.telemetry.counters import Slabs
from tetrapylon.admin.api import Api
from tetrapylon.admin.server import serve_admin
from tetrapylon.compile import build
from tetrapylon.config import load
from tetrapylon.config.net import UnixPath, listen_address
from tetrapylon.processes.slots import labels_of


async def with_admin(config: tetrapylon.Config, loop: asyncio.AbstractEventLoop) -> tuple[Gateway, str]:
    """As `tetrapylon.embed`, whose counters nobody else sees; and where the admin endpoints listen."""
    slabs = Slabs(1, len(config.routes))
    sock = socket.create_server(("127.0.0.1", 0))
    labels = [labels_of(route) for route in config.routes]
    await serve_admin(loop, sock, Api(slabs, lambda: labels, silence=5).answer)
    gateway, code = build(config, loop, slabs.slab(0))
    if code is not None:
        await code.start()
    return gateway, f"http://127.0.0.1:{sock.getsockname()[1]}"


async def serve(config: tetrapylon.Config) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    admin = ""
    if config.admin is None:
        gateway = tetrapylon.embed(config, loop)
    else:
        gateway, url = await with_admin(config, loop)
        admin = f", admin on {url}"
    servers, names = [], []
    for listener in config.server.listen:
        where = listen_address(listener.address)
        if isinstance(where, UnixPath):
            servers.append(await loop.create_unix_server(gateway.protocol_factory, where.path))
            names.append(f"unix:{where.path}")
        else:
            server = await loop.create_server(gateway.protocol_factory, where.host, where.port)
            servers.append(server)
            host, port = server.sockets[0].getsockname()[:2]
            names.append(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    print(f"tetrapylon embedded, listening on {', '.join(names)}{admin}", file=sys.stderr, flush=True)
    await stop.wait()
    for server in servers:
        server.close()
    gateway.drain()
    end = loop.time() + config.server.timeouts.drain
    while gateway.active and loop.time() < end:  # noqa: ASYNC110 (nothing tells of the last one)
        await asyncio.sleep(0.01)
    gateway.close()


if __name__ == "__main__":
    run = {"uvloop": uvloop.run, "asyncio": asyncio.run}[sys.argv[1]]
    run(serve(load(sys.argv[3])))
