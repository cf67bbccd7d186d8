"""The bar: of 200 real differences all are found, of 200 pairs with noise alone at most one is reported."""

import pytest

from tests.diff import pairs
from tetrapylon.diff import Answer, Noise, Rules, compare
from tetrapylon.diff.compare import learn

SEEDS = range(5)
LEARNED = 40
"""Pairs of the primary with itself."""


@pytest.fixture(scope="module", params=SEEDS)
def learned(request: pytest.FixtureRequest) -> tuple[int, Noise]:
    noise = Noise()
    for left, right in pairs.themselves(request.param, LEARNED):
        learn(Answer(*left), Answer(*right), Rules(), noise)
    return request.param, noise


def test_every_real_difference_is_found(learned: tuple[int, Noise]) -> None:
    seed, noise = learned
    missed = [
        kind
        for kind, left, right in pairs.real(seed, 200)
        if not compare(Answer(*left), Answer(*right), Rules(), noise)
    ]
    assert missed == []


def test_of_noise_hardly_any_is_reported(learned: tuple[int, Noise]) -> None:
    seed, noise = learned
    reported = [
        (kind, found)
        for kind, left, right in pairs.noisy(seed, 200)
        if (found := compare(Answer(*left), Answer(*right), Rules(), noise))
    ]
    assert len(reported) <= 1, reported
