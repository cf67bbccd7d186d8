"""Series: words in shared memory that get their names while the gateway runs."""

import os

import pytest

from tetrapylon._core.shared.series import DROPPED, Series, text_of
from tetrapylon._core.telemetry.counters import Slabs

NAME = text_of("tetrapylon_policy_refusals_total", {"policy": "api_key", "reason": 'a"b\\c'})


def test_a_name_is_written_as_prometheus_text_has_it() -> None:
    assert NAME == rb'tetrapylon_policy_refusals_total{policy="api_key",reason="a\"b\\c"}'
    assert text_of("plain") == b"plain"


def test_workers_count_for_themselves_and_are_summed() -> None:
    series = Series(2)
    series.add(0, NAME)
    series.add(1, NAME, 2)
    series.add(2, NAME, 4)  # the supervisor's
    assert dict(series.totals())[NAME.decode()] == 7


def test_another_process_finds_the_names_that_one_gave() -> None:
    series = Series(2)
    series.add(0, NAME)
    pid = os.fork()
    if pid == 0:
        series.add(1, NAME)
        series.add(1, b"of_the_child")
        os._exit(0)
    os.waitpid(pid, 0)
    assert dict(series.totals()) == {DROPPED.decode(): 0, NAME.decode(): 2, "of_the_child": 1}


def test_processes_that_name_at_the_same_moment_lose_nothing() -> None:
    series = Series(8)
    pids = []
    for worker in range(8):
        pid = os.fork()
        if pid == 0:
            for number in range(200):
                series.add(worker, b"name_%d" % number)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    totals = dict(series.totals())
    assert all(totals[f"name_{number}"] == 8 for number in range(200))


@pytest.mark.parametrize("name", [b"one_more", b"x" * 241], ids=["no room", "too long"])
def test_what_has_no_room_is_counted_together(name: bytes) -> None:
    series = Series(1, 3)
    for each in (b"first", b"second", name, name):
        series.add(0, each)
    assert dict(series.totals()) == {DROPPED.decode(): 2, "first": 1, "second": 1}


def test_what_is_true_now_ends_with_its_worker_and_counts_stay() -> None:
    slabs = Slabs(2, 0)
    for index in range(2):
        slabs.slab(index).count("gauge", {}, 3, gauge=True)
        slabs.slab(index).count("counter", {}, 3)
    slabs.slab(0).release()
    totals = dict(slabs.series.totals())
    assert (totals["gauge"], totals["counter"]) == (3, 6)


def test_a_gauge_goes_down_again() -> None:
    series = Series(1)
    series.add(0, b"open", 2, gauge=True)
    series.add(0, b"open", -1, gauge=True)
    assert dict(series.totals())["open"] == 1


def test_a_name_may_have_several_words() -> None:
    series = Series(2, 3, width=2, overflow=b"rest")
    for worker, name in ((0, b"a"), (1, b"a"), (1, b"b"), (0, b"no room")):
        series.add(worker, name)
    assert series.blocks() == [("a", [2, 0]), ("b", [1, 0]), ("rest", [1, 0])]


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_there_is_something_of_each(numbers: tuple[int, int, int]) -> None:
    workers, capacity, width = numbers
    with pytest.raises(ValueError, match="at least"):
        Series(workers, capacity, width=width)


def test_there_is_no_worker_but_those() -> None:
    with pytest.raises(IndexError):
        Series(1).add(2, b"name")
