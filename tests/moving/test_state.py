"""A move's steps: what each waits for, who approves it, and what sends all requests back."""

from typing import Any

import pytest

from tetrapylon._core.shared.moves import Moves
from tetrapylon.moving import Counts, Limits, Move, Settings, Window
from tetrapylon.moving.state import Refusal

EDGES = Moves(1).edges
NONE = Counts(0, 0, 0, [0] * len(EDGES))
GOOD = Counts(1000, 0, 0, [0] * len(EDGES))
BAD = Counts(1000, 1000, 0, [0] * len(EDGES))


def settings(**more: Any) -> Settings:
    given: dict[str, Any] = {
        "to": "new",
        "compared": 100,
        "different": 0.01,
        "steps": (0.1, 0.5, 1.0),
        "hold": 60.0,
        "requests": 10,
        "approve": "each",
        "limits": Limits(0.005, 0.02, 0.2, 0.01),
    }
    return Settings(**given | more)


class Running:
    def __init__(self, **more: Any) -> None:
        self.settings = settings(**more)
        self.move = Move("users", "new")
        self.now = 0.0
        self.found = (0, 0)

    def look(self, new: Counts = GOOD, *, after: float = 1.0, differ: tuple[int, int] = (0, 0)) -> bool:
        self.now += after
        return self.move.decide(self.settings, self.now, Window(GOOD, new), self.found, differ, EDGES)

    def approve(self) -> None:
        self.move.approve(self.settings, self.now, self.found, "a test")

    @property
    def at(self) -> tuple[str, float]:
        return self.move.where, self.move.share


def test_nothing_begins_before_enough_was_compared_and_is_alike() -> None:
    running = Running()
    for found in (99, 0), (100, 1), (1000, 10):
        running.found = found
        assert not running.look()
        with pytest.raises(Refusal, match="wanted are 100"):
            running.approve()
    assert running.at == ("comparing", 0.0)
    running.found = (1001, 10)
    assert running.look()
    assert running.at == ("proposed", 0.0)
    assert "10 of 1001 answers differ" in running.move.why


def test_each_step_is_held_then_proposed_then_approved() -> None:
    running = Running()
    running.found = (100, 0)
    running.look()
    for share, following in (0.1, 0.5), (0.5, 1.0):
        running.approve()
        assert running.at == ("holding", share)
        assert not running.look(after=59)
        with pytest.raises(Refusal, match="still being held"):
            running.approve()
        assert not running.look(NONE, after=2), "held for long enough, but by too few requests"
        assert running.look()
        assert running.at == ("proposed", share)
        assert f"{following:g} is next" in running.move.why
    running.approve()
    assert running.at == ("holding", 1.0)
    assert running.look(after=61)
    assert running.at == ("moved", 1.0)
    with pytest.raises(Refusal, match="nothing is left"):
        running.approve()
    assert [step.what for step in running.move.steps] == [
        *["proposed", "approved"] * 3,
        "moved",
    ]
    assert running.move.steps[2].evidence["new"]["requests"] == 1000


def test_only_the_first_step_or_none_waits_for_approval_where_that_is_asked() -> None:
    for approve in "first", "never":
        running = Running(approve=approve)
        running.found = (100, 0)
        running.look()
        if approve == "first":
            assert running.at == ("proposed", 0.0)
            running.approve()
        for share in 0.1, 0.5, 1.0:
            assert running.at == ("holding", share)
            running.look(after=61)
        assert running.at == ("moved", 1.0)


def test_without_a_shadow_it_is_proposed_at_once() -> None:
    running = Running(compared=0, different=0.0)
    assert running.look()
    assert running.at == ("proposed", 0.0)


@pytest.mark.parametrize("approve", ["each", "never"])
def test_a_regression_sends_all_back_and_it_stays_there(approve: str) -> None:
    running = Running(approve=approve)
    running.found = (100, 0)
    running.look()
    if approve == "each":
        running.approve()
    assert running.look(BAD)
    assert running.at == ("back", 0.0)
    assert "errors: 1000 of 1000" in running.move.why
    assert running.move.steps[-1].evidence["new"]["errors"] == 1000
    for _ in range(10):
        assert not running.look(after=100)
    running.approve()
    assert running.at == ("holding", 0.1)


def test_a_step_that_waits_for_approval_is_watched_still() -> None:
    running = Running()
    running.found = (100, 0)
    running.look()
    running.approve()
    running.look(after=61)
    assert running.at == ("proposed", 0.1)
    assert running.look(BAD)
    assert running.at == ("back", 0.0)


def test_answers_that_begin_to_differ_send_it_back() -> None:
    running = Running()
    running.found = (100, 0)
    running.look()
    running.approve()
    assert not running.look(differ=(50, 1))
    assert running.look(differ=(200, 60))
    assert running.at == ("back", 0.0)
    assert "60 of 200" in running.move.why


def test_people_send_it_back_too() -> None:
    running = Running()
    with pytest.raises(Refusal, match="already"):
        running.move.back(0.0, "no reason")
    running.found = (100, 0)
    running.look()
    running.approve()
    running.move.back(running.now, "the phone rings")
    assert running.at == ("back", 0.0)
    assert running.move.told(running.settings, (100, 0))["why"] == "the phone rings"
