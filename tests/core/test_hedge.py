"""The percentile after which a request is asked twice: near the real one, and following it."""

import random
from collections.abc import Iterator

import pytest
import uvloop

from tetrapylon._core.reactor import Reactor
from tetrapylon._core.upstreams.hedge import Hedge


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    loop = uvloop.new_event_loop()
    yield Reactor(loop)
    loop.close()


@pytest.mark.parametrize("percentile", [0.5, 0.9, 0.95, 0.99])
def test_it_finds_the_percentile_of_what_answers_take(reactor: Reactor, percentile: float) -> None:
    draw = random.Random(7)
    times = [draw.expovariate(1 / 0.02) for _ in range(20_000)]
    hedge = Hedge(reactor, percentile=percentile)
    estimates = [hedge.feed([took]) for took in times][5000:]
    real = sorted(times)[int(percentile * len(times))]
    assert sum(estimates) / len(estimates) == pytest.approx(real, rel=0.25)


def test_it_follows_a_change_within_some_hundred_answers(reactor: Reactor) -> None:
    hedge = Hedge(reactor, percentile=0.9)
    assert hedge.feed([0.01] * 1000) == pytest.approx(0.01, rel=0.1)
    assert hedge.feed([0.1] * 100) == pytest.approx(0.1, rel=0.1)
    assert hedge.feed([0.01] * 1000) == pytest.approx(0.01, rel=0.1)
