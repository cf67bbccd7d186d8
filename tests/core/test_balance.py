"""How a target is picked, told from the pickers alone."""

from collections import Counter

import pytest

from tetrapylon._core.upstreams.balance import ConsistentHash, LeastRequests, RandomTwo, RoundRobin, read_key
from tetrapylon._core.upstreams.target import Target


def targets(*weights: int) -> list[Target]:
    return [Target(f"10.0.0.{i}:80", host=b"", weight=weight) for i, weight in enumerate(weights)]


@pytest.mark.parametrize("weights", [(1,), (1, 1, 1), (5, 1, 1), (3, 2, 7, 1), (1000, 1)])
def test_round_robin_gives_each_target_its_weight_in_every_cycle(weights: tuple[int, ...]) -> None:
    some = targets(*weights)
    balancer = RoundRobin()
    for _ in range(3):
        picked = Counter(balancer.choose(some).name for _ in range(sum(weights)))
        assert [picked[target.name] for target in some] == list(weights)


def test_round_robin_spreads_a_heavy_target_over_the_cycle() -> None:
    some = targets(5, 1, 1)
    balancer = RoundRobin()
    order = [some.index(balancer.choose(some)) for _ in range(7)]
    assert order == [0, 0, 1, 0, 2, 0, 0]


def test_least_requests_takes_equals_in_turn() -> None:
    some = targets(1, 1, 1)
    balancer = LeastRequests()
    assert Counter(balancer.choose(some).name for _ in range(30)) == {target.name: 10 for target in some}


def test_random_two_reaches_every_target() -> None:
    some = targets(1, 1, 1, 1)
    balancer = RandomTwo()
    picked = Counter(balancer.choose(some).name for _ in range(4000))
    assert set(picked) == {target.name for target in some}
    assert max(picked.values()) < 1.3 * min(picked.values())


KEYS = [f"user-{i}".encode() for i in range(10_000)]


@pytest.mark.parametrize("count", [2, 3, 10, 50])
def test_hashing_moves_the_keys_of_the_target_that_goes_and_no_others(count: int) -> None:
    some = targets(*[1] * count)
    balancer = ConsistentHash("client")
    before = {key: balancer.place(some, key).name for key in KEYS}
    gone = some[count // 2]
    left = [target for target in some if target is not gone]
    moved = [key for key in KEYS if balancer.place(left, key).name != before[key]]
    assert moved
    assert all(before[key] == gone.name for key in moved)
    assert len(moved) <= 1.3 * len(KEYS) / count


def test_hashing_spreads_keys_by_weight() -> None:
    some = targets(1, 3)
    balancer = ConsistentHash("client")
    heavy = sum(balancer.place(some, key) is some[1] for key in KEYS)
    assert 0.72 < heavy / len(KEYS) < 0.78


def test_hashing_agrees_between_processes() -> None:
    """Two gateways, or two workers, lead a key to the same target, whatever the order in the config."""
    some = targets(1, 1, 1, 1, 1)
    one = [ConsistentHash("path").place(some, key).name for key in KEYS[:500]]
    other = [ConsistentHash("path").place(some[::-1], key).name for key in KEYS[:500]]
    assert one == other


@pytest.mark.parametrize("text", ["", "ip", "header", "header:", "cookie:", "query:", "header:Ü"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        read_key(text)
