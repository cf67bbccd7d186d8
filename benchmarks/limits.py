"""`python -m benchmarks.limits`: whether limits are exact, over workers and machines, and what a Redis costs.

Three scenes. All decisions of a machine's workers, written down and replayed through a reference; the same
with a worker killed in the middle. Gateways that count together in Redis: how many they let through, by how
many commands. Redis killed and frozen under load: what becomes of the requests that it counts, and of others.
Exit status 1: a bar is not met.
"""

import argparse
import array
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.traffic import Answers, Traffic
from tests.harness import Gateway, routed
from tests.harness.gcra import Rate, wrong
from tests.harness.redis import RedisServer
from tests.policies.rig import metrics
from tetrapylon._core.shared.amounts import JOURNAL

from .e2e.load import Loading, Sample, Scenario
from .e2e.workshop import Unavailable, Workshop

WORKERS = 8
CONNECTIONS = 200
OVER = 10
"""Times the limit that is asked for."""
PACE = 500
BURST = 50
"""Of each of two keys: requests a second, and at once."""
TOGETHER = 1000
"""Requests a second that three gateways let through."""
NEAR = 0.01
COMMANDS = 1 / 20
"""Of Redis, a request, at AT requests a second."""
AT = 20000
IN_TIME = 0.1
"""Seconds until what is declared happens."""
SLOWER = 1.1
"""p99 of other routes, in parts of that without a fault."""

Judged = dict[str, bool]


class Decision(NamedTuple):
    at: int
    key: int
    allowed: bool


def limited(**settings: object) -> list[dict[str, object]]:
    return [{"use": "rate_limit", **settings}]


def load(
    workshop: Workshop, gateway: Gateway, key: str, connections: int, rate: float, seconds: float
) -> Loading:
    port = int(gateway.address.rpartition(":")[2])
    arguments = ("--path", "/", "--expect-status", "0", "--header", f"X-Key: {key}")
    scenario = Scenario("limited", "limited", arguments)
    return Loading(workshop.load, port, scenario, seconds=seconds, warm=0, connections=connections, rate=rate)


def decisions(journal: Path) -> list[Decision]:
    words = array.array("Q")
    with journal.open("rb") as file:
        words.frombytes(file.read(24))
        count, room = words[0], words[1]
        if count > room:
            raise RuntimeError(f"{count} decisions, and room for {room}: ask for less")
        words = array.array("Q")
        words.frombytes(file.read(24 * count))
    found = zip(words[::3], words[1::3], words[2::3], strict=True)
    return [Decision(at, key, bool(allowed)) for at, key, allowed in found if at]


# One machine


