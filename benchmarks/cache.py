"""`python -m benchmarks.cache`: what a hit costs, beside nginx's `proxy_cache`.

Each is asked once while there is an upstream, which is then taken away: whatever is not a hit fails. CPU time
a request on kept connections, in interleaved rounds; the ratios are taken within a round.
"""

import argparse
import sys
from contextlib import ExitStack
from functools import partial

from . import beside
from .e2e.load import LARGE, SMALL, Loading, Scenario
from .e2e.process import Upstream
from .e2e.workshop import Workshop
from .peers import Peer, nginx, tetrapylon

BARS = {nginx.CACHE.name: 1.1}
"""What ours may be at most, in parts of theirs."""
PEERS = (tetrapylon.CACHE, nginx.CACHE)
# An Authorization would make it one client's own (RFC 9111 section 3.5), which nginx does not look at.
SCENARIOS = tuple(
    Scenario(each.name, each.title, (*each.arguments, "--header", "Authorization: "))
    for each in (SMALL, LARGE)
)


def asking(scenario: Scenario, _: Peer) -> Scenario:
    """The same of all."""
    return scenario


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    workshop = Workshop()
    workshop.prepare(PEERS)
    with ExitStack() as stack:
        with Upstream(workshop.upstream) as upstream:
            gateways = beside.started(stack, workshop, PEERS, upstream.port)
            for gateway in gateways:
                for scenario in SCENARIOS:
                    first = Loading(
                        workshop.load, gateway.port, scenario, seconds=10, warm=0, connections=1, requests=1
                    ).result()
                    if first.answered != 1 or first.failures:
                        print(f"{gateway.peer.name}: {scenario.title} is not answered", file=sys.stderr)
                        return 2
        fine = True
        for scenario in SCENARIOS:
            print(scenario.title)
            costs, failures = beside.costs(
                workshop, gateways, partial(asking, scenario), options.rounds, options.seconds
            )
            fine = beside.met(costs, failures, tetrapylon.CACHE.name, BARS) and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
