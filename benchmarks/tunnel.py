"""`python -m benchmarks.tunnel`: CPU time a message that a tunnel carries there and back, against nginx.

WebSocket frames of 1 KiB are echoed over many upgraded connections at once; to a gateway they are bytes.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import uvloop

from .e2e.process import LOAD_CORE, Gateway
from .e2e.workshop import Workshop
from .peers import nginx, tetrapylon

BAR = 1.1
OFFER = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# A binary frame (RFC 6455 section 5.2): final, unmasked, 16-bit length.
FRAME = b"\x82\x7e\x04\x00" + bytes(1024)
NGINX = replace(
    nginx.PEER,
    name="nginx-tunnel",
    configs=("tunnel.conf",),
    command=("{program}", "-p", "{dir}", "-e", "stderr", "-c", "{dir}/tunnel.conf"),
)


class Echo(asyncio.Protocol):
    """The upstream: switches when it is asked to, then says again what it hears."""

    def __init__(self) -> None:
        self._switched = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._switched:
            self._transport.write(data)
            return
        self._switched = b"\r\nupgrade:" in data.lower() and b"websocket" in data
        self._transport.write(SWITCH if self._switched else PLAIN)


def echo(told: Connection) -> None:
    os.sched_setaffinity(0, {LOAD_CORE})

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(serve())


@contextmanager
def upstream() -> Iterator[int]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=echo, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def converse(port: int, connections: int, seconds: float, told: Connection) -> None:
    """Ping-pong on every connection; says how many messages came back."""
    os.sched_setaffinity(0, {LOAD_CORE})

    async def one(until: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OFFER)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"not switched: {head!r}")
        count = 0
        while asyncio.get_running_loop().time() < until:
            writer.write(FRAME)
            if await reader.readexactly(len(FRAME)) != FRAME:
                raise RuntimeError("another message came back")
            count += 1
        writer.close()
        return count

    async def all_of_them() -> int:
        until = asyncio.get_running_loop().time() + seconds
        return sum(await asyncio.gather(*(one(until) for _ in range(connections))))

    told.send(uvloop.run(all_of_them()))


def cpu_seconds(pids: list[int]) -> float:
    """User and system time so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cost(gateway: Gateway, connections: int, seconds: float) -> float:
    """Microseconds of CPU a message, there and back."""
    here, there = multiprocessing.Pipe()
    before = cpu_seconds(gateway.pids())
    client = multiprocessing.Process(target=converse, args=(gateway.port, connections, seconds, there))
    client.start()
    client.join()
    if client.exitcode:
        raise RuntimeError(f"{gateway.peer.name}: the client failed")
    messages: int = here.recv()
    return (cpu_seconds(gateway.pids()) - before) / messages * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tunnel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    workshop = Workshop()
    workshop.prepare((nginx.PEER,))
    run = workshop.build / "run"
    ours = Path(sys.executable).with_name("tetrapylon")
    ratios: list[float] = []
    with (
        upstream() as port,
        Gateway(tetrapylon.PLAIN, ours, port, run / "tunnel", path=workshop.path) as own,
        Gateway(NGINX, workshop.program(nginx.PEER), port, run / "tunnel-nginx", path=workshop.path) as peer,
    ):
        for number in range(options.rounds):
            mine, theirs = (cost(each, options.connections, options.seconds) for each in (own, peer))
            ratios.append(mine / theirs)
            print(f"round {number + 1}: {mine:.1f} us, nginx {theirs:.1f} us: {ratios[-1]:.3f}")
    middle = statistics.median(ratios)
    met = middle <= BAR
    print(
        f"CPU a message {middle:.3f} x nginx's ({min(ratios):.3f} to {max(ratios):.3f}):"
        f" bar {BAR} {'met' if met else 'NOT MET'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