def one_machine(workshop: Workshop, seconds: float, *, kill: bool) -> Judged:
    rate: Rate = (PACE, 1, BURST)
    routes = [
        {
            "path": "/",
            "policies": limited(rate=f"{PACE}/s", burst=BURST, key="header:X-Key"),
            "respond": {"body": "pong"},
        }
    ]
    config = routed(routes, server={"workers": WORKERS})
    with tempfile.TemporaryDirectory(prefix="limits-") as directory:
        journal = Path(directory, "journal")
        with Gateway(config, env={**os.environ, JOURNAL: str(journal)}) as gateway:
            loads = [
                load(workshop, gateway, key, CONNECTIONS // 2, PACE * OVER, seconds) for key in ("a", "b")
            ]
            killed = 0
            if kill:
                time.sleep(seconds / 2)
                os.kill(gateway.workers[0], signal.SIGKILL)
                killed = time.monotonic_ns()
            samples = [each.result() for each in loads]
        found = decisions(journal)
    differing = wrong(found, [rate])
    allowed = sum(each.allowed for each in found)
    span = (max(each.at for each in found) - min(each.at for each in found)) / 1e9
    times = len(found) / span / (2 * PACE)
    asked = sum(sample.answered for sample in samples)
    print(
        f"{WORKERS} workers{', one killed' if kill else ''}: {len(found):,} decisions in {span:.1f} s,"
        f" {times:.1f} x the limit, {allowed:,} allowed; {asked:,} answers"
    )
    if not kill:
        return {
            f"decisions that the reference would not have made: {len(differing)}": not differing,
            f"asked for at least {OVER * 0.9:g} x the limit: {times:.1f} x": times >= OVER * 0.9,
            f"every answer was decided: {asked:,} of {len(found):,}": asked <= len(found),
        }
    after = [each for each in found if each.at > killed and each.allowed]
    left = (max(each.at for each in found) - killed) / 1e9
    share = len(after) / (2 * PACE * left)
    keys = {each.key for each in after}
    return {
        # One decision may have been made and not written down.
        f"one killed: decisions that differ, at most one for each key: {len(differing)}": len(differing) <= 2,
        f"no key locked: {len(keys)} of 2 go on, at {share:.1%} of the limit": len(keys) == 2
        and abs(share - 1) < 0.05,
    }


# Many machines


def together(workshop: Workshop, seconds: float, gateways: int) -> Judged:
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        policies = limited(
            rate=f"{TOGETHER}/s",
            burst=TOGETHER // 10,
            key="header:X-Key",
            store="redis",
            redis=redis.url,
            timeout="2s",
            on_failure="closed",
        )
        config = routed(
            [{"path": "/", "policies": policies, "respond": {"body": "pong"}}],
            admin={"listen": "127.0.0.1:0"},
        )
        running = [stack.enter_context(Gateway(config)) for _ in range(gateways)]
        before = redis.scripts()
        began = time.monotonic()
        loads = [
            load(workshop, each, "a", CONNECTIONS // gateways, AT / gateways, seconds) for each in running
        ]
        samples: list[Sample] = [each.result() for each in loads]
        commands = redis.scripts() - before
        lost = sum(count(each, "tetrapylon_limit_store_failures_total{") for each in running)
        allowed = sum(count(each, "http_server_request_duration_seconds_count{", "2xx") for each in running)
    asked = sum(sample.answered for sample in samples)
    due = TOGETHER * seconds + TOGETHER // 10
    each = commands / asked
    rate = asked / seconds
    print(
        f"{gateways} gateway(s) and a Redis: {rate:,.0f} requests a second of {AT:,} asked for,"
        f" {allowed:,} allowed, {commands:,} commands, {lost} not counted; {time.monotonic() - began:.1f} s"
    )
    judged = {
        f"{gateways} gateway(s) allow {allowed / due - 1:+.2%} of {due:,.0f}": abs(allowed / due - 1) <= NEAR,
        f"{gateways} gateway(s), commands a request: 1/{1 / each:.1f} at {rate:,.0f} a second": each
        <= COMMANDS,
    }
    return judged


def count(gateway: Gateway, series: str, label: str = "") -> int:
    """The sum of all series that begin so and have this in their labels."""
    lines = metrics(gateway).splitlines()
    found = [line for line in lines if line.startswith(series) and label in line]
    return sum(int(float(line.rpartition(" ")[2])) for line in found)


# Faults


def faults(rate: float, seconds: float, turns: int, behaviour: str) -> Judged:
    """Turns of Redis failing and well; each beside those around it."""
    expected = {"closed": {200, 429, 503}, "open": {200, 429}, "local": {200, 429}}[behaviour]
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        policies = limited(
            rate=f"{rate / 10:g}/s",
            burst=10,
            key="client",
            store="redis",
            redis=redis.url,
            timeout="50ms",
            on_failure=behaviour,
        )
        routes: list[dict[str, Any]] = [
            {"path": "/", "policies": policies, "respond": {"body": "pong"}},
            {"path": "/free", "respond": {"body": "pong"}},
        ]
        gateway = stack.enter_context(Gateway(routed(routes)))
        counted = stack.enter_context(Traffic(gateway.address, rate))
        free = stack.enter_context(Traffic(gateway.address, rate, "/free"))
        acts: list[Callable[[], object]] = [redis.kill, redis.start, redis.freeze, redis.thaw]
        marks = [counted.run(2.0)]
        for turn in range(4 * turns + 1):
            if turn:
                acts[(turn - 1) % 4]()
            marks.append(counted.run(seconds))
        answers, others = counted.stop(), free.stop()
        said = gateway.stderr
    bad = Answers(each for each in answers if each.status not in expected)
    slow = [each for each in answers if each.took > IN_TIME]
    spans = [others.between(*pair) for pair in pairwise(marks)]
    times = [span.quantile(0.99) for span in spans]
    ratios = [2 * times[at] / (times[at - 1] + times[at + 1]) for at in range(1, len(times), 2)]
    ratio = statistics.median(ratios)
    print(f"on_failure {behaviour}: {dict(answers.statuses)}; p99 of others, ms, well and failing in turn:")
    print(" ", *(f"{took * 1000:.2f}" for took in times))
    name = f"Redis killed and frozen {turns} times each, on_failure {behaviour}"
    return {
        f"{name}: other answers {dict(bad.statuses)}": not bad and "Traceback" not in said,
        f"{name}: later than {IN_TIME * 1000:g} ms: {len(slow)} of {len(answers):,}"
        f" (slowest {max(each.took for each in answers) * 1000:.0f} ms)": not slow,
        f"{name}: other routes' p99 {ratio:.2f} x ({min(ratios):.2f} to {max(ratios):.2f})": ratio <= SLOWER,
        f"{name}: other routes fail {len(others.failures)}": not others.failures,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of the scenes with a full load")
    parser.add_argument(
        "--rate", type=float, default=500, help="requests a second of each route, with faults"
    )
    parser.add_argument("--turns", type=int, default=4, help="that Redis is killed and frozen")
    parser.add_argument("--only", choices=("machine", "redis", "faults"), help="one scene")
    options = parser.parse_args()
    judged: Judged = {}
    try:
        workshop = Workshop()
        workshop.prepare(())
        if options.only in (None, "machine"):
            judged |= one_machine(workshop, options.seconds, kill=False)
            judged |= one_machine(workshop, options.seconds, kill=True)
        if options.only in (None, "redis"):
            judged |= together(workshop, options.seconds, 3)
            judged |= together(workshop, options.seconds, 1)
        if options.only in (None, "faults"):
            for behaviour in ("local", "closed", "open"):
                judged |= faults(options.rate, options.seconds / 4, options.turns, behaviour)
    except (Unavailable, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    for text, holds in judged.items():
        print(f"{'met    ' if holds else 'NOT MET'} {text}")
    return 0 if all(judged.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
