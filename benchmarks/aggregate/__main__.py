"""`python -m benchmarks.aggregate`: CPU a request of three 2 KiB JSON answers made one.

Beside the same in Go, on the standard library, and on Flask with threads. Two fields are picked of the first
answer, the others are embedded. The three are served by a gateway of our own on the core of the load; each
system under test has the other core, in turns, several rounds. What counts is the median of the ratios within
a round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from ..e2e.process import LOAD_CORE, free_port, pinned
from ..e2e.workshop import Unavailable, call
from ..handlers.__main__ import BUILD, ROOT, VENV, Running, System, prepare
from ..ledger import Bar, record

OWN = ROOT / "benchmarks" / "aggregate"
PARTS = ("user", "orders", "ads")
BARS = {"go": 1 / 2, "flask": 1 / 20}
OURS = str(Path(sys.executable).with_name("tetrapylon"))


def part(name: str) -> str:
    """2 KiB of JSON."""
    items = [{"sku": f"{name}-{n:04}", "count": n, "price": n * 1.5} for n in range(38)]
    return msgspec.json.encode({"id": 7, "name": name, "items": items}).decode()


def backend_config(port: int) -> bytes:
    routes = [
        {"path": f"/{name}", "respond": {"body": part(name), "content_type": "application/json"}}
        for name in PARTS
    ]
    server = {"listen": [f"127.0.0.1:{port}"]}
    return msgspec.json.encode({"server": server, "log": {"access": {"sample": 0}}, "routes": routes})


def own_config(port: int, backend: str) -> bytes:
    parts = {name: {"upstream": "backend", "path": f"/{name}"} for name in PARTS}
    made: dict[str, object] = {
        "server": {"listen": [f"127.0.0.1:{port}"]},
        "log": {"access": {"sample": 0}},
        "upstreams": {"backend": {"targets": [backend]}},
        "routes": [
            {"path": "/page", "aggregate": {**parts, "user": {**parts["user"], "pick": ["id", "name"]}}}
        ],
    }
    return msgspec.json.encode(made)


class Page(Running):
    """A system under test, which answers `/page`."""

    probe = b"/page"
    said = b'"ads-0001"'

    def cost_of(self, seconds: float) -> float:
        return self.measured(["wrk", "-t1", "-c64", f"-d{seconds:g}s", f"http://127.0.0.1:{self.port}/page"])


def systems(backend: str) -> list[System]:
    config = BUILD / "aggregate.json"
    gunicorn = (f"{VENV}/bin/gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", "4")
    config.write_bytes(own_config(0, backend))
    return [
        System("tetrapylon", (OURS, "run", str(config), "--listen", "127.0.0.1:{port}"), {}),
        System("go", (str(BUILD / "go-aggregate"), "{port}", backend), {}),
        System("flask", (*gunicorn, "-b", "127.0.0.1:{port}", "benchmarks.aggregate.flasks:app"), {}),
    ]


def build_go() -> None:
    go = next(VENV.glob("lib/python*/site-packages/go/bin/go"))
    call(
        go,
        "build",
        "-o",
        BUILD / "go-aggregate",
        OWN / "main.go",
        GO111MODULE="off",
        CGO_ENABLED="0",
        GOCACHE=str(BUILD / "go-cache"),
        GOFLAGS="",
        GOTOOLCHAIN="local",
        GOTELEMETRY="off",
    )


def seconds_of(connection: HTTPConnection, path: str) -> float:
    """Of one request on a kept connection."""
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")
    return time.perf_counter() - began


def latency(backend: str) -> Bar:
    """What a whole takes beyond the slowest backend: medians, one request at a time, milliseconds."""
    over = []
    for _ in range(5):
        running = Page(systems(backend)[0])
        try:
            ours = HTTPConnection("127.0.0.1", running.port)
            theirs = HTTPConnection("127.0.0.1", int(backend.rpartition(":")[2]))
            whole, slowest = [], []
            for number in range(220):
                times = [seconds_of(theirs, f"/{name}") for name in PARTS]
                took = seconds_of(ours, "/page")
                if number >= 20:  # the first ones open connections and find cold caches
                    whole.append(took)
                    slowest.append(max(times))
                time.sleep(0.002)  # a low rate
            over.append((statistics.median(whole) - statistics.median(slowest)) * 1000)
        finally:
            running.close()
    return Bar("latency beyond the slowest backend", 1.0, tuple(over), "ms")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aggregate", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    try:
        prepare()
        build_go()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 2
    port = free_port()
    config = BUILD / "aggregate-backend.json"
    config.write_bytes(backend_config(port))
    os.environ["BACKEND"] = backend = f"http://127.0.0.1:{port}"
    with pinned(LOAD_CORE):
        served = subprocess.Popen([OURS, "run", str(config)], stdout=subprocess.DEVNULL)
    costs: dict[str, list[float]] = {}
    chosen = systems(backend)
    try:
        for number in range(options.rounds):
            for system in chosen if number % 2 else chosen[::-1]:
                running = Page(system)
                try:
                    running.cost_of(1)
                    costs.setdefault(system.name, []).append(running.cost_of(options.seconds))
                finally:
                    running.close()
        over = latency(backend)
    finally:
        served.terminate()
        served.wait(10)
    for name, each in costs.items():
        print(f"{name:14} {statistics.median(each):9.1f} us")
    bars = [
        Bar(
            f"three answers made one / {name}",
            most,
            tuple(mine / theirs for mine, theirs in zip(costs["tetrapylon"], costs[name], strict=True)),
        )
        for name, most in BARS.items()
    ]
    bars.append(over)
    for bar in bars:
        print(bar)
    ordered = {(system.name, "CPU"): costs[system.name] for system in chosen}
    record("aggregate", "Three JSON answers made one", "make bench-aggregate", ordered, bars)
    return 0 if all(bar.met for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
