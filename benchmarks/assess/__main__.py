"""`python -m benchmarks.assess`: does the interval hold what a stopwatch measures? Writes results.json
and the table of docs/assess.md.

Each gateway in front of a service of 30 ms takes 1, 7 or 30 ms of its own. Users ask for everything twice,
through the gateway and straight at the service, with the same stopwatch: at each quantile the truth is
what the way through takes longer, as a share. `assess` sees half of the gateway's log, the truth
is of all requests. Exit status 1: a bar is not met.
"""

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tetrapylon.assess import assess

from . import record
from .gateways import GATEWAYS, ROOT, running

WORKS = (0.001, 0.007, 0.030)
USERS = 16
COVERED = 19 / 20
WIDEST = 0.2
THROUGH = re.compile(r"/through/(\d+)")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


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


def users(count: int, gateway: int, service: int) -> list[tuple[int, int]]:
    """Times of each request through the gateway and straight, in microseconds."""
    each = count // USERS
    commands = [
        [
            sys.executable,
            "-m",
            "benchmarks.assess.client",
            *map(str, (n * each, (n + 1) * each, gateway, service)),
        ]
        for n in range(USERS)
    ]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for command in commands
    ]
    found = []
    for process in processes:
        said, _ = process.communicate(timeout=600)
        if process.returncode:
            raise SystemExit(process.returncode)
        found += [(int(a), int(b)) for a, b in (line.split() for line in said.splitlines())]
    return found


def quantile(values: list[int], q: float) -> int:
    return sorted(values)[int(q * len(values))]


def half(source: Path, target: Path) -> Path:
    """Of what came through the gateway, two numbers of each four."""
    lines = source.read_text().splitlines(keepends=True)
    numbered = ((THROUGH.search(line), line) for line in lines)
    target.write_text("".join(line for found, line in numbered if found and int(found[1]) % 4 < 2))
    return target


def look_at(name: str, work: float, spread: bool, count: int) -> dict[str, Any]:
    """One system: what it was, the truth, and what was said of it."""
    with tempfile.TemporaryDirectory(prefix="bench-assess-") as place, ExitStack() as stack:
        folder = Path(place)
        gateway, spare, service = free_ports(3)
        kind = "spread" if spread else "steady"
        module = [sys.executable, "-m", "benchmarks.assess.service"]
        stack.enter_context(running([*module, str(service), kind, str(folder / "service.log")], folder))
        stack.enter_context(running([*module, str(spare), f"={work}", str(folder / "work.log")], folder))
        command = GATEWAYS[name](folder, gateway, spare, service, work)
        stack.enter_context(running(command, folder, WORK=str(work), SERVICE=str(service)))
        for port in (service, spare, gateway):
            wait_for(port)
        times = users(count, gateway, service)
        stack.pop_all().close()
        return said_of(name, work, kind, times, folder)


def said_of(name: str, work: float, kind: str, times: list[tuple[int, int]], folder: Path) -> dict[str, Any]:
    log = half(folder / "access.log", folder / "half.log")
    behind = half(folder / "service.log", folder / "half-service.log")
    two = "service's" in name
    told = assess(
        [str(log)], upstream_logs=[str(behind)] if two else None, log_format="gunicorn" if two else None
    )
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
                "covered": share is not None and share.low <= truth <= share.high,
            }
        )
    return {
        "gateway": name,
        "work_ms": work * 1000,
        "service": kind,
        "requests": told.split.requests,
        "cannot_tell": told.split.cannot_tell,
        "quantiles": rows,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.assess", description=__doc__)
    parser.add_argument("--requests", type=int, default=2240, help="to each system (default: %(default)s)")
    parser.add_argument("--only", default="", help="gateways whose name begins so")
    options = parser.parse_args()
    found = []
    for name in GATEWAYS:
        for work in WORKS:
            for spread in (False, True):
                if name.startswith(options.only):
                    found.append(look_at(name, work, spread, options.requests))
                    print(line_of(found[-1]), flush=True)
    covered = sum(
        all(row["covered"] for row in each["quantiles"]) and bool(each["quantiles"]) for each in found
    )
    widths = [row["said"][2] - row["said"][0] for each in found for row in each["quantiles"] if row["said"]]
    print(
        f"{covered} of {len(found)} systems are covered; the widest interval is {max(widths, default=1):.1%}"
    )
    if not options.only:
        told = {"date": time.strftime("%Y-%m-%d"), "covered": covered, "systems": found}
        record.save(told)
        record.write(told)
    return 0 if covered >= COVERED * len(found) and max(widths, default=1) <= WIDEST else 1


def line_of(each: dict[str, Any]) -> str:
    told = each["cannot_tell"] or "; ".join(
        f"p{100 * row['q']:g} {row['truth']:.1%} in {row['said'][0]:.1%} to {row['said'][2]:.1%}"
        + ("" if row["covered"] else " MISSED")
        if row["said"]
        else f"p{100 * row['q']:g} withheld"
        for row in each["quantiles"]
    )
    return f"{each['gateway']}, {each['work_ms']:g} ms, {each['service']}: {told}"


if __name__ == "__main__":
    sys.exit(main())
