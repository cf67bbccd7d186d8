"""`python -m benchmarks.faults.overload`: what an upstream that has become slow does to clients.

Two scenes: one whose capacity falls to a fifth, behind an adaptive limit; and a second upstream, which is
sent copies and freezes. Exit status 1: a bar is not met.
"""

import argparse
import statistics
import sys
from contextlib import ExitStack
from itertools import pairwise

from tests.faults.traffic import Answers, Traffic

from ..e2e.workshop import Unavailable, Workshop
from ..peers import tetrapylon
from .scenes import Stage

PLACES = 20
"""Requests that the upstream works on at once; then a fifth of them."""
WORK = 0.01
"""Seconds that each takes."""
LEARNING = 5.0
"""Seconds that a limit is given to find itself."""
GOODPUT = 0.9
SLOWER = 2.0
MIRRORED = 1.05


def good(answers: Answers) -> Answers:
    return Answers(each for each in answers if each.status == 200)


def narrowed(stage: Stage, seconds: float) -> dict[str, bool]:
    """Under a load of half of what it can take at first."""
    target = stage.targets[0]
    target.say("places", PLACES, WORK)
    capacity = PLACES / 5 / WORK
    with Traffic(stage.address, PLACES / WORK / 2, "/narrow") as traffic:
        began = traffic.run(LEARNING)
        cut = traffic.run(seconds)
        target.say("places", PLACES // 5, WORK)
        settled = traffic.run(LEARNING)
        ended = traffic.run(seconds)
        answers = stage.stop(traffic)
    normal, less = answers.between(began, cut), good(answers.between(settled, ended))
    share = len(less) / (ended - settled) / capacity
    usual, now = normal.quantile(0.99), less.quantile(0.99)
    other = answers.between(settled, ended).statuses - less.statuses
    print(f"before: {len(good(normal)) / (cut - began):.0f} a second, p99 {usual * 1000:.1f} ms")
    print(
        f"at a fifth: {share:.1%} of {capacity:.0f} a second, p99 {now * 1000:.1f} ms; others {dict(other)}"
    )
    return {
        f"goodput at least {GOODPUT:.0%} of the new capacity: {share:.1%}": share >= GOODPUT,
        f"p99 below {SLOWER:g} x the normal: {now / usual:.2f} x": now < SLOWER * usual,
    }


def frozen(stage: Stage, rate: float, seconds: float, turns: int) -> dict[str, bool]:
    """Turns of the second upstream frozen and well; each frozen one beside those around it."""
    second = stage.targets[2]
    with Traffic(stage.address, rate) as traffic:
        marks = [traffic.run(LEARNING)]
        for turn in range(2 * turns + 1):
            if turn:
                (second.freeze if turn % 2 else second.thaw)()
            marks.append(traffic.run(seconds))
        answers = stage.stop(traffic)
    spans = [answers.between(*pair) for pair in pairwise(marks)]
    times = [span.quantile(0.99) for span in spans]
    ratios = [2 * times[at] / (times[at - 1] + times[at + 1]) for at in range(1, len(times), 2)]
    print("p99, ms, well and frozen in turn:", *(f"{time * 1000:.2f}" for time in times))
    ratio = statistics.median(ratios)
    failed = len(answers) - len(good(answers))
    return {
        f"second upstream frozen: p99 at most {MIRRORED:g} x: {ratio:.2f} x"
        f" ({min(ratios):.2f} to {max(ratios):.2f}, {turns} turns)": ratio <= MIRRORED,
        f"and no request failed: {failed} of {len(answers):,}": failed == 0,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.overload", description=__doc__)
    parser.add_argument("--rate", type=float, default=1000, help="requests a second that are copied")
    parser.add_argument("--seconds", type=float, default=10, help="that the narrow upstream is watched")
    parser.add_argument("--turns", type=int, default=7, help="that the second upstream is frozen")
    options = parser.parse_args()
    peer = tetrapylon.PLAIN.with_config("overload.yaml")
    try:
        workshop = Workshop()
        workshop.prepare((peer,))
        with ExitStack() as stack:
            stage = Stage(stack, workshop, peer, workshop.build / "run" / "overload")
            judged = narrowed(stage, options.seconds)
            judged |= frozen(stage, options.rate, options.seconds / 2, options.turns)
    except (Unavailable, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    for text, holds in judged.items():
        print(f"{'met    ' if holds else 'NOT MET'} {text}")
    return 0 if all(judged.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
