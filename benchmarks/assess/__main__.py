"""`python -m benchmarks.assess`: does the interval hold what a stopwatch measures? Writes results.json
and the table of docs/assess.md.

Each system is a real gateway with work of its own in front of a service that takes a known time (systems.py).
Users ask for everything twice, through the gateway and straight at the service, with the same stopwatch: at
each quantile the truth is what the way through takes longer, as a share. `assess` sees the gateway's log, and
is told what its operator knows: workers, threads, and the cores that it kept busy. What is withheld counts as
covered, for it is said why, as long as the median is not. Exit status 1: a bar is not met.
"""

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tetrapylon.assess import Assessment, Present, assess

from . import record
from .gateways import ROOT, Ports, cpu_seconds, running, start, told_format
from .systems import FIRST, JUDGED, SECOND, WITHOUT_TIMES, System
from .users import Plan

PROCESSES = 4
"""That users are spread over."""
COVERED = 19 / 20
WIDEST = 0.2
CONNECTIONS = 1000
"""That an event loop takes at once."""
THROUGH = re.compile(r"/(?:through|alone)/")
SETS = {"judged": JUDGED, "first": FIRST, "second": SECOND, "without_times": WITHOUT_TIMES}


def free_ports() -> Ports:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in Ports._fields]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return Ports(*(each.getsockname()[1] for each in sockets))


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")


def users(system: System, ports: Ports) -> list[tuple[int, int]]:
    """Times of each request through the gateway and straight, in microseconds."""
    each = system.requests // PROCESSES
    kind, amount = system.arrivals.split()
    processes = []
    for n in range(PROCESSES):
        plan = Plan(
            n * each,
            (n + 1) * each,
            ports.gateway,
            ports.service,
            f"{kind} {float(amount) / PROCESSES:g}",
            system.keep_alive,
            system.posted,
            system.alone,
        )
        command = [sys.executable, "-m", "benchmarks.assess.users", json.dumps(plan._asdict())]
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    found = []
    for process in processes:
        said, _ = process.communicate(timeout=300)
        if process.returncode:
            raise SystemExit(process.returncode)
        found += [(int(a), int(b)) for _, a, b in (line.split() for line in said.splitlines())]
    return found


def quantile(values: list[int], q: float) -> int:
    return sorted(values)[int(q * len(values))]


def through(source: Path, target: Path) -> str:
    """What came by the gateway."""
    target.write_text("".join(filter(THROUGH.search, source.read_text().splitlines(keepends=True))))
    return str(target)


def look_at(system: System, keep: Path | None) -> dict[str, Any]:
    """One system: what it was, the truth, and what was said of it. `keep`: a folder for its logs."""
    with tempfile.TemporaryDirectory(prefix="bench-assess-") as place, ExitStack() as stack:
        folder = keep or Path(place)
        ports = free_ports()
        module = [sys.executable, "-m", "benchmarks.assess.service"]
        behind = [*module, str(ports.service), system.service, str(system.answered)]
        stack.enter_context(running([*behind, str(folder / "service.log")], folder))
        check = [*module, str(ports.check), system.work, "20"]
        stack.enter_context(running([*check, str(folder / "check.log")], folder))
        environment = {
            "WORK": system.work,
            "BUSY": str(system.busy),
            "SERVICE": str(ports.service),
            "KEEP_ALIVE": str(system.keep_alive_behind),
        }
        gateway = stack.enter_context(running(start(system, folder, ports), folder, **environment))
        for port in (ports.service, ports.check, ports.gateway):
            wait_for(port)
        before, began = cpu_seconds(gateway), time.monotonic()
        times = users(system, ports)
        cpu = (cpu_seconds(gateway) - before) / (time.monotonic() - began)
        stack.pop_all().close()
        if keep is not None:
            (folder / "times.json").write_text(json.dumps(times))
            (folder / "cpu.json").write_text(json.dumps(cpu))
        return said_of(system, times, cpu, folder)


def said_of(system: System, times: list[tuple[int, int]], cpu: float, folder: Path) -> dict[str, Any]:
    told = told_of(system, cpu, folder)
    assert told.split is not None
    rows = []
    for each in told.split.quantiles:
        whole, straight = (quantile([pair[side] for pair in times], each.q) for side in (0, 1))
        truth = 1 - straight / whole
        share = each.share
        rows.append(
            {
                "q": each.q,
                "whole_us": whole,
                "straight_us": straight,
                "truth": round(truth, 4),
                "said": None
                if share is None
                else [round(x, 4) for x in (share.low, share.value, share.high)],
                "withheld": each.cannot_tell,
                "covered": share is None or share.low <= truth <= share.high,
            }
        )
    return {
        "system": asdict(system),
        "cpu": round(cpu, 3),
        "requests": told.split.requests,
        "cannot_tell": told.split.cannot_tell,
        "quantiles": rows,
    }


def told_of(system: System, cpu: float, folder: Path) -> Assessment:
    threads = system.threads if system.server in ("sync", "gthread") else CONNECTIONS
    present = Present(workers=system.workers, threads=threads, cpu=cpu)
    behind = None
    if system.log == "two":
        behind = [through(folder / "service.log", folder / "through-service.log")]
    log = through(folder / "access.log", folder / "through.log")
    return assess([log], present, upstream_logs=behind, log_format=told_format(system))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.assess", description=__doc__)
    parser.add_argument("--set", choices=SETS, action="append", help="which systems (default: all)")
    parser.add_argument(
        "--requests", type=int, help="to each system, in place of its own number: a first look"
    )
    parser.add_argument("--keep", type=Path, help="a folder to keep each system's logs and times in")
    options = parser.parse_args()
    met = True
    for name in options.set or SETS:
        found = []
        for index, system in enumerate(SETS[name]):
            keep = options.keep / name / str(index) if options.keep else None
            if keep is not None:
                keep.mkdir(parents=True)
            if options.requests:
                system = System(**{**asdict(system), "requests": options.requests})
            found.append(look_at(system, keep))
            print(f"{index + 1}. {system.title}: {line_of(found[-1])}", flush=True)
        met = judge(name, found) and met
        if not options.requests:
            record.save(name, {"date": time.strftime("%Y-%m-%d"), "systems": found})
    return 0 if met else 1


def judge(name: str, found: list[dict[str, Any]]) -> bool:
    """Says whether the bar is met."""
    if name == "without_times":
        refused = sum(bool(each["cannot_tell"]) for each in found)
        print(f"{name}: of {refused} of {len(found)} systems it is said that it cannot be told", flush=True)
        return refused == len(found)
    covered = sum(map(record.is_covered, found))
    widths = [row["said"][2] - row["said"][0] for each in found for row in each["quantiles"] if row["said"]]
    widest = max(widths, default=1)
    print(f"{name}: {covered} of {len(found)} systems are covered; the widest interval is {widest:.1%}")
    return covered >= COVERED * len(found) and widest <= WIDEST


def line_of(each: dict[str, Any]) -> str:
    told = each["cannot_tell"] or "; ".join(
        f"p{100 * row['q']:g} {row['truth']:.1%} in {row['said'][0]:.1%} to {row['said'][2]:.1%}"
        + ("" if row["covered"] else " MISSED")
        if row["said"]
        else f"p{100 * row['q']:g} {row['truth']:.1%}, withheld {row['withheld']}"
        for row in each["quantiles"]
    )
    return str(told)


if __name__ == "__main__":
    sys.exit(main())
