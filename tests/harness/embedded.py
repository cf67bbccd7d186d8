"""A program that embeds the gateway: TransportStreams on asyncio's servers, one process, no supervisor.

`python -m tests.harness.embedded run CONFIG` takes the place of `tetrapylon run CONFIG` in the harness with
TETRAPYLON_TEST_STREAM=transport, so that the same tests hold both kinds of stream to the same promises.
"""

import asyncio
import signal
import sys

import uvloop

import tetrapylon
from tetrapylon.config import load
from tetrapylon.config.net import UnixPath, listen_address


async def serve(config: tetrapylon.Config) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    gateway = tetrapylon.embed(config, loop)
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
    print(f"tetrapylon embedded, listening on {', '.join(names)}", file=sys.stderr, flush=True)
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
