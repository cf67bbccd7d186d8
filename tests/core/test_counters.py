"""Counters in shared memory: exact sums, one writer a slab, nothing paid for routes never asked for."""

import mmap
import os
import sys
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.forks import Fork
from tetrapylon._core.shared.board import Board
from tetrapylon._core.shared.limits import Windows
from tetrapylon._core.shared.moves import Moves
from tetrapylon._core.telemetry.counters import (
    DURATION_BOUNDS,
    METHOD_NAMES,
    MOST_BOUNDS,
    OUTCOME_NAMES,
    REJECT_NAMES,
    SHARE_BOUNDS,
    Reject,
    Slab,
    Slabs,
    State,
    set_bounds,
)

SECOND = 1_000_000_000


def one(slab: Slab, route: int = 0, status: int = 200, total: int = 3_000_000, share: int = 20_000) -> None:
    slab.count_exchange(route, status, total, share, total - share, 100, 300)


def run_and_exit(work: Callable[[], None]) -> NoReturn:
    try:
        work()
    finally:
        os._exit(sys.exc_info()[0] is not None)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked child and gives its wait status."""
    pid = os.fork()
    if pid == 0:
        run_and_exit(work)
    return os.waitpid(pid, 0)[1]


def test_an_exchange_is_counted_once_in_every_number() -> None:
    slabs = Slabs(1, 3)
    slabs.slab(0).count_exchange(2, 404, 7_000_000, 30_000, 6_900_000, 120, 512)
    counts = slabs.totals().route(2)
    assert counts is not None
    by_outcome = dict(zip(OUTCOME_NAMES, counts["durations"], strict=True))
    assert {name: sum(h["buckets"]) for name, h in by_outcome.items() if any(h["buckets"])} == {"4xx": 1}
    assert by_outcome["4xx"]["buckets"].index(1) == bisect_left(DURATION_BOUNDS, 0.007)
    assert by_outcome["4xx"]["sum_ns"] == 7_000_000
    assert counts["gateway"]["buckets"].index(1) == bisect_left(SHARE_BOUNDS, 0.00003)
    assert (counts["upstream_ns"], counts["bytes_in"], counts["bytes_out"]) == (6_900_000, 120, 512)


@pytest.mark.parametrize("status", [0, 700, 99])
def test_what_has_no_status_class_counts_as_aborted(status: int) -> None:
    slabs = Slabs(1, 1)
    one(slabs.slab(0), status=status)
    counts = slabs.totals().route(0)
    assert counts is not None
    assert sum(counts["durations"][OUTCOME_NAMES.index("aborted")]["buckets"]) == 1


def test_bounds_are_those_that_opentelemetry_advises() -> None:
    milliseconds = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]
    assert [bound * 1000 for bound in DURATION_BOUNDS] == pytest.approx(milliseconds)
    assert SHARE_BOUNDS[0] == 10e-6
    assert list(SHARE_BOUNDS) == sorted(set(SHARE_BOUNDS))


def edges(bounds: tuple[float, ...]) -> list[int]:
    exact = [round(bound * SECOND) for bound in bounds]
    powers = [1 << bits for bits in range(64)]
    return sorted({0, 2**64 - 1, *(value + step for value in exact + powers for step in (-1, 0, 1))})


@pytest.mark.parametrize("value", edges(DURATION_BOUNDS + SHARE_BOUNDS))
def test_a_time_at_an_edge_falls_into_the_bucket_that_bisection_finds(value: int) -> None:
    check_bucket(value)


@given(st.integers(0, 2**64 - 1) | st.integers(0, 20 * SECOND))
def test_any_time_falls_into_the_bucket_that_bisection_finds(value: int) -> None:
    check_bucket(value)


@given(
    st.lists(st.integers(1, 3600 * SECOND), min_size=1, max_size=MOST_BOUNDS, unique=True).map(sorted),
    st.lists(st.integers(0, 4000 * SECOND), max_size=20),
)
@settings(max_examples=50, deadline=None)
def test_any_bounds_can_be_set(bounds: list[int], values: list[int]) -> None:
    try:
        set_bounds([bound / SECOND for bound in bounds], SHARE_BOUNDS)
        slabs = Slabs(1, 1)
        assert [round(bound * SECOND) for bound in slabs.duration_bounds] == bounds
        for value in [*values, *(bound + step for bound in bounds for step in (-1, 0, 1))]:
            slabs.slab(0).count_exchange(0, 200, value, 0, 0, 0, 0)
            counts = slabs.totals().route(0)
            assert counts is not None
            expected = bisect_left(bounds, value)
            assert counts["durations"][2]["buckets"][expected] >= 1
        counts = slabs.totals().route(0)
        assert counts is not None
        assert sum(counts["durations"][2]["buckets"]) == len(values) + 3 * len(bounds)
    finally:
        set_bounds(DURATION_BOUNDS, SHARE_BOUNDS)


@pytest.mark.parametrize(
    "bounds", [[], [0.1] * 2, [0.2, 0.1], [0.0, 1.0], [0.1, 0.1 + 1e-12], [n / 10 for n in range(1, 16)]]
)
def test_bounds_that_are_none_are_refused_and_change_nothing(bounds: list[float]) -> None:
    for durations, shares in ((bounds, [1.0]), ([1.0], bounds)):
        with pytest.raises(ValueError, match="bounds"):
            set_bounds(durations, shares)
    assert (Slabs(1, 0).duration_bounds, Slabs(1, 0).share_bounds) == (DURATION_BOUNDS, SHARE_BOUNDS)


def test_rows_are_of_routes_that_were_asked_for() -> None:
    slabs = Slabs(2, 5)
    one(slabs.slab(0), route=3, status=404)
    one(slabs.slab(1), route=3, total=7 * SECOND)
    one(slabs.slab(1), route=-1, status=0)
    rows = slabs.totals().rows(5)
    assert [index for index, *_ in rows] == [-1, 3]
    _, outcomes, durations, share = rows[1]
    assert outcomes == [0, 0, 1, 0, 1, 0]
    assert (sum(durations["buckets"]), durations["sum_ns"]) == (2, 7 * SECOND + 3_000_000)
    assert sum(share["buckets"]) == 2
    assert [index for index, *_ in slabs.totals().rows(3)] == [-1]
    with pytest.raises(IndexError):
        slabs.totals().rows(6)


def check_bucket(value: int) -> None:
    slabs = Slabs(1, 1)
    slabs.slab(0).count_exchange(0, 200, value, value, 0, 0, 0)
    counts = slabs.totals().route(0)
    assert counts is not None
    for histogram, bounds in ((counts["durations"][2], DURATION_BOUNDS), (counts["gateway"], SHARE_BOUNDS)):
        assert histogram["buckets"].index(1) == bisect_left([round(b * SECOND) for b in bounds], value)
        assert sum(histogram["buckets"]) == 1


def test_slabs_of_forked_writers_are_summed() -> None:
    slabs = Slabs(3, 2)

    def write(index: int) -> None:
        slab = slabs.slab(index)
        for _ in range(1000):
            one(slab, route=1)
            slab.count_reject(Reject.MALFORMED)

    for index in range(3):
        assert in_child(partial(write, index)) == 0
    totals = slabs.totals()
    counts = totals.route(1)
    assert counts is not None
    assert sum(counts["durations"][2]["buckets"]) == 3000
    assert totals.rejects()["malformed"] == 3000
    assert totals.route(0) is None


def test_a_successor_goes_on_where_the_dead_writer_was() -> None:
    slabs = Slabs(1, 1)

    def life() -> None:
        slab = slabs.slab(0)
        slab.claim(os.getpid())
        slab.state = State.SERVING
        one(slab)

    assert in_child(life) == 0
    assert in_child(life) == 0
    counts = slabs.totals().route(0)
    assert counts is not None
    assert sum(counts["durations"][2]["buckets"]) == 2
    slabs.slab(0).release()
    assert slabs.slab(0).counters()["now"] == dict.fromkeys(slabs.slab(0).counters()["now"], 0)


def test_durations_are_kept_by_the_methods_that_came() -> None:
    slabs = Slabs(2, 3)
    for worker, method in ((0, b"GET"), (1, b"GET"), (1, b"DELETE"), (1, b"BREW")):
        slabs.slab(worker).count_exchange(2, 200, SECOND, 0, 0, 0, 0, method)
    told = slabs.totals().by_method([2, 1])
    counts = {METHOD_NAMES[method]: sum(h["buckets"][9] for h in outcomes) for method, outcomes in told}
    assert counts == {"_OTHER": 1, "GET": 2, "DELETE": 1}
    assert slabs.totals().by_method([0]) == []


def test_methods_beyond_those_with_room_count_as_the_overflows() -> None:
    """Route 0 is that of routes without a place of their own."""
    routes = 500
    methods = [name.encode() for name in METHOD_NAMES[1:]]
    slabs = Slabs(1, routes)
    for route in range(routes):
        for method in methods:
            slabs.slab(0).count_exchange(route, 200, SECOND, 0, 0, 1, 0, method)
    totals = slabs.totals()
    counted = [
        sum(h["buckets"][9] for _, all in totals.by_method([route]) for h in all) for route in range(routes)
    ]
    assert sum(counted) == routes * len(methods)
    assert counted[1] == len(methods)
    assert counted[-1] == 0
    assert counted[0] > len(methods)
    last = totals.route(routes - 1)
    assert last is not None
    assert last["bytes_in"] == len(methods)


def test_requests_without_a_route_are_counted_apart() -> None:
    slabs = Slabs(1, 1)
    one(slabs.slab(0), route=-1, status=404)
    totals = slabs.totals()
    assert totals.route(0) is None
    assert totals.unmatched() == totals.route(-1)
    assert totals.unmatched() is not None


def test_routes_that_share_labels_are_summed() -> None:
    slabs = Slabs(2, 3)
    one(slabs.slab(0), route=0)
    one(slabs.slab(1), route=2, status=500)
    counts = slabs.totals().sum_routes([0, 1, 2])
    assert counts is not None
    assert [sum(h["buckets"]) for h in counts["durations"]] == [0, 0, 1, 0, 0, 1]
    assert counts["bytes_in"] == 200


def test_the_supervisor_counts_in_a_slab_of_its_own() -> None:
    slabs = Slabs(2, 0)
    slabs.supervisor().count_restart()
    assert slabs.totals().worker()["restarts"] == 1
    assert slabs.slab(0).counters()["restarts"] == slabs.slab(1).counters()["restarts"] == 0


def test_ten_thousand_routes_cost_nothing_until_used_and_reading_keeps_it_so() -> None:
    slabs = Slabs(4, 10_000)
    one(slabs.slab(3), route=9_999)
    totals = slabs.totals()
    assert totals.route(9_999) is not None
    assert all(totals.route(index) is None for index in range(9_999))
    assert os.fstat(slabs.fd).st_blocks * 512 <= 4 * mmap.PAGESIZE


def test_reading_again_and_again_takes_memory_for_what_was_counted_alone() -> None:
    slabs = Slabs(1, 100_000)
    one(slabs.slab(0), route=99_999)
    before = resident()
    for _ in range(4):  # freed memory that the C library keeps would be filled the next time
        assert slabs.totals().route(99_999) is not None
    assert resident() - before < 1 << 20


def test_another_process_maps_the_same_memory_by_its_descriptor() -> None:
    slabs = Slabs(2, 5)
    one(slabs.slab(1), route=4)
    other = Slabs(2, 5, fd=os.dup(slabs.fd))
    assert other.totals().route(4) == slabs.totals().route(4)


def test_a_successor_of_the_supervisor_goes_on_with_all_of_it() -> None:
    slabs = Slabs(2, 5)
    one(slabs.slab(1), route=4)
    slabs.slab(1).count("tetrapylon_code_errors_total", {"code": "a"}, 3)
    slabs.slab(0).observe_upstream("shop", 1, 2, 3)
    other = Slabs(2, 5, *map(os.dup, slabs.descriptors))
    one(other.slab(0), route=4)
    counts = slabs.totals().route(4)
    assert counts is not None
    assert sum(counts["durations"][2]["buckets"]) == 2
    assert ('tetrapylon_code_errors_total{code="a"}', 3) in other.series.totals()
    assert [name for name, _ in other.upstream_counts()] == ["shop"]


def test_a_successor_goes_on_with_what_is_limited_and_known_of_targets() -> None:
    slabs = Slabs(2, 5)
    windows = Windows([(1, 3600.0, 1)])
    assert slabs.amounts.rates.decide(b"ada", windows)["allowed"]
    slabs.board.mark("shop", "a:80", False)
    slabs.amounts.flights.claim()
    slabs.amounts.flights.board(b"ada", 1)
    slabs.moves.set_share("users", 0.5)
    slabs.moves.note("users", True, error=True)
    other = Slabs(2, 5, *map(os.dup, slabs.descriptors))
    assert not other.amounts.rates.decide(b"ada", windows)["allowed"]
    assert [row["checked"] for row in other.board.rows()] == ["unhealthy"]
    assert other.amounts.flights.aloft(b"ada") == 1
    assert other.moves.share("users") == 0.5
    assert other.moves.counts("users", True)[:3] == (1, 1, 1)


def test_a_board_of_another_shape_is_refused() -> None:
    board = Board(8)
    with pytest.raises(ValueError, match="no board of 9 slots"):
        Board(9, board.fd)
    blank = os.memfd_create("other")
    try:
        os.ftruncate(blank, os.fstat(board.fd).st_size)
        with pytest.raises(ValueError, match="another layout"):
            Board(8, blank)
    finally:
        os.close(blank)


def test_a_target_has_one_slot_however_many_processes_bring_it_at_once() -> None:
    """As all workers of a gateway do when they start."""
    names = [f"upstream {number}" for number in range(900)]
    for _ in range(5):
        board = Board()
        start, go = os.pipe()

        def claim(board: Board = board, start: int = start) -> None:
            os.read(start, 1)
            for name in names:
                board.mark(name, "target", True)

        forks = [Fork(claim) for _ in range(2)]
        os.write(go, bytes(len(forks)))
        for fork in forks:
            fork.result()
        os.close(start)
        os.close(go)
        assert [row["upstream"] for row in board.rows()] == sorted(names)


def test_moves_of_another_shape_are_refused() -> None:
    moves = Moves(8)
    with pytest.raises(ValueError, match="does not hold 9 moves"):
        Moves(9, moves.fd)
    blank = os.memfd_create("other")
    try:
        os.ftruncate(blank, os.fstat(moves.fd).st_size)
        with pytest.raises(ValueError, match="another layout"):
            Moves(8, blank)
    finally:
        os.close(blank)


def test_memory_of_another_shape_is_refused() -> None:
    slabs = Slabs(2, 5)
    with pytest.raises(ValueError, match="no slabs for 3 workers and 5 routes"):
        Slabs(3, 5, fd=slabs.fd)
    same_size = os.memfd_create("other")
    try:
        os.ftruncate(same_size, os.fstat(slabs.fd).st_size)
        with pytest.raises(ValueError, match="another layout"):
            Slabs(2, 5, fd=same_size)
    finally:
        os.close(same_size)


@pytest.mark.parametrize(("workers", "routes"), [(0, 1), (-1, 1), (1, -1)])
def test_impossible_counts_are_refused(workers: int, routes: int) -> None:
    with pytest.raises(ValueError, match="need at least one worker"):
        Slabs(workers, routes)


def test_indices_out_of_range_are_refused() -> None:
    slabs = Slabs(1, 2)
    with pytest.raises(IndexError, match="no slab 1"):
        slabs.slab(1)
    for route in (2, -2):
        with pytest.raises(IndexError, match=f"no route {route}"):
            one(slabs.slab(0), route=route)
        with pytest.raises(IndexError, match=f"no route {route}"):
            slabs.totals().route(route)
    with pytest.raises(TypeError, match="comes from"):
        Slab()


def test_totals_need_the_descriptor_and_counting_does_not() -> None:
    slabs = Slabs(1, 1)
    watcher = Slabs(1, 1, fd=os.dup(slabs.fd))
    slabs.close_fd()
    slabs.close_fd()
    one(slabs.slab(0))
    assert watcher.totals().route(0) is not None
    with pytest.raises(ValueError, match="closed"):
        slabs.totals()


def test_a_heartbeat_moves_forward() -> None:
    slab = Slabs(1, 0).slab(0)
    slab.claim(123)
    first = slab.heartbeat_ns
    slab.beat()
    assert slab.pid == 123
    assert slab.heartbeat_ns > first >= slab.started_ns


def test_lag_is_kept_in_fine_buckets() -> None:
    slabs = Slabs(1, 0)
    slabs.slab(0).observe_lag(0.0002)
    slabs.slab(0).observe_lag(-1.0)
    lag = slabs.totals().worker()["lag"]
    assert lag["buckets"].index(1) == 0
    assert lag["buckets"][bisect_left(SHARE_BOUNDS, 0.0002)] == 1
    assert lag["sum_ns"] == 200_000


def test_every_reason_has_a_name_and_a_slot() -> None:
    assert [reason.name.lower() for reason in Reject] == list(REJECT_NAMES)
    assert [int(reason) for reason in Reject] == list(range(len(REJECT_NAMES)))
    slabs = Slabs(1, 0)
    for reason in Reject:
        slabs.slab(0).count_reject(reason)
    assert slabs.totals().rejects() == dict.fromkeys(REJECT_NAMES, 1)
    assert len(REJECT_NAMES) <= len(slabs.totals().worker()["rejects"])
