"""`python -m benchmarks.public_api`: a public API's policies, beside nginx with none and Go with the same.

api_key, rate_limit, headers, cors, request_id, metrics and the access log of every request, together. CPU
time a request on kept connections, in interleaved rounds; the ratios are taken within a round.
"""

import argparse
import sys
from contextlib import ExitStack

from . import beside
from .e2e.load import SMALL, Scenario
from .e2e.process import Upstream
from .e2e.workshop import Workshop
from .peers import Peer, go, nginx, tetrapylon

BARS = {nginx.PEER.name: 1.3, go.CHECKED.name: 1 / 4}
"""What ours may be at most, in parts of theirs."""
PEERS = (tetrapylon.PUBLIC_API, nginx.PEER, go.CHECKED)


def asking(peer: Peer) -> Scenario:
    """The small request, with what this peer wants to see."""
    fields = [word for field in peer.fields for word in ("--header", field)]
    return Scenario("small", SMALL.title, (*SMALL.arguments, *fields))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.public_api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    workshop = Workshop()
    workshop.prepare(PEERS)
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(workshop.upstream))
        gateways = beside.started(stack, workshop, PEERS, upstream.port)
        costs, failures = beside.costs(workshop, gateways, asking, options.rounds, options.seconds)
    return 0 if beside.met(costs, failures, tetrapylon.PUBLIC_API.name, BARS) else 1


if __name__ == "__main__":
    sys.exit(main())
