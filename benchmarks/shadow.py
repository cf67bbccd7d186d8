"""`python -m benchmarks.shadow`: what copying 10% of the requests to a second upstream costs, and whom.

CPU time a request, of the whole gateway, beside the same gateway without a shadow: interleaved rounds on kept
connections, ratios within a round. Then the latencies of both in an open loop at half of the plain one's
throughput, and of the plain one once more: how far two runs of the same gateway lie apart is what noise does.
"""

import argparse
import statistics
import sys
from contextlib import ExitStack
from dataclasses import replace

from . import beside
from .e2e.load import SMALL, Loading
from .e2e.process import Gateway, Upstream
from .e2e.workshop import Unavailable, Workshop
from .peers import tetrapylon

MOST = 1.05
SLOWER = 1.05
"""p99, in parts of that without a shadow."""
CONTROL = replace(tetrapylon.PLAIN, name="tetrapylon-again", title="Tetrapylon once more")


def latencies(workshop: Workshop, gateways: list[Gateway], rounds: int, seconds: float) -> bool:
    plain, shadowed, control = gateways
    rate = Loading(workshop.load, plain.port, SMALL, seconds=seconds).result().rate / 2
    found: dict[str, list[float]] = {gateway.peer.name: [] for gateway in gateways}
    failures = 0
    for number in range(rounds):
        for gateway in gateways[number % 3 :] + gateways[: number % 3]:
            sample = Loading(workshop.load, gateway.port, SMALL, seconds=seconds, rate=rate).result()
            failures += sample.failures
            found[gateway.peer.name].append(sample.p99)
        print(
            f"round {number + 1}:", ", ".join(f"{name} p99 {p99[-1]:.0f} us" for name, p99 in found.items())
        )

    def ratio(name: str) -> float:
        ratios = [own / without for own, without in zip(found[name], found[plain.peer.name], strict=True)]
        median = statistics.median(ratios)
        print(f"p99 at {rate:,.0f}/s: {name} {median:.3f} x ({min(ratios):.3f} to {max(ratios):.3f})")
        return median

    ratio(control.peer.name)
    return ratio(shadowed.peer.name) <= SLOWER and not failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    try:
        workshop = Workshop()
        workshop.prepare((tetrapylon.PLAIN, tetrapylon.SHADOWED))
        with ExitStack() as stack:
            upstream, second = (stack.enter_context(Upstream(workshop.upstream)) for _ in range(2))
            with_second = replace(
                tetrapylon.SHADOWED, values={**tetrapylon.SHADOWED.values, "SECOND": str(second.port)}
            )
            gateways = beside.started(
                stack, workshop, (tetrapylon.PLAIN, with_second, CONTROL), upstream.port
            )
            costs, failures = beside.costs(
                workshop, gateways, lambda _: SMALL, options.rounds, options.seconds
            )
            plain, shadowed, control = (gateway.peer.name for gateway in gateways)
            beside.met(costs, 0, control, {plain: MOST})
            fine = beside.met(costs, failures, shadowed, {plain: MOST})
            calm = latencies(workshop, gateways, options.rounds, options.seconds)
    except (Unavailable, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if fine and calm else 1


if __name__ == "__main__":
    sys.exit(main())
