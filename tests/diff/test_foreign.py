"""The bar once more, on answers in the shapes of public APIs: each case is a route with live noise."""

import pytest

from tests.diff import foreign
from tetrapylon.diff import Answer, Findings, Rules
from tetrapylon.diff.findings import Pair

SEEDS = (3, 6)
ASKED = 30
"""Requests of a case, of which the first 20 are asked twice."""
TWICE = 20


def different(case: foreign.Case, *, spoilt: int | None = None) -> int:
    """How many of its pairs differ; with `spoilt` all but the last come from the old side alone."""
    findings = Findings()
    order = [*range(1, ASKED), 0]
    for asked, n in enumerate(order):
        left = Answer(*case.old(n))
        again = Answer(*case.old(n)) if asked < TWICE else None
        right = case.new(n) if spoilt is None or n == spoilt else case.old(n)
        findings.take(Pair(case.name, "GET", f"/{n}", left, Answer(*right), again), Rules())
    return findings.routes[case.name].different()


@pytest.mark.parametrize("seed", SEEDS)
def test_one_pair_with_a_real_difference_is_found_and_no_other(seed: int) -> None:
    assert [case.name for case in foreign.real(seed) if different(case, spoilt=0) != 1] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_of_noise_hardly_any_is_reported(seed: int) -> None:
    reported = [case.name for case in foreign.noisy(seed) if different(case)]
    assert len(reported) <= 1, reported
