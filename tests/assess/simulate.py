"""Gateways whose share is known: random requests by a recipe, as the lines that a server logs."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

Draw = Callable[[random.Random], float]
START = 1_764_547_200.0  # 2025-12-01 00:00 UTC
QUANTILES = (0.5, 0.95, 0.99)
LONG = 40_000
"""Requests that the truth is taken from."""


def constant(value: float) -> Draw:
    return lambda _: value


def exponential(least: float, mean: float) -> Draw:
    """`least` and then some, in milliseconds."""
    return lambda r: least + r.expovariate(1 / mean)


def lognormal(median: float, sigma: float) -> Draw:
    return lambda r: median * math.exp(r.gauss(0, sigma))


def uniform(low: float, high: float) -> Draw:
    return lambda r: r.uniform(low, high)


def gamma(mean: float, shape: float) -> Draw:
    return lambda r: r.gammavariate(shape, mean / shape)


def pareto(least: float, alpha: float, most: float) -> Draw:
    return lambda r: min(most, least * r.paretovariate(alpha))


def weibull(mean: float, shape: float) -> Draw:
    scale = mean / math.gamma(1 + 1 / shape)
    return lambda r: r.weibullvariate(scale, shape)


def triangular(low: float, high: float) -> Draw:
    return lambda r: r.triangular(low, high)


def two(one: Draw, other: Draw, share: float) -> Draw:
    """Of two kinds of requests, `share` the other."""
    return lambda r: other(r) if r.random() < share else one(r)


@dataclass(frozen=True)
class System:
    """`work` is the gateway's own, `service` the upstream's; milliseconds.

    `wave`: the upstream gets slower and faster by about that share as the load does, over some hundreds of
    requests, so that neighbours are alike. `rate`: requests a second.
    """

    work: Draw
    service: Draw
    wave: float = 0.0
    rate: float = 20.0

    def requests(self, count: int, seed: int) -> Iterator[tuple[float, float, float]]:
        """Seconds of its end since 1970, the whole time and the upstream's in milliseconds."""
        r = random.Random(seed)
        moment, level = START + r.random(), r.gauss(0, 1)
        for _ in range(count):
            moment += r.expovariate(self.rate)
            level = 0.98 * level + math.sqrt(1 - 0.98**2) * r.gauss(0, 1)
            upstream = self.service(r) * math.exp(self.wave * level)
            total = upstream + self.work(r)
            yield moment + total / 1000, total, upstream

    def truth(self, seed: int = 10**6) -> dict[float, float]:
        """The share at each quantile, of very many requests."""
        totals, upstreams = [], []
        for _, total, upstream in self.requests(LONG, seed):
            totals.append(total)
            upstreams.append(upstream)
        totals.sort()
        upstreams.sort()
        return {q: 1 - upstreams[int(q * LONG)] / totals[int(q * LONG)] for q in QUANTILES}


def clf(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def difference(end: float, milliseconds: float) -> str:
    """What nginx writes: the difference of two clocks of a millisecond, in seconds."""
    at = end * 1000
    return f"{(math.floor(at) - math.floor(at - milliseconds)) / 1000:.3f}"


def nginx(end: float, total: float, upstream: float) -> str:
    return (
        f'10.0.0.7 - - [{clf(end)}] "GET /users/7 HTTP/1.1" 200 203 "-" "curl/8"'
        f" {difference(end, total)} {difference(end - 0.0003, upstream)}"
    )


def nginx_labelled(end: float, total: float, upstream: float) -> str:
    return (
        f'10.0.0.7 - - [{clf(end)}] "GET /users/7 HTTP/1.1" 200 203 "-" "curl/8" '
        f'rt={difference(end, total)} uct="0.000" urt="{difference(end - 0.0003, upstream)}"'
    )


def nginx_json(end: float, total: float, upstream: float) -> str:
    return (
        f'{{"time_iso8601":"{datetime.fromtimestamp(int(end), UTC).isoformat()}","status":"200",'
        f'"request_time":{difference(end, total)},'
        f'"upstream_response_time":"{difference(end - 0.0003, upstream)}"}}'
    )


def gunicorn(end: float, total: float, _: float) -> str:
    """With %(D)s: no upstream time."""
    return f'10.0.0.7 - - [{clf(end)}] "GET /users/7 HTTP/1.1" 200 203 "-" "curl/8" {round(total * 1000)}'


def gunicorn_split(end: float, total: float, upstream: float) -> str:
    return (
        f'10.0.0.7 - - [{clf(end)}] "GET /users/7 HTTP/1.1" 200 203 "-" "curl/8" '
        f"{total / 1000:.6f} upstream_us={round(upstream * 1000)}"
    )


def combined(end: float, total: float, upstream: float) -> str:
    return f'10.0.0.7 - - [{clf(end)}] "GET /users/7 HTTP/1.1" 200 203 "-" "curl/8"'


def own(end: float, total: float, upstream: float) -> str:
    stamp = datetime.fromtimestamp(end, UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"time":"{stamp[:23]}Z","client":"10.0.0.7","method":"GET","target":"/users/7","protocol":"HTTP/1.1",'
        f'"route":"/users/{{id}}","status":200,"bytes_in":90,"bytes_out":203,'
        f'"duration_us":{round(total * 1000)},'
        f'"gateway_us":{round((total - upstream) * 1000)},"upstream_us":{round(upstream * 1000)},'
        '"upstream":"127.0.0.1:9001"}'
    )


STYLES = {
    "nginx": nginx,
    "nginx-labelled": nginx_labelled,
    "nginx-json": nginx_json,
    "gunicorn-split": gunicorn_split,
    "tetrapylon": own,
}
