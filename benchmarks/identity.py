"""`python -m benchmarks.identity`: what it costs to know who asks.

A token that was verified before, beside no token; and 100,000 API keys beside 100, a request for each of them
in turn. CPU time a request on kept connections, in interleaved rounds; the ratios are taken within a round.
`--count` counts the instructions of a request with many keys and with few instead: what the times differ by
beyond that, memory takes.
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from . import beside, budgets
from .e2e.load import SMALL, Scenario
from .e2e.process import Upstream
from .e2e.workshop import Unavailable, Workshop
from .peers import Peer, tetrapylon
from .policies import bearer

TOKEN = 1.1
KEYS = 1.02
"""What ours may be at most, in parts of the other: the second with what two runs of one thing differ by."""
MANY, FEW = 100_000, 100
SHORT, LONG = 1_500, 4_500
KEY = "X-API-Key: key-######"
"""The load generator puts a number there."""


def keys(count: int, directory: Path) -> Peer:
    """With so many API keys in a file, of which a request shows each in turn."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{count}.keys"
    lines = (f"sha256:{sha256(f'key-{i:06}'.encode()).hexdigest()} consumer-{i}\n" for i in range(count))
    file.write_text("".join(lines))
    fields = ("X-API-Key: key-000000",)
    values = {"KEYS": str(file)}
    return tetrapylon.PLAIN.with_config("keys.yaml", name=f"{count:,} keys", values=values, fields=fields)


def asking(peer: Peer) -> Scenario:
    if peer.configs == ("keys.yaml",):
        count = peer.name.split()[0].replace(",", "")
        return Scenario("keys", SMALL.title, (*SMALL.arguments, "--header", KEY, "--keys", count))
    fields = [word for field in peer.fields for word in ("--header", field)]
    return Scenario("small", SMALL.title, (*SMALL.arguments, *fields))


def measure(workshop: Workshop, peers: tuple[Peer, Peer], most: float, rounds: int, seconds: float) -> bool:
    """The first one of these at most `most` of the second."""
    ours, other = peers
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(workshop.upstream))
        gateways = beside.started(stack, workshop, peers, upstream.port)
        beside.costs(workshop, gateways, asking, 1, seconds)  # until all that can be remembered is
        costs, failures = beside.costs(workshop, gateways, asking, rounds, seconds)
    return beside.met(costs, failures, ours.name, {other.name: most})


def instructions(workshop: Workshop, peer: Peer) -> float:
    """Of a request, when each key that is asked with has been asked with before."""
    command = (*budgets.OURS, "{dir}/keys.yaml")
    directory = workshop.build / "callgrind" / peer.name.replace(" ", "-")
    with Upstream(workshop.upstream) as upstream:
        counted = budgets.Counted(replace(peer, command=command), upstream.port, workshop.load, directory)
        try:
            counted.per_request(asking(peer), SHORT, LONG)
            return counted.per_request(asking(peer), SHORT, LONG)
        finally:
            counted.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--count", action="store_true")
    options = parser.parse_args()
    plain = replace(tetrapylon.PLAIN, name="no token")
    token = tetrapylon.PLAIN.with_config("jwt.yaml", name="token", fields=tuple(bearer()))
    try:
        workshop = Workshop()
        workshop.prepare((plain,))
        many, few = (keys(count, workshop.build / "run" / "keys") for count in (MANY, FEW))
        if options.count:
            for peer in (many, few):
                print(f"{peer.name}: {instructions(workshop, peer):,.0f} instructions a request")
            return 0
        met = [
            measure(workshop, (token, plain), TOKEN, options.rounds, options.seconds),
            measure(workshop, (many, few), KEYS, options.rounds, 4 * options.seconds),
        ]
    except (Unavailable, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
