"""`python -m benchmarks.plugins`: what a plugin adds to the CPU of a plain proxied request.

One gateway has a route without a plugin and one for each kind; wrk asks for them in turns, in interleaved
rounds. What counts is the median of the ratios within a round.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from tetrapylon import Request

from .e2e.process import LOAD_CORE, free_port, pinned
from .handlers.__main__ import BUILD, Running, System
from .ledger import Bar, record

OURS = str(Path(sys.executable).with_name("tetrapylon"))
HERE = "benchmarks.plugins"
ANSWER = msgspec.json.encode({"id": 7, "text": "x" * 180}).decode()
BARS = {"sync": 1.10, "async": 1.15, "sleep(0)": 1.60}


class Empty:
    def on_request(self, request: Request) -> None:
        return None


class Waitless:
    async def on_request(self, request: Request) -> None:
        return None


class Waits:
    async def on_request(self, request: Request) -> None:
        await asyncio.sleep(0)


KINDS = {"plain": None, "sync": "Empty", "async": "Waitless", "sleep(0)": "Waits"}


class Proxy(Running):
    """The gateway, which answers each route from the same upstream."""

    probe = b"/0"
    said = b'"text"'

    def cost_of(self, index: int, seconds: float) -> float:
        url = f"http://127.0.0.1:{self.port}/{index}"
        return self.measured(["wrk", "-t1", "-c64", f"-d{seconds:g}s", url])


def config(backend: str) -> bytes:
    routes = [
        {
            "path": f"/{index}",
            "upstream": "backend",
            "policies": [{"use": f"{HERE}:{kind}"}] if kind else [],
        }
        for index, kind in enumerate(KINDS.values())
    ]
    return msgspec.json.encode(
        {
            "log": {"access": {"sample": 0}},
            "upstreams": {"backend": {"targets": [backend]}},
            "routes": routes,
        }
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plugins", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("missing: wrk; as root: apt-get install wrk", file=sys.stderr)
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    port = free_port()
    route = {"path": "/{rest:path}", "respond": {"body": ANSWER, "content_type": "application/json"}}
    backend = BUILD / "plugins-backend.json"
    backend.write_bytes(
        msgspec.json.encode(
            {
                "server": {"listen": [f"127.0.0.1:{port}"]},
                "log": {"access": {"sample": 0}},
                "routes": [route],
            }
        )
    )
    file = BUILD / "plugins.json"
    file.write_bytes(config(f"http://127.0.0.1:{port}"))
    costs: dict[tuple[str, str], list[float]] = {}
    with pinned(LOAD_CORE):
        served = subprocess.Popen([OURS, "run", str(backend)], stdout=subprocess.DEVNULL)
    try:
        system = System("tetrapylon", (OURS, "run", str(file), "--listen", "127.0.0.1:{port}"), {})
        running = Proxy(system)
        try:
            for index, _ in enumerate(KINDS):
                running.cost_of(index, 1)
            for number in range(options.rounds):
                kinds = list(enumerate(KINDS))
                for index, kind in kinds if number % 2 else kinds[::-1]:
                    costs.setdefault((kind, "CPU"), []).append(running.cost_of(index, options.seconds))
        finally:
            running.close()
    finally:
        served.terminate()
        served.wait(10)
    plain = costs["plain", "CPU"]
    bars = [
        Bar(
            f"{kind} plugin / plain request",
            most,
            tuple(own / base for own, base in zip(costs[kind, "CPU"], plain, strict=True)),
        )
        for kind, most in BARS.items()
    ]
    ordered = {(kind, "CPU"): costs[kind, "CPU"] for kind in KINDS}
    record("plugins", "An empty plugin on a proxied request", "make bench-plugins", ordered, bars)
    for bar in bars:
        print(bar)
    return 0 if all(bar.met for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
