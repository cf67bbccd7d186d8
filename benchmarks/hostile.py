"""`python -m benchmarks.hostile`: what honest clients keep of their throughput under attack.

Honest clients fetch and upload small things. Rounds with and without attackers alternate. An attacker
opens a connection and sends a byte now and then: half of them of a head, half of a body; one that is cut
off comes back at once.
"""

import argparse
import multiprocessing
import os
import selectors
import socket
import statistics
import sys
import time
from collections import deque
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path

from .e2e.load import POST, SMALL, Loading
from .e2e.process import LOAD_CORE, Gateway, Upstream
from .e2e.workshop import Workshop
from .peers import tetrapylon

BAR = 0.9
PAUSE = 0.02  # seconds between two looks at whose turn it is
HEAD = b"GET /small HTTP/1.1\r\nHost: a\r\nX-Slow: "
BODY = b"POST /ack HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"


class Attacker:
    """One slow connection; `next` is when it has to say its next byte."""

    def __init__(self, port: int, opening: bytes, interval: float, delay: float) -> None:
        self._port = port
        self._opening = opening
        self._interval = interval
        self.next = time.monotonic() + delay
        self.sock: socket.socket | None = None

    def act(self, selector: selectors.BaseSelector) -> None:
        self.next += self._interval
        try:
            if self.sock is None:
                self.sock = socket.create_connection(("127.0.0.1", self._port), 5)
                self.sock.setblocking(False)
                selector.register(self.sock, selectors.EVENT_READ, self)
                self.sock.send(self._opening)
            else:
                self.sock.send(b"a")
        except OSError:
            self.leave(selector)

    def leave(self, selector: selectors.BaseSelector) -> None:
        """It was answered or cut off: it comes back in its next turn."""
        if self.sock is not None:
            with suppress(KeyError):
                selector.unregister(self.sock)
            self.sock.close()
            self.sock = None


def attack(port: int, count: int, interval: float, ready: Event, stop: Event) -> None:
    os.sched_setaffinity(0, {LOAD_CORE})
    selector = selectors.DefaultSelector()
    # In the order of their turns, which come at the same interval for all: the crowd has to cost little
    # itself, for it shares a core with the honest clients.
    turns = deque(
        Attacker(port, BODY if index % 2 else HEAD, interval, interval * index / count)
        for index in range(count)
    )
    outside = count
    while not stop.is_set():
        while turns[0].next <= time.monotonic():
            attacker = turns.popleft()
            outside -= attacker.sock is None
            attacker.act(selector)
            outside += attacker.sock is None
            turns.append(attacker)
        if not outside:
            ready.set()
        for key, _ in selector.select(PAUSE):
            key.data.leave(selector)
            outside += 1


def throughput(workshop: Workshop, gateway: Gateway, seconds: float) -> tuple[float, int]:
    """Answers per second to honest clients, half of whom upload, and how many of them failed."""
    loadings = [
        Loading(workshop.load, gateway.port, scenario, seconds=seconds, connections=100, pids=gateway.pids())
        for scenario in (SMALL, POST)
    ]
    samples = [loading.result() for loading in loadings]
    return sum(sample.rate for sample in samples), sum(sample.failures for sample in samples)


def measure(rounds: int, seconds: float, attackers: int, interval: float) -> tuple[list[float], int]:
    """The share of its throughput that each round kept, and how many honest requests failed."""
    workshop = Workshop()
    program = Path(sys.executable).with_name("tetrapylon")
    shares: list[float] = []
    failed = 0
    with (
        Upstream(workshop.upstream) as upstream,
        Gateway(
            tetrapylon.PLAIN, program, upstream.port, workshop.build / "run" / "hostile", path=workshop.path
        ) as gateway,
    ):
        throughput(workshop, gateway, 0.5)
        for number in range(rounds):
            calm, failures = throughput(workshop, gateway, seconds)
            failed += failures
            ready, stop = multiprocessing.Event(), multiprocessing.Event()
            crowd = multiprocessing.Process(
                target=attack, args=(gateway.port, attackers, interval, ready, stop)
            )
            crowd.start()
            try:
                if not ready.wait(30):
                    raise RuntimeError(f"{attackers} attackers did not get in at once")
                stormy, failures = throughput(workshop, gateway, seconds)
            finally:
                stop.set()
                crowd.join()
            failed += failures
            shares.append(stormy / calm)
            print(f"round {number + 1}: {calm:,.0f}/s alone, {stormy:,.0f}/s under attack: {shares[-1]:.3f}")
    return shares, failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--attackers", type=int, default=2000)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two bytes of one")
    options = parser.parse_args()
    shares, failed = measure(options.rounds, options.seconds, options.attackers, options.interval)
    middle = statistics.median(shares)
    met = middle >= BAR and failed == 0
    print(
        f"200 honest clients keep {middle:.1%} ({min(shares):.1%} to {max(shares):.1%}) under"
        f" {options.attackers:,} attackers, {failed} of their requests failed: bar {BAR:.0%}"
        f" {'met' if met else 'NOT MET'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
