"""One config's run: a gateway, its upstreams, conversations, and what is left when they are over."""

import asyncio
import random
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.mixed import settings
from tests.fuzz.mixed.client import PATIENCE, Conversation
from tests.fuzz.mixed.upstream import Fleet
from tests.harness import Gateway, leaks
from tests.harness.gateway import ROOT
from tests.harness.secure import Authority

ENOUGH = 10
ROUTES = 12
RELOAD = 0.7  # s between two of a config
IDLE = (
    "tetrapylon_connections", "http_server_active_requests", "tetrapylon_tunnels",
    "tetrapylon_route_active_requests", "tetrapylon_upstream_queue", "tetrapylon_upstream_connections",
    "tetrapylon_worker_restarts_total",
)  # fmt: skip
TROUBLE = re.compile(
    r"Exception ignored|^Traceback|Fatal Python|Sanitizer|runtime error|ended by|died|killed|Segmentation"
)
SAMPLE = re.compile(r"([a-z_]+)(\{[^}]*\})? ([0-9.e+-]+)")


class Run:
    """`findings` are (kind, detail); `seen` counts what took place."""

    def __init__(self, seed: int, numbers: Iterable[int], at_once: int) -> None:
        self.seed = seed
        self.numbers = list(numbers)
        self.at_once = at_once
        self.findings: list[tuple[str, str]] = []
        self.seen: Counter[str] = Counter()
        self.routes = settings.routes(random.Random(seed), ROUTES)

    def find(self, kind: str, detail: str) -> None:
        self.findings.append((kind, f"[seed {self.seed}] {detail}"))

    async def all(self) -> None:
        loop = asyncio.get_running_loop()
        fleet = Fleet(self.find, self.seed)
        with tempfile.TemporaryDirectory(prefix="mixed-") as folder:
            up = [await fleet.add() for _ in range(2)]
            authority = Authority(Path(folder))
            pair = authority.issue("gateway.test")
            self.trust = authority.trusted()
            config = settings.config(self.routes, up, await fleet.add(), folder, pair.config())
            gateway = await asyncio.to_thread(
                Gateway, config, env={"PYTHONPATH": str(ROOT)}, cwd=Path(folder), tracebacks=True
            )
            try:
                await self.with_gateway(loop, gateway, fleet)
            finally:
                await fleet.close()
                status = await asyncio.to_thread(gateway.stop)
                if status:
                    self.find("crash", f"the gateway ended with {status}")
                for line in gateway.lines:
                    if TROUBLE.search(line):
                        at = gateway.lines.index(line)
                        self.find("trouble", "\n".join(gateway.lines[max(0, at - 3) : at + 30]))
                        break
                gateway._directory.cleanup()
        self.seen += fleet.seen

    async def with_gateway(self, loop: asyncio.AbstractEventLoop, gateway: Gateway, fleet: Fleet) -> None:
        workers = gateway.workers
        before = {pid: sockets(pid) for pid in workers}
        waiting = asyncio.Semaphore(self.at_once)

        async def one(number: int) -> None:
            async with waiting:
                if len(self.findings) >= ENOUGH:
                    return
                await self.converse(loop, gateway.addresses, number)

        reloading = loop.create_task(self.reload(gateway))
        await asyncio.gather(*(one(number) for number in self.numbers))
        reloading.cancel()
        fleet.hang_up()
        await self.settled(gateway)
        for _ in range(600):
            if gateway.workers == workers:  # a reload has a process of its own while it lasts
                break
            await asyncio.sleep(0.05)
        else:
            self.find("crash", f"workers {workers} became {gateway.workers}")
            return
        for pid in workers:
            left = sockets(pid) - before[pid]
            if left:
                self.find("leak", f"process {pid} still holds {left}")

    async def reload(self, gateway: Gateway) -> None:
        """The same config anew, now and then, under every other config of a series."""
        while self.seed % 2:
            await asyncio.sleep(RELOAD)
            gateway.signal(signal.SIGHUP)
            self.seen["reloads"] += 1

    async def converse(self, loop: asyncio.AbstractEventLoop, addresses: list[str], number: int) -> None:
        talk = Conversation(self.seed, number, self.routes)
        self.seen["conversations"] += 1
        self.seen["requests"] += len(talk.asked)
        try:
            await asyncio.wait_for(talk.run(loop, addresses, self.trust), PATIENCE)
        except TimeoutError:
            policies = [use["use"] for use in talk.asked[0].route.policies]
            self.find(
                "hang",
                f"conversation {number}, {talk.manner}: {talk.stream[:1500]!r} heard"
                f" {bytes(talk.heard[-600:])!r} {policies}",
            )
            return
        wrong = talk.wrong()
        if wrong is not None:
            routes = {one.route.path: one.route.config for one in talk.asked}
            self.find(wrong[0], f"conversation {number}, {talk.manner}: {wrong[1]}\n  {routes}")

    async def settled(self, gateway: Gateway) -> None:
        """Nothing is under way any more."""
        busy: dict[str, float] = {}
        for _ in range(200):
            text = (await asyncio.to_thread(gateway.operate)).body.decode()
            busy = {
                f"{match[1]}{match[2] or ''}": float(match[3])
                for match in SAMPLE.finditer(text)
                if match[1] in IDLE and float(match[3])
            }
            if not busy:
                return
            await asyncio.sleep(0.05)
        self.find("leak", f"after all is over: {busy}")


def sockets(pid: int) -> set[str]:
    """What of the process's descriptors can belong to a connection."""
    return {link for link in leaks.descriptors(pid).values() if link.startswith("socket:")}
