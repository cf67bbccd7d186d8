"""What happens to the targets, and what the clients of one gateway saw of it."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.faults.target import Target
from tests.faults.traffic import Answers, Traffic

from ..e2e.process import Gateway
from ..e2e.workshop import Workshop
from ..peers import Peer, envoy, haproxy, nginx, tetrapylon

INTERVAL = 1.0
"""Seconds between two checks, in all configs of this benchmark."""
NORMAL = 0.05
"""Seconds: a p99 below it is a normal one. A try is given up after five times as long."""
CALM = 4.0
LAG = 0.5
"""Seconds by which the load generator may be late."""
REFUSED_IN = 0.05

Act = Callable[[Target], object]


class Fault(NamedTuple):
    name: str
    fail: Act
    mend: Act


ONE_OF_THREE = (
    Fault("killed", Target.kill, Target.restart),
    Fault("frozen", Target.freeze, Target.thaw),
    Fault("slow", lambda target: target.say("slow", 2), lambda target: target.say("well")),
    Fault("500", lambda target: target.say("status", 500), lambda target: target.say("well")),
)


PEERS = {
    "tetrapylon": tetrapylon.PLAIN.with_config("faults.yaml"),
    "haproxy": haproxy.PEER.with_config("faults.cfg"),
    "envoy": envoy.PEER.with_config("faults.yaml"),
    "nginx": nginx.PEER.with_config("faults.conf"),
}


class Span(msgspec.Struct):
    """One target failing for a while. Times in seconds."""

    fault: str
    requests: int
    failed: int
    worst_p99: float
    """Of a tenth of a second, later than two intervals after a change."""
    calm_after: float
    """From the change on until no tenth of a second had a p99 that is not normal."""


class Outage(msgspec.Struct):
    """All targets killed, then begun anew."""

    requests: int
    prompt: float
    """The share answered 503 within 50 ms, once an interval was over and the checks had noticed."""
    slowest: float
    recovery: float
    """Until all were answered well, from when the targets were back."""


class Surge(msgspec.Struct):
    """All targets answer 500."""

    requests: int
    at_targets: int


class Result(msgspec.Struct):
    system: str
    version: str
    spans: list[Span]
    outage: Outage
    surge: Surge

    @property
    def requests(self) -> int:
        return sum(span.requests for span in self.spans)

    @property
    def failed(self) -> int:
        return sum(span.failed for span in self.spans)


class Stage:
    """One gateway before three targets."""

    def __init__(self, stack: ExitStack, workshop: Workshop, peer: Peer, directory: Path) -> None:
        self.targets = [stack.enter_context(Target()) for _ in range(3)]
        values = {}
        for word, target in zip(("ONE", "TWO", "THREE"), self.targets, strict=True):
            values[word] = target.address
            values[f"{word}_PORT"] = target.address.rpartition(":")[2]
        peer = replace(peer, values=values)
        self.gateway = stack.enter_context(
            Gateway(peer, workshop.program(peer), 0, directory, path=workshop.path)
        )
        self.address = f"127.0.0.1:{self.gateway.port}"

    def stop(self, traffic: Traffic) -> Answers:
        """Raises RuntimeError where the load was not what it should have been."""
        answers = traffic.stop()
        if traffic.lag > LAG:
            raise RuntimeError(
                f"the load generator was late by {traffic.lag:.1f} s: this machine is too busy"
            )
        return answers

    def one_of_three(self, rate: float, seconds: float) -> list[Span]:
        spans = []
        with Traffic(self.address, rate) as traffic:
            traffic.run(CALM)
            marks = []
            for fault in ONE_OF_THREE:
                began = time.monotonic()
                fault.fail(self.targets[1])
                mended = traffic.run(seconds)
                fault.mend(self.targets[1])
                marks.append((fault.name, began, mended, traffic.run(CALM)))
            answers = self.stop(traffic)
        for name, began, mended, ended in marks:
            here = answers.between(began, ended)
            failing, after = here.between(began, mended), here.between(mended, ended)
            settled = [
                *failing.between(began + 2 * INTERVAL, mended).slices(0.1),
                *after.between(mended + 2 * INTERVAL, ended).slices(0.1),
            ]
            spans.append(
                Span(
                    name,
                    len(here),
                    len(here.failures),
                    max((part.quantile(0.99) for part in settled), default=0.0),
                    max(calm_after(failing, began), calm_after(after, mended)),
                )
            )
        return spans

    def all_down(self, rate: float, seconds: float) -> Outage:
        with Traffic(self.address, rate) as traffic:
            traffic.run(1.0)
            for target in self.targets:
                target.kill()
            noticed = traffic.run(3 * INTERVAL)
            down = traffic.run(seconds)
            for target in self.targets:
                target.restart()
            back = time.monotonic()
            traffic.run(4 * INTERVAL)
            answers = self.stop(traffic)
        dark = answers.between(noticed, down)
        prompt = [each for each in dark if each.status == 503 and each.took <= REFUSED_IN]
        bad = [each.due for each in answers.between(back, float("inf")) if each.status != 200]
        return Outage(
            len(dark),
            len(prompt) / max(1, len(dark)),
            max((each.took for each in dark), default=0.0),
            max((due - back for due in bad), default=0.0),
        )

    def all_500(self, rate: float, seconds: float) -> Surge:
        """Counted for as long as a budget looks back, under a load that was the same before."""
        with Traffic(self.address, rate) as traffic:
            traffic.run(seconds)
            for target in self.targets:
                target.say("health", 200)
                target.say("status", 500)
            before = sum(target.requests for target in self.targets)
            began = time.monotonic()
            traffic.run(seconds)
            answers = self.stop(traffic)
        asked = sum(target.requests for target in self.targets) - before
        return Surge(len(answers.between(began, float("inf"))), asked)


def calm_after(answers: Answers, change: float) -> float:
    last = 0.0
    for part in answers.slices(0.1):
        if part and part.quantile(0.99) > NORMAL:
            last = part[-1].due - change
    return last


def measure(names: Sequence[str], rate: float, seconds: float) -> list[Result]:
    workshop = Workshop()
    peers = [PEERS[name] for name in names]
    workshop.prepare(tuple(peers))
    results = []
    for name, peer in zip(names, peers, strict=True):
        with ExitStack() as stack:
            stage = Stage(stack, workshop, peer, workshop.build / "run" / "faults" / name)
            result = Result(
                name,
                workshop.version(peer),
                stage.one_of_three(rate, seconds),
                stage.all_down(rate / 5, seconds / 2),
                stage.all_500(rate / 5, seconds),
            )
        print(msgspec.json.encode(result).decode(), flush=True)
        results.append(result)
    return results
