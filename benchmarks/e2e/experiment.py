"""The experiment itself: every system gets its turn in every round, in an order that rotates."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..peers import DIRECT, Peer, nginx
from . import deploy, streams
from .load import SCENARIOS, SMALL, Held, Loading, Sample, Scenario
from .process import LOAD_CORE, Gateway, Upstream, memory, pinned
from .results import Deployment, Footprint, Results, Run, Start, System
from .workshop import Unavailable, Workshop, call


@dataclass(frozen=True)
class Plan:
    """How often and how long (seconds)."""

    rounds: int = 5
    seconds: float = 2.0
    open_seconds: float = 2.0
    low_rate: int = 200
    pairs: int = 10
    footprints: int = 3
    idle: int = 2000
    deployments: int = 3
    stream_bytes: int = streams.GIBIBYTE
    starts: int = 3
    """Starts of `tetrapylon --help`, and further ones of each gateway a round."""


QUICK = Plan(
    rounds=1,
    seconds=0.6,
    open_seconds=1.0,
    pairs=2,
    footprints=1,
    idle=1000,
    deployments=0,
    starts=1,
)


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Experiment:
    """Runs a plan over systems. What goes wrong with one system is noted in `problems`; the rest goes on."""

    def __init__(self, workshop: Workshop, peers: tuple[Peer, ...], plan: Plan, upstream: Upstream) -> None:
        self.workshop = workshop
        self.plan = plan
        self.peers = peers
        self.upstream = upstream
        self.problems: list[str] = []
        self.half = 0
        self.results = Results(meta={})

    @property
    def compared(self) -> tuple[Peer, ...]:
        return tuple(peer for peer in self.peers if peer.compared)

    @property
    def gateways(self) -> tuple[Peer, ...]:
        return tuple(peer for peer in self.peers if peer is not DIRECT)

    def run(self) -> Results:
        self._calibrate()
        self.results.meta = self._meta()
        for peer in self.peers:
            version = "" if peer is DIRECT else self.workshop.version(peer)
            self.results.systems.append(System(peer.name, peer.title, version, peer.compared))
        for number in range(self.plan.rounds):
            log(f"round {number + 1} of {self.plan.rounds}")
            for peer in _rotated(self.compared, number):
                self._guard(self._turn, peer, number)
        self._pairs()
        self._footprints()
        for peer in self.gateways:
            if peer.name == "tetrapylon":
                self._guard(self._ours, peer, 0)
        for number in range(self.plan.deployments):
            for peer in self.gateways:
                if peer.deploy:
                    self._guard(self._deploy, peer, number)
        return self.results

    def memory_anew(self, results: Results) -> Results:
        """Memory is measured again, in rounds of its own as ever; the rest stays as it was."""
        self.results.meta = self._meta()
        self._footprints()
        results.footprints = self.results.footprints
        results.meta["memory_date"] = self.results.meta["date"]
        return results

    def _guard(self, step: Callable[[Peer, int], None], peer: Peer, number: int) -> None:
        try:
            step(peer, number)
        except (RuntimeError, OSError, Unavailable, subprocess.SubprocessError) as error:
            self.problems.append(f"{peer.name}: {error}")
            log(f"  {peer.name}: {error}")

    def _start(self, peer: Peer, program: Path | None = None) -> Gateway:
        directory = self.workshop.build / "run" / peer.name
        found = program or self.workshop.program(peer)
        return Gateway(peer, found, self.upstream.port, directory, path=self.workshop.path)

    def _load(
        self, port: int, pids: list[int], scenario: Scenario, seconds: float, rate: float = 0
    ) -> Sample:
        return Loading(self.workshop.load, port, scenario, seconds=seconds, rate=rate, pids=pids).result()

    def _calibrate(self) -> None:
        """Half of what nginx answers at most is the rate at which latencies are compared."""
        with self._start(nginx.PEER) as gateway:
            rates = [
                self._load(gateway.port, gateway.pids(), SMALL, self.plan.seconds).rate for _ in range(3)
            ]
        self.half = int(sorted(rates)[1] / 2) // 100 * 100
        log(f"nginx answers {sorted(rates)[1]:,.0f} a second; latency is compared at {self.half:,}")

    def _open_loops(self) -> list[tuple[str, int]]:
        return [("half", self.half), ("low", self.plan.low_rate)]

    def _record(
        self, into: list[Run], number: int, peer: Peer, gateway: Gateway | None, what: Scenario | str
    ) -> None:
        port = gateway.port if gateway else self.upstream.port
        before = gateway.pids() if gateway else []
        if isinstance(what, Scenario):
            sample = self._load(port, before, what, self.plan.seconds)
        else:
            rate = dict(self._open_loops())[what]
            sample = self._load(port, before, SMALL, self.plan.open_seconds, rate)
        steady = before == (gateway.pids() if gateway else [])
        name = what.name if isinstance(what, Scenario) else what
        into.append(Run(number, peer.name, name, steady, sample))
        log(
            f"  {peer.name:15} {name:8} {sample.rate:9,.0f}/s {sample.cpu_per_request:8.1f} us CPU"
            f"  core {sample.core_busy:4.0%}  p99 {sample.p99 / 1000:9.3f} ms"
            + (f"  {sample.failures} FAILED" if sample.failures else "")
        )

    def _turn(self, peer: Peer, number: int) -> None:
        wanted: list[Scenario | str] = [*SCENARIOS, *(name for name, _ in self._open_loops())]
        if peer is DIRECT:
            for what in wanted:
                self._record(self.results.runs, number, peer, None, what)
            return
        for _ in range(self.plan.starts - 1):
            with self._start(peer) as gateway:
                self.results.starts.append(Start(number, peer.name, gateway.start_seconds))
        with self._start(peer) as gateway:
            self.results.starts.append(Start(number, peer.name, gateway.start_seconds))
            before = len(self.results.runs)
            for what in wanted:
                self._record(self.results.runs, number, peer, gateway, what)
        answered = sum(run.sample.answered for run in self.results.runs[before:])
        logged = gateway.logged()
        if logged is not None and logged < answered:
            del self.results.runs[before:]
            raise RuntimeError(f"its access log holds {logged:,} lines for {answered:,} requests")

    def _pairs(self) -> None:
        both = [peer for peer in self.gateways if peer.name in ("nginx", "tetrapylon")]
        if len(both) < 2:
            return
        log(f"{self.plan.pairs} paired rounds at {self.half:,} a second")
        for number in range(self.plan.pairs):
            for peer in both if number % 2 else both[::-1]:
                self._guard(self._pair, peer, number)

    def _pair(self, peer: Peer, number: int) -> None:
        with self._start(peer) as gateway:
            self._record(self.results.pairs, number, peer, gateway, "half")

    def _footprints(self) -> None:
        for number in range(self.plan.footprints):
            for peer in _rotated(self.gateways, number):
                self._guard(self._footprint, peer, number)

    def _footprint(self, peer: Peer, number: int) -> None:
        with self._start(peer) as gateway:
            loading = Loading(self.workshop.load, gateway.port, SMALL, seconds=1.5, warm=0.5)
            time.sleep(1.0)
            seen = []
            for _ in range(3):
                pids = gateway.pids()
                seen.append(memory(pids))
                time.sleep(0.2)
            failures = loading.result().failures
        added, failed = self._idle(peer)
        most = max(seen, key=lambda one: one.pss)
        row = Footprint(
            number, peer.name, len(pids), most.pss, most.rss, added / self.plan.idle, failures + failed
        )
        self.results.footprints.append(row)
        log(f"  {peer.name:15} {row.pss / 1e6:7.1f} MB, {row.per_connection:7.0f} bytes an idle connection")

    def _idle(self, peer: Peer) -> tuple[int, int]:
        """Bytes that idle connections add to a fresh start (a load leaves slack behind), and failures."""
        with self._start(peer) as gateway:
            warm = Held(self.workshop.load, gateway.port, 64)
            time.sleep(1.0)  # for what a start leaves to be given back
            before = memory(gateway.pids())
            held = Held(self.workshop.load, gateway.port, self.plan.idle)
            try:
                after = memory(gateway.pids())
            finally:
                held.close()
                warm.close()
        return after.pss - before.pss, warm.failures + held.failures

    def _ours(self, peer: Peer, number: int) -> None:
        program = self.workshop.program(peer)
        for _ in range(self.plan.starts * 2 + 1):
            with pinned(LOAD_CORE):
                began = time.perf_counter()
                call(program, "--help")
                self.results.help_seconds.append(time.perf_counter() - began)
        with self._start(peer) as gateway:
            self.results.streams += streams.measure(gateway, self.plan.stream_bytes)

    def _deploy(self, peer: Peer, number: int) -> None:
        if number == 0:
            deploy.fetch(self.workshop, peer)
        program, seconds = deploy.timed_install(self.workshop, peer)
        with self._start(peer, program) as gateway:
            row = Deployment(number, peer.name, seconds, gateway.start_seconds)
        self.results.deployments.append(row)
        log(f"  {peer.name:15} installed in {row.install:.2f} s, started in {row.start:.2f} s")

    def _meta(self) -> dict[str, str | float]:
        model = next(
            (
                line.partition(":")[2].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if "model name" in line
            ),
            platform.machine(),
        )
        return {
            "date": time.strftime("%Y-%m-%d"),
            "cpu": model,
            "cores": os.cpu_count() or 0,
            "kernel": platform.release(),
            "python": platform.python_version(),
            "rounds": self.plan.rounds,
            "seconds": self.plan.seconds,
            "open_seconds": self.plan.open_seconds,
            "pairs": self.plan.pairs,
            "half_rate": self.half,
            "low_rate": self.plan.low_rate,
            "idle_connections": self.plan.idle,
        }


def _rotated(peers: tuple[Peer, ...], number: int) -> tuple[Peer, ...]:
    at = number * 3 % len(peers)
    return peers[at:] + peers[:at]
