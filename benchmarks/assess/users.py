"""Users with a stopwatch: `python -m benchmarks.assess.users PLAN`, a JSON object.

They ask for each number through the gateway and straight at the service itself, and print the number with
both times in microseconds. What the gateway answers by itself is asked for and not printed.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

BURST = 0.25
"""The part of each second that bursts come in."""


class Plan(NamedTuple):
    first: int
    last: int
    gateway: int
    service: int
    arrivals: str
    """Of these users alone, as `System.arrivals`."""
    keep_alive: bool
    posted: int
    alone: float


class Way:
    """Connections to one port; an idle one is used again."""

    def __init__(self, port: int, plan: Plan) -> None:
        self.port = port
        self.keep_alive = plan.keep_alive
        method = "POST" if plan.posted else "GET"
        close = "" if plan.keep_alive else "Connection: close\r\n"
        length = f"Content-Length: {plan.posted}\r\n" if plan.posted else ""
        self.request = f"{method} %s HTTP/1.1\r\nHost: shop\r\n{close}{length}\r\n"
        self.body = b"x" * plan.posted
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, path: str) -> int:
        """Microseconds that it took."""
        began = time.perf_counter_ns()
        async with self.connection() as (reader, writer):
            writer.write((self.request % path).encode() + self.body)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"{path}: {head.decode()}")
            length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            took = (time.perf_counter_ns() - began) // 1000
            if self.keep_alive and b"\r\nconnection: close" not in head:
                self.idle.append((reader, writer))
            else:
                writer.close()
        return took

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        if self.idle:
            yield self.idle.pop()
        else:
            yield await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)


async def both(ways: tuple[Way, Way], number: int, apart: float, alone: float) -> None:
    """In turn, so that neither is always the second."""
    through, straight = ways
    if random.Random(f"alone, {number}").random() < alone:
        await through.ask(f"/alone/{number}")
        return
    if number % 2:
        one = await through.ask(f"/through/{number}")
        await asyncio.sleep(apart)
        other = await straight.ask(f"/straight/{number}")
    else:
        other = await straight.ask(f"/straight/{number}")
        await asyncio.sleep(apart)
        one = await through.ask(f"/through/{number}")
    print(number, one, other)


async def main(plan: Plan) -> None:
    ways = Way(plan.gateway, plan), Way(plan.service, plan)
    kind, amount = plan.arrivals.split()
    if kind == "users":
        numbers = iter(range(plan.first, plan.last))

        async def user() -> None:
            for number in numbers:
                await both(ways, number, 0.0, plan.alone)

        await asyncio.gather(*(user() for _ in range(int(float(amount)))))
        return
    chance, rate = random.Random(plan.first), float(amount)
    due, begin = 0.0, time.monotonic()
    tasks: list[asyncio.Task[None]] = []
    for number in range(plan.first, plan.last):
        due += chance.expovariate(rate)
        # Of bursts, each second's arrivals are pressed into its beginning.
        at = due if kind == "poisson" else due // 1 + due % 1 * BURST
        await asyncio.sleep(begin + at - time.monotonic())
        task: Coroutine[Any, Any, None] = both(ways, number, chance.expovariate(rate), plan.alone)
        tasks.append(asyncio.create_task(task))
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(Plan(**json.loads(sys.argv[1]))))
