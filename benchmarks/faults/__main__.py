"""`python -m benchmarks.faults`: targets killed, frozen, slow and broken, behind each gateway in turn.

Writes results.json beside this file and the table of docs/resilience.md. Exit status 1: a bar is not met.
"""

import argparse
import re
import sys
from pathlib import Path

import msgspec

from ..e2e.workshop import Unavailable
from ..report import table
from .scenes import INTERVAL, PEERS, Result, measure

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "resilience.md"
RESULTS = Path(__file__).with_name("results.json")
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
FAILED = 0.0001
RATE = 4000
LEAST = 200_000
BUDGET = 1.2


def bars(ours: Result) -> dict[str, bool]:
    share = ours.failed / max(1, ours.requests)
    return {
        f"at most {FAILED:.2%} of requests failed: {ours.failed} of {ours.requests:,}": share <= FAILED,
        "p99 normal two intervals after each change": all(
            span.calm_after <= 2 * INTERVAL for span in ours.spans
        ),
        "all targets down: every request answered 503 within 50 ms": ours.outage.prompt == 1.0,
        f"recovery within one interval: {ours.outage.recovery:.2f} s": ours.outage.recovery <= INTERVAL,
        f"targets see at most {BUDGET:g} requests for one": ours.surge.at_targets
        <= BUDGET * ours.surge.requests,
    }


def number_of(version: str) -> str:
    """`1.40.0` of what a program prints about itself."""
    found = re.search(r"\d+\.\d+\.\d+", version)
    return found[0] if found else version


def page(results: list[Result], rate: float) -> str:
    def seconds(value: float) -> str:
        return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"

    head = ["", *(result.system for result in results)]
    rows = [["version", *(number_of(result.version) for result in results)]]
    rows.append(["requests", *(f"{result.requests:,}" for result in results)])
    for index, span in enumerate(results[0].spans):
        name = "answers 500" if span.fault == "500" else span.fault
        rows.append(
            [f"failed, one of three {name}", *(str(result.spans[index].failed) for result in results)]
        )
    for index, span in enumerate(results[0].spans):
        name = "answers 500" if span.fault == "500" else span.fault
        rows.append(
            [f"p99 normal after, {name}", *(seconds(result.spans[index].calm_after) for result in results)]
        )
    rows += [
        ["all down: answered 503 in 50 ms", *(f"{result.outage.prompt:.1%}" for result in results)],
        ["all down: slowest answer", *(seconds(result.outage.slowest) for result in results)],
        ["all back: last error after", *(seconds(result.outage.recovery) for result in results)],
        [
            "all answer 500: requests at the targets for one",
            *(f"{result.surge.at_targets / result.surge.requests:.2f}" for result in results),
        ],
    ]
    return f"{rate:,.0f} requests a second.\n\n" + table(head, rows)


def write(results: list[Result], rate: float) -> None:
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    PAGE.write_text(written(results, rate))


def written(results: list[Result], rate: float) -> str:
    """docs/resilience.md with the table of these results."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{page(results, rate)}{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--systems", default=",".join(PEERS), help="some of them, with commas between")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10, help="that each fault lasts")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args()
    names = [name.strip() for name in options.systems.split(",")]
    unknown = sorted(set(names) - PEERS.keys())
    if unknown:
        parser.error(f"unknown systems: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    try:
        results = measure(names, options.rate, options.seconds)
    except (Unavailable, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    print(page(results, options.rate))
    if not options.dry_run:
        write(results, options.rate)
    met = True
    for result in results:
        if result.system == "tetrapylon":
            judged = bars(result)
            judged[f"{LEAST:,} requests or more"] = result.requests >= LEAST
            for text, holds in judged.items():
                met &= holds
                print(f"{'met    ' if holds else 'NOT MET'} {text}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
