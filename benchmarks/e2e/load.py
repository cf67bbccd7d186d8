"""The load generator, run for one scenario against one system."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .process import GATEWAY_CORE, LOAD_CORE, pinned

BUSY = 0.97
"""A throughput counts when the gateway's core was at least this busy: else something else was the limit."""
OWN = 0.9
"""... and the gateway itself used this much of it: else something else ran there."""


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    arguments: tuple[str, ...]


SMALL = Scenario("small", "GET 203 bytes", ("--path", "/small", "--expect-length", "203"))
LARGE = Scenario("large", "GET 64 KiB", ("--path", "/large", "--expect-length", "65536"))
POST = Scenario(
    "post", "POST 4 KiB", ("--path", "/ack", "--post", "4096", "--expect-body", '{"received":4096}')
)
CONNECT = Scenario("connect", "new connection per request", (*SMALL.arguments, "--close"))
CHUNKED = Scenario("chunked", "GET 203 bytes, chunked", ("--path", "/chunked", "--expect-length", "203"))
SCENARIOS = (SMALL, LARGE, POST, CONNECT)


@dataclass(frozen=True)
class Sample:
    """One run. Durations in microseconds unless said."""

    answered: int
    seconds: float
    rate: float
    failures: int
    cpu_per_request: float
    core_busy: float
    p50: float
    p90: float
    p99: float
    p999: float
    longest: float
    offered: float
    unsent: int
    reconnects: int
    load_share: float
    """Share of its own core that the load generator used."""

    @property
    def cpu_share(self) -> float:
        """Share of one core that the gateway itself used."""
        return self.cpu_per_request * self.answered / 1e6 / self.seconds

    @property
    def saturated(self) -> bool:
        """The gateway's core was the limit, and the gateway what kept it busy."""
        return self.core_busy >= BUSY and self.cpu_share >= OWN

    @property
    def kept_up(self) -> bool:
        """An open loop: the answers came at the rate of the requests."""
        return self.rate >= 0.98 * self.offered


def parse(line: str) -> Sample:
    """Reads the load generator's line of JSON."""
    told: dict[str, Any] = json.loads(line)
    latency = told["latency_us"]
    answered = told["answered"]
    return Sample(
        answered=answered,
        seconds=told["seconds"],
        rate=told["rate"],
        failures=told["failures"],
        cpu_per_request=told["cpu_ns"] / 1000 / max(1, answered),
        core_busy=told["core_busy"],
        p50=latency["p50"],
        p90=latency["p90"],
        p99=latency["p99"],
        p999=latency["p99.9"],
        longest=latency["max"],
        offered=told["offered"],
        unsent=told["unsent"],
        reconnects=told["reconnects"],
        load_share=told["own_cpu_ns"] / 1e9 / max(0.001, told["seconds"]),
    )


class Loading:
    """A load under way: `warm` seconds that do not count, then `seconds` that do, or just so many `requests`.

    The CPU time in its result is that of `pids`.
    """

    def __init__(
        self,
        program: Path,
        port: int,
        scenario: Scenario,
        *,
        seconds: float,
        warm: float = 0.3,
        connections: int = 64,
        rate: float = 0,
        requests: int = 0,
        pids: Sequence[int] = (),
    ) -> None:
        self._limit = warm + seconds + 30
        command = [str(program), "--port", str(port), *scenario.arguments]
        command += ["--seconds", f"{seconds}", "--warm", f"{warm}"]
        command += ["--connections", f"{connections}", "--core", f"{GATEWAY_CORE}"]
        if requests:
            command += ["--requests", f"{requests}"]
        if rate:
            command += ["--rate", f"{rate}"]
        if pids:
            command += ["--pids", ",".join(map(str, pids))]
        with pinned(LOAD_CORE):
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )

    def result(self) -> Sample:
        """Waits for the end. Raises RuntimeError when the generator itself fails."""
        said, complained = self._process.communicate(timeout=self._limit)
        if not said:
            code = self._process.returncode
            raise RuntimeError(f"the load generator said nothing and exited with {code}: {complained}")
        return parse(said)


class Held:
    """Keep-alive connections that rest after one request each, until closed."""

    def __init__(self, program: Path, port: int, connections: int) -> None:
        command = [
            str(program),
            "--port",
            str(port),
            *SMALL.arguments,
            "--hold",
            "--connections",
            str(connections),
        ]
        with pinned(LOAD_CORE):
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.failures: int = told["failures"]

    def close(self) -> None:
        self._process.communicate()
