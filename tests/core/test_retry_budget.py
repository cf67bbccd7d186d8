"""The account of retries."""

import pytest

from tetrapylon._core.upstreams.retry import Budget

SECOND = 1_000_000_000


def test_a_budget_is_a_share_of_the_requests_of_the_window() -> None:
    budget = Budget(0.2)
    assert budget.spend(1000, 1000, 100 * SECOND) == 200
    assert budget.spend(0, 10, 101 * SECOND) == 0
    assert budget.spend(100, 1000, 102 * SECOND) == 20


def test_what_is_older_than_the_window_counts_no_more() -> None:
    budget = Budget(0.2)
    assert budget.spend(1000, 200, 100 * SECOND) == 200
    assert budget.spend(100, 1000, 111 * SECOND) == 20


def test_a_few_retries_are_allowed_whatever_the_traffic() -> None:
    budget = Budget(0.2)
    assert budget.spend(1, 10, 100 * SECOND) == 3


def test_a_budget_of_nothing_allows_nothing() -> None:
    assert Budget(0.0).spend(1000, 10, 100 * SECOND) == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_over_any_span_retries_stay_within_the_share(share: float) -> None:
    budget = Budget(share)
    requests = retries = 0
    for tick in range(400):
        requests += 50
        retries += budget.spend(50, 50, (1000 + tick) * SECOND // 4)
    assert retries <= share * requests + 3


@pytest.mark.parametrize("calm", [3, 20, 100])
def test_any_ten_seconds_have_retries_within_the_share_of_their_own_requests(calm: int) -> None:
    """What a quiet time before an outage left unspent is spent in it once."""
    budget = Budget(0.2)
    granted = [
        budget.spend(50, 0 if tick < calm else 100, 1000 * SECOND + tick * SECOND // 4)
        for tick in range(400)  # of a quarter of a second
    ]
    for begin in range(400 - 40):
        assert sum(granted[begin : begin + 40]) <= 0.2 * 50 * 40
