"""Requests in flight, summed over processes; those of a process that was killed are gone with it."""

import signal
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.forks import Fork
from tests.harness.wait import eventually
from tetrapylon._core.limiting.kept import Kept
from tetrapylon._core.shared.flights import Flights


@pytest.fixture
def flights() -> Flights:
    made = Flights(8, 256)
    made.claim()
    return made


def wait_for(flights: Flights, key: bytes, count: int) -> None:
    eventually(lambda: flights.aloft(key) == count, f"{count} in flight")


def stays(flights: Flights, keys: list[bytes]) -> Callable[[], None]:
    def work() -> None:
        flights.claim()
        for key in keys:
            assert flights.board(key, 100)
        signal.pause()

    return work


def test_as_many_as_may_be_are_in_flight(flights: Flights) -> None:
    assert [flights.board(b"a", 2) for _ in range(3)] == [True, True, False]
    assert flights.board(b"b", 2)
    flights.land(b"a")
    assert flights.aloft(b"a") == 1
    assert flights.board(b"a", 2)


def test_processes_are_summed(flights: Flights) -> None:
    fork = Fork(stays(flights, [b"a", b"a", b"b"]))
    wait_for(flights, b"b", 1)
    assert flights.aloft(b"a") == 2
    assert flights.board(b"a", 3)
    assert flights.board(b"a", 3) is False
    fork.kill(signal.SIGKILL)


def test_a_killed_process_leaks_nothing(flights: Flights) -> None:
    fork = Fork(stays(flights, [b"a", b"a"]))
    wait_for(flights, b"a", 2)
    assert flights.board(b"a", 2) is False
    fork.kill(signal.SIGKILL)
    eventually(lambda: flights.board(b"a", 2) is True, "the dead one's are forgotten")


def test_a_successor_takes_the_place_of_the_dead(flights: Flights) -> None:
    for _ in range(20):
        fork = Fork(stays(flights, [b"a"]))
        wait_for(flights, b"a", 1)
        fork.kill(signal.SIGKILL)
    assert flights.aloft(b"a") == 1


def test_more_processes_than_regions_are_refused() -> None:
    flights = Flights(1, 256)
    fork = Fork(stays(flights, [b"a"]))
    wait_for(flights, b"a", 1)
    with pytest.raises(OSError, match="all 1 regions"):
        flights.claim()
    fork.kill(signal.SIGKILL)
    flights.claim()


def test_never_more_than_the_limit_however_they_race(flights: Flights) -> None:
    until = time.monotonic() + 1

    def race() -> int:
        flights.claim()
        most = 0
        while time.monotonic() < until:
            if flights.board(b"a", 3):
                most = max(most, flights.aloft(b"a"))
                flights.land(b"a")
        return most

    # A sum may hold one that is about to be refused, of each of the others.
    forks = [Fork(race) for _ in range(6)]
    assert max(fork.result() for fork in forks) <= 3 + 5
    assert flights.aloft(b"a") == 0


def test_a_region_without_room_says_so() -> None:
    flights = Flights(1, 256)
    flights.claim()
    boarded = [flights.board(b"%d" % i, 1) for i in range(5000)]
    assert set(boarded) == {True, None}
    assert boarded.count(True) == 256


def test_landing_what_is_not_in_flight_is_an_error(flights: Flights) -> None:
    with pytest.raises(KeyError):
        flights.land(b"a")


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 to 4096"):
        Flights(0, 256)


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(1, 300), st.integers(0, 2**64 - 1))
    )
)
def test_what_is_kept_for_exchanges_is_as_in_a_dict(steps: list[tuple[str, int, int]]) -> None:
    kept, model = Kept(), dict[int, int]()
    for verb, owner, value in steps:
        address = owner * 272
        if verb == "put":
            kept[address] = model[address] = value
        elif verb == "drop":
            del kept[address]
            model.pop(address, None)
        elif address in model:
            assert kept[address] == model[address]
        else:
            with pytest.raises(KeyError):
                kept[address]
        assert len(kept) == len(model)
