"""`python -m benchmarks.public_api`: a public API's policies, beside nginx with none and Go with the same.

api_key, rate_limit, headers, cors, request_id, metrics and the access log of every request, together. CPU
time a request on kept connections, in interleaved rounds; the ratios are taken within a round.
"""

import argparse
import statistics
import sys
from contextlib import ExitStack

from .e2e.load import SMALL, Loading, Scenario
from .e2e.process import Gateway, Upstream
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
    costs: dict[str, list[float]] = {peer.name: [] for peer in PEERS}
    failures = 0
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(workshop.upstream))
        gateways = [
            stack.enter_context(
                Gateway(
                    peer,
                    workshop.program(peer),
                    upstream.port,
                    workshop.build / "run" / peer.name,
                    path=workshop.path,
                )
            )
            for peer in PEERS
        ]
        for number in range(options.rounds):
            for gateway in gateways:
                loading = Loading(
                    workshop.load,
                    gateway.port,
                    asking(gateway.peer),
                    seconds=options.seconds,
                    pids=gateway.pids(),
                )
                sample = loading.result()
                failures += sample.failures
                costs[gateway.peer.name].append(sample.cpu_per_request)
            print(
                f"round {number + 1}:", ", ".join(f"{name} {cost[-1]:.1f} us" for name, cost in costs.items())
            )
    return told(costs, failures)


def told(costs: dict[str, list[float]], failures: int) -> int:
    """Prints the ratios and whether they are within the bars. Returns the exit status."""
    ours = costs[tetrapylon.PUBLIC_API.name]
    met = not failures
    for name, most in BARS.items():
        ratios = [own / their for own, their in zip(ours, costs[name], strict=True)]
        ratio = statistics.median(ratios)
        met = met and ratio <= most
        print(
            f"CPU a request {ratio:.3f} x {name}'s ({min(ratios):.3f} to {max(ratios):.3f}):"
            f" bar {most:g} {'met' if ratio <= most else 'NOT MET'}"
        )
    print(f"{failures} requests failed")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
