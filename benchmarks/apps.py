"""`python -m benchmarks.apps`: what it costs an app to be hosted, beside gunicorn alone.

The same Flask app (httpbin's `/get`) under the same gunicorn: one process, four threads. The app's processes
have a core of their own; the gateway shares the other with the load. Both are up all the time and take turns.
What counts is the median of the ratios, or of the differences, within a round. Beside it: the CPU that a
request costs the app's own processes, which other work on the machine does not touch.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from .e2e.process import GATEWAY_CORE, LOAD_CORE, pinned, tree
from .ledger import Bar

APP = "httpbin:app"
PATH = "/get?a=1"
OURS = str(Path(sys.executable).with_name("tetrapylon"))
THROUGHPUT = 1 / 0.97
"""How many times as long the same number of requests may take."""
MEDIAN = 0.3
"""Milliseconds that hosting may add at p50."""
CLIENTS = 64
STARTED = 30.0


@contextmanager
def started(command: list[str], core: int, ready: str) -> Iterator[tuple[int, str]]:
    """The process and the address in the line that `ready` finds in what it says."""
    with tempfile.TemporaryFile("w+") as said:
        with pinned(core):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        try:
            yield process.pid, _wait(lambda: _said(said.fileno()), ready)
        finally:
            process.terminate()
            process.wait(20)


def _said(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 20, 0).decode()


def _wait(said: Callable[[], str], pattern: str) -> str:
    end = time.monotonic() + STARTED
    while (found := re.search(pattern, said())) is None:
        if time.monotonic() > end:
            raise RuntimeError(f"it does not serve:\n{said()}")
        time.sleep(0.05)
    return found[1]


def apps_of(gateway: int) -> list[int]:
    """The app's processes, which the gateway has started."""
    return [
        pid for pid in tree(gateway) if b"tetrapylon.apps.launch" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def pin(pids: list[int], core: int) -> None:
    """Moves processes with all their threads."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {core})


def cpu(pids: list[int]) -> float:
    """Seconds that they have used, user and system, in steps of 10 ms (proc(5))."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def throughput(address: str, pids: list[int], seconds: float) -> tuple[float, float]:
    """Requests a second, with every client asking again at once; microseconds of the app's CPU for each."""
    before = cpu(pids)
    command = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds:g}s", f"http://{address}{PATH}"]
    with pinned(LOAD_CORE):
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    count = re.search(r"(\d+) requests in", told)
    assert found is not None, told
    assert count is not None, told
    return float(found[1]), (cpu(pids) - before) / int(count[1]) * 1e6


class Client:
    """One connection, which is kept."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address)

    def ask(self) -> float:
        """How long an answer takes, in milliseconds."""
        began = time.perf_counter()
        self._connection.request("GET", PATH, headers={"Host": "bin.example"})
        answer = self._connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - began
        if answer.status != 200 or json.loads(body)["args"] != {"a": "1"}:
            raise RuntimeError(f"{answer.status}: {body!r}")
        return took * 1000


def medians(alone: str, hosted: str, count: int) -> tuple[float, float]:
    """At p50, one request at a time, in turns: so that both have the same moments."""
    clients = Client(alone), Client(hosted)
    times: tuple[list[float], list[float]] = [], []
    with pinned(LOAD_CORE):
        for number in range(count):
            for index in (0, 1) if number % 2 else (1, 0):
                times[index].append(clients[index].ask())
            time.sleep(0.002)  # a low rate
    return statistics.median(times[0][20:]), statistics.median(times[1][20:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--requests", type=int, default=400, help="for a median (default: 400)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("missing: wrk; as root: apt-get install wrk", file=sys.stderr)
        return 2
    if GATEWAY_CORE == LOAD_CORE:
        print("two cores are needed: one for the app, one for the gateway and the load", file=sys.stderr)
        return 2
    alone_command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4"]
    alone_command += ["--bind", "127.0.0.1:0", APP]
    hosted_command = [
        OURS,
        "run",
        "--wsgi",
        APP,
        "--threads",
        "4",
        "--workers",
        "1",
        "--listen",
        "127.0.0.1:0",
    ]
    slower, added, rates, costs = [], [], [], []
    with (
        started(alone_command, GATEWAY_CORE, r"Listening at: http://(\S+)") as (gunicorn, alone),
        started(hosted_command, LOAD_CORE, r"listening on http://([^\s,]+)") as (gateway, hosted),
    ):
        pids = {alone: tree(gunicorn), hosted: apps_of(gateway)}
        pin(pids[hosted], GATEWAY_CORE)
        for address in (alone, hosted):
            throughput(address, pids[address], 1)
        for number in range(options.rounds):
            order = (alone, hosted) if number % 2 else (hosted, alone)
            found = {address: throughput(address, pids[address], options.seconds) for address in order}
            (rate, cost), (hosted_rate, hosted_cost) = found[alone], found[hosted]
            rates.append((rate, hosted_rate))
            costs.append((cost, hosted_cost))
            slower.append(rate / hosted_rate)
            before, after = medians(alone, hosted, options.requests)
            added.append(after - before)
            print(
                f"round {number + 1}: {rate:.0f} and {hosted_rate:.0f} requests/s, {cost:.0f} and"
                f" {hosted_cost:.0f} us of the app's CPU, p50 {before:.2f} and {after:.2f} ms",
                flush=True,
            )
    for name, index in (("alone", 0), ("hosted", 1)):
        rate = statistics.median(each[index] for each in rates)
        cost = statistics.median(each[index] for each in costs)
        print(f"{name:6} {rate:.0f} requests/s, {cost:.0f} us of the app's CPU")
    bars = [
        Bar("time for as many requests, hosted / alone", THROUGHPUT, tuple(slower)),
        Bar("p50 hosted beyond p50 alone", MEDIAN, tuple(added), "ms"),
    ]
    for bar in bars:
        print(bar)
    return 0 if all(bar.met for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
