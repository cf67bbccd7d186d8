"""What makes a move go back: a worse service always, chance next to never."""

import random
from collections.abc import Sequence

import pytest

from tetrapylon._core.shared.moves import Moves
from tetrapylon.moving.judge import Counts, Limits, Window, excess, quantile, regression, wilson

EDGES = Moves(1).edges
LIMITS = Limits(errors=0.005, client_errors=0.02, p95=0.2, different=None)


def times(seconds: Sequence[float]) -> list[int]:
    moves = Moves(1)
    for each in seconds:
        moves.note("r", True, seconds=each)
    return moves.counts("r", True)[4]


def side(ended: int, errors: int = 0, refusals: int = 0, late: int = 0) -> Counts:
    return Counts(ended, errors, refusals, [0] * len(EDGES), late)


def why(old: Counts, new: Counts, limits: Limits = LIMITS) -> str | None:
    return regression(Window(old, new), limits, EDGES)


def test_the_bounds_are_those_of_the_literature() -> None:
    # Newcombe (1998), table II, method 10 at 95%: 56/70 against 48/80, and 9/10 against 3/10.
    assert excess(56, 70, 48, 80, z=1.96) == pytest.approx(0.0524, abs=5e-5)
    assert excess(9, 10, 3, 10, z=1.96) == pytest.approx(0.1705, abs=5e-5)
    # Newcombe (1998), Two-sided intervals for the single proportion, table I, method 3: 81/263 and 0/20.
    assert wilson(81, 263, 1.96) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20, 1.96) == pytest.approx((0.0, 0.1611), abs=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (side(100), side(5, 5), "errors: 5 of 5"),
        (side(1000, 1), side(100, 10), "errors: 10 of 100"),
        (side(100), side(0, late=6), "6 of them without an answer for long"),
        (side(1000), side(200, refusals=60), "client errors: 60 of 200"),
    ],
)
def test_a_worse_service_goes_back(old: Counts, new: Counts, word: str) -> None:
    found = why(old, new)
    assert found is not None
    assert word in found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (side(100), side(4, 4)),  # so few tell nothing
        (side(1000, 500), side(100, 50)),  # the old side is no better
        (side(1000), side(1000, 4)),  # within what is allowed
        (side(0), side(50, 50)),  # nothing to compare with
        (side(1000, refusals=200), side(100, refusals=24)),
    ],
)
def test_a_service_that_is_no_worse_stays(old: Counts, new: Counts) -> None:
    assert why(old, new) is None


def test_what_is_not_looked_at_sends_nobody_back() -> None:
    limits = Limits(None, None, None, None)
    assert why(side(1000), side(1000, 1000, 1000), limits) is None


def test_times_are_compared_by_their_p95() -> None:
    rng = random.Random(1)
    slow = [rng.lognormvariate(-3, 0.5) * 1.5 for _ in range(2000)]
    fast = [rng.lognormvariate(-3, 0.5) for _ in range(20000)]
    old, new = (Counts(len(each), 0, 0, times(each)) for each in (fast, slow))
    found = why(old, new)
    assert found is not None
    assert found.startswith("p95: ")
    assert why(old, Counts(20000, 0, 0, times([each * 1.1 for each in fast]))) is None


def test_a_quantile_is_known_to_three_percent() -> None:
    rng = random.Random(2)
    drawn = sorted(rng.lognormvariate(-4, 1) for _ in range(10001))
    found = quantile(times(drawn), EDGES, 0.95)
    assert found is not None
    middle, low, high = found
    assert middle == pytest.approx(drawn[int(0.95 * 10001)], rel=0.032)
    assert low < middle < high
    assert quantile(times(drawn[:100]), EDGES, 0.95) is None, "too few to bound it"


def test_chance_sends_next_to_nobody_back() -> None:
    """Of 400 steps whose sides are alike, looked at 150 times each: at most two go back."""
    rng = random.Random(3)
    back = 0
    for _ in range(400):
        rate = rng.choice([0.0, 0.001, 0.01, 0.1, 0.5])
        old, new = [0, 0, 0], [0, 0, 0]
        slots = {False: [0] * len(EDGES), True: [0] * len(EDGES)}
        drawn = times([rng.lognormvariate(-4, 1) for _ in range(300)])
        cells = [at for at, count in enumerate(drawn) for _ in range(count)]
        for look in range(150):
            for _ in range(20):
                moved = rng.random() < 0.1
                tally = new if moved else old
                tally[0] += 1
                tally[1] += rng.random() < rate
                tally[2] += rng.random() < rate
                slots[moved][rng.choice(cells)] += 1
            sides = [
                Counts(tally[0], tally[1], tally[2], slots[moved])
                for moved, tally in ((False, old), (True, new))
            ]
            limits = LIMITS if look % 10 == 9 else LIMITS._replace(p95=None)
            if regression(Window(*sides), limits._replace(errors=0.0, client_errors=0.0), EDGES):
                back += 1
                break
    assert back <= 2
