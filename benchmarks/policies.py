<<<<<<< HEAD
"""`python -m benchmarks.policies`: a public API's policies, beside nginx with none and Go with the same.

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
PEERS = (tetrapylon.POLICIES, nginx.PEER, go.CHECKED)


def asking(peer: Peer) -> Scenario:
    """The small request, with what this peer wants to see."""
    fields = [word for field in peer.fields for word in ("--header", field)]
    return Scenario("small", SMALL.title, (*SMALL.arguments, *fields))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policies", description=__doc__)
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
    ours = costs[tetrapylon.POLICIES.name]
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
=======
"""What each policy adds to a proxied request, in instructions: for `benchmarks.budgets`.

One gateway has a route for each (peers/tetrapylon/policies.yaml); what a route costs more than one without
policies is the policy's. Where a policy answers by itself, the whole request is what is counted.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from .e2e.load import Scenario

CONFIG = "policies.yaml"
SECRET = b"0123456789abcdef0123456789abcdef"
LENGTH = ("--expect-length", "203")


def bearer() -> list[str]:
    def part(text: bytes) -> bytes:
        return base64.urlsafe_b64encode(text).rstrip(b"=")

    said = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(b'{"sub":"mobile"}')
    token = said + b"." + part(hmac.digest(SECRET, said, "sha256"))
    return [f"Authorization: Bearer {token.decode()}"]


def signature() -> list[str]:
    """RFC 9421, of what `hmac` wants covered."""
    covers = f'("@method" "@authority" "@path" "@query");created={int(time.time())};keyid="mobile-1"'
    lines = ['"@method": GET', '"@authority": api.example.com', '"@path": /hmac', '"@query": ?']
    said = "\n".join([*lines, f'"@signature-params": {covers}'])
    signed = base64.b64encode(hmac.new(SECRET, said.encode(), hashlib.sha256).digest()).decode()
    return [f"Signature-Input: sig={covers}", f"Signature: sig=:{signed}:"]


def fields(*lines: str) -> Callable[[], list[str]]:
    return lambda: list(lines)


KEY = fields("X-API-Key: mobile-key-1")


@dataclass(frozen=True)
class Counting:
    """`behind`: what is taken off is the count of this name. `whole`: nothing is taken off."""

    name: str
    said: Callable[[], list[str]] = list
    behind: str = "plain"
    whole: bool = False
    expect: tuple[str, ...] = LENGTH

    def scenario(self) -> Scenario:
        headers = [word for line in self.said() for word in ("--header", line)]
        return Scenario(self.name, self.name, ("--path", f"/{self.name}", *self.expect, *headers))


ANONYMOUS = "Authorization: "
"""Leaves out the one that the load's requests have otherwise."""
BASES = (Counting("plain"), Counting("small"))
COUNTED = (
    Counting("acl", KEY, behind="api_key"),
    Counting("api_key", KEY),
    Counting("basic", fields("Authorization: Basic " + base64.b64encode(b"mobile:horse").decode())),
    Counting("bot"),
    Counting("cache", fields(ANONYMOUS), whole=True),
    Counting("cache-miss", fields(ANONYMOUS)),
    Counting("cache-store", fields(ANONYMOUS, "Cache-Control: no-cache")),
    Counting("compress", fields("Accept-Encoding: gzip"), expect=()),
    Counting("concurrency"),
    Counting("cors", fields("Origin: https://shop.example")),
    Counting("decompress"),
    Counting("fault"),
    Counting("filter"),
    Counting("forward_auth"),
    Counting("headers"),
    Counting("hmac", signature),
    Counting("ip"),
    Counting("jwt", bearer),
    Counting("maintenance"),
    Counting("mirror"),
    Counting("quota"),
    Counting("rate_limit"),
    Counting("redirect"),
    Counting("request_id"),
    Counting("rewrite", behind="small"),
    Counting("security_headers"),
    Counting("server_timing"),
    Counting("traceparent"),
    Counting("transform", expect=()),
    Counting("validate"),
)
MARGIN = 800
"""Instructions that a count may move by: the loop's own timers are counted with the few requests."""


def costs(count: Callable[[Scenario], float], names: frozenset[str] = frozenset()) -> dict[str, int]:
    """Instructions by policy; of all, or of those named. `count` gives those of a request."""
    wanted = [each for each in COUNTED if not names or each.name in names]
    found: dict[str, float] = {}
    for each in (*BASES, *COUNTED):
        if each in wanted or any(one.behind == each.name for one in wanted):
            found[each.name] = count(each.scenario())
    return {each.name: round(found[each.name] - (0 if each.whole else found[each.behind])) for each in wanted}
>>>>>>> main
