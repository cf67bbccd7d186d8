"""`python -m tests.fuzz.mixed`: features in any company, under clients that pipeline, reset, stall and leave.

    python -m tests.fuzz.mixed                                      two minutes
    python -m tests.fuzz.mixed --configs 100 --conversations 5000   the long run
    python -m tests.fuzz.mixed --seed 7 --only 4711                 one conversation again, under its config

Each config is drawn from its seed and runs as a gateway of its own: mirrors, shadows, caches, rewritten and
recoded bodies, aggregates, retries and hedges, tunnels, plugins and handlers that raise, hang and cancel,
plain and over TLS; those with an odd seed are reloaded meanwhile.
Each answer must be its request's (both carry a mark), each body whole; no worker may end; and when all is
over, nothing may be under way, and no socket left. What is wrong is printed; the exit status is then 1.
"""

import argparse
import sys

import uvloop

from tests.fuzz.mixed.run import Run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mixed", description=__doc__.split("\n\n")[0])
    parser.add_argument("--configs", type=int, default=8, help="how many (default %(default)s)")
    parser.add_argument("--conversations", type=int, default=1500, help="with each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next have the next ones")
    parser.add_argument("--at-once", type=int, default=24, help="conversations (default %(default)s)")
    parser.add_argument("--only", type=int, nargs="+", help="these conversations alone")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    found = 0
    for seed in range(given.seed, given.seed + given.configs):
        run = Run(seed, given.only or range(given.conversations), given.at_once)
        uvloop.run(run.all())
        told = ", ".join(f"{name} {count}" for name, count in sorted(run.seen.items()))
        print(f"seed {seed}: {told}", flush=True)
        for kind, detail in run.findings:
            print(f"FOUND {kind}: {detail[:3000]}", flush=True)
        found += len(run.findings)
        if given.only:
            break
    print(f"findings: {found or 'none'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
