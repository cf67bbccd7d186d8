"""`python -m benchmarks.e2e`: runs the experiment, writes its results, holds them against the bars.

A full run also generates docs/benchmarks.md, its picture and the README's table, as `benchmarks.report` does.
"""

import argparse
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from .. import report
from ..peers import nginx, select
from .bars import Bar, bars
from .experiment import QUICK, Experiment, Plan, log
from .process import CORES, LOAD_CORE, Upstream
from .results import Results
from .workshop import Unavailable, Workshop

RESULTS = Path(__file__).with_name("results.json")


def show(found: list[Bar]) -> str:
    """The table bar, measured, met."""
    wide = max(len(bar.bar) for bar in found)
    words = {True: "met", False: "NOT MET", None: "-"}
    return "\n".join(f"{bar.bar:{wide}}  {words[bar.met]:8} {bar.measured}" for bar in found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.e2e", description=__doc__)
    parser.add_argument(
        "--systems", default=os.environ.get("SYSTEMS", ""), help="names, by commas (or SYSTEMS=)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        default=bool(os.environ.get("QUICK")),
        help="three minutes (or QUICK=1)",
    )
    parser.add_argument(
        "--memory", action="store_true", help="measure memory anew, and keep the other results there are"
    )
    parser.add_argument(
        "--output", type=Path, help=f"default: {RESULTS.name}, unless quick or of some systems only"
    )
    options = parser.parse_args()
    try:
        peers = select(options.systems)
    except ValueError as error:
        parser.error(str(error))
    if len(CORES) < 2:
        log("the experiment needs two cores: one for the gateway, one for load and upstream")
        return 2
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        workshop = Workshop()
        workshop.prepare((nginx.PEER, *peers))
    except Unavailable as error:
        log(str(error))
        return 2
    with Upstream(workshop.upstream) as upstream:
        os.sched_setaffinity(0, {LOAD_CORE})
        experiment = Experiment(workshop, peers, QUICK if options.quick else Plan(), upstream)
        results = experiment.memory_anew(Results.load(RESULTS)) if options.memory else experiment.run()
    found = bars(results)
    partial = options.quick or bool(options.systems)
    output = options.output or (workshop.build / "results.json" if partial else RESULTS)
    results.save(output, [asdict(bar) for bar in found])
    print(show(found))
    print(f"results: {output}")
    if output == RESULTS:
        for path in report.write(output):
            print(f"generated: {path}")
    for problem in experiment.problems:
        log(f"problem: {problem}")
    return 1 if experiment.problems else 0


if __name__ == "__main__":
    sys.exit(main())
