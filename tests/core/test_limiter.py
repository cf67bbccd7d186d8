"""The adaptive limit, told from latencies alone."""

from tetrapylon._core.upstreams.limiter import Limiter


def test_the_limit_grows_while_latency_stays_low_and_the_limit_is_used() -> None:
    limiter = Limiter(initial=8, most=100)
    for _ in range(200):
        limiter.feed(0.010)
    assert limiter.limit == 100


def test_the_limit_stays_where_it_is_not_used() -> None:
    limiter = Limiter(initial=8, most=100)
    for _ in range(50):
        limiter.feed(0.010, active=1)
    assert limiter.limit == 8


def test_the_limit_shrinks_when_requests_queue_over_there() -> None:
    limiter = Limiter(initial=64, most=100)
    for _ in range(10):
        limiter.feed(0.010)
    high = limiter.limit
    for _ in range(50):
        limiter.feed(0.100)
    assert limiter.limit < high / 3


def test_it_finds_the_capacity_of_a_server_with_so_many_places() -> None:
    """A server of 10 places and 10 ms: with `limit` under way a request takes limit / 10 times as long."""
    limiter = Limiter(initial=64, most=200)
    limiter.feed(0.010, active=1)
    for _ in range(500):
        limiter.feed(0.010 * max(1.0, limiter.limit / 10))
    assert 10 <= limiter.limit <= 25


def test_failures_shrink_it_to_its_least() -> None:
    limiter = Limiter(initial=64, least=5)
    limiter.feed(0.001, count=500, good=False)
    assert limiter.limit == 5
