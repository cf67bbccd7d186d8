"""`python -m benchmarks.features`: what a feature costs a request, in CPU time beside a gateway without it.

`resilient`: least requests, passive health, retry and breaker, beside the plain gateway. `observed`: metrics,
access log to a file and request ids, beside nginx with none of them. Interleaved rounds on kept connections;
the ratios are taken within a round.
"""

import argparse
import sys
from contextlib import ExitStack

from . import beside
from .e2e.load import SMALL
from .e2e.process import Upstream
from .e2e.workshop import Unavailable, Workshop
from .peers import Peer, nginx, tetrapylon

FEATURES: dict[str, tuple[Peer, Peer, float]] = {
    "resilient": (tetrapylon.RESILIENT, tetrapylon.PLAIN, 1.05),
    "observed": (tetrapylon.OBSERVED, nginx.PEER, 1.15),
}
"""With it, without it, and what the former may be at most, in parts of the latter."""


def measure(workshop: Workshop, feature: str, rounds: int, seconds: float) -> bool:
    ours, theirs, most = FEATURES[feature]
    workshop.prepare((ours, theirs))
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(workshop.upstream))
        gateways = beside.started(stack, workshop, (ours, theirs), upstream.port)
        costs, failures = beside.costs(workshop, gateways, lambda _: SMALL, rounds, seconds)
    logged = gateways[0].logged()
    if logged == 0:
        print(f"{ours.name}: nothing stands in the access log, so logging was not measured")
        return False
    return beside.met(costs, failures, ours.name, {theirs.name: most})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("features", nargs="*", choices=[[], *FEATURES], help="some of them; all if none")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    try:
        workshop = Workshop()
        met = [
            measure(workshop, feature, options.rounds, options.seconds)
            for feature in options.features or FEATURES
        ]
    except (Unavailable, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
