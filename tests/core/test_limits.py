"""Limits in shared memory: what one plain counter would have said, whoever asks and whoever dies."""

import mmap
import random
import signal
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.forks import Fork
from tests.harness.gcra import SECOND, Rate, Reference, wrong
from tetrapylon._core.shared.limits import Table, Windows

START = 1_000 * SECOND
HEADER = 4096
PENDING = 1 << 63

rates = st.tuples(st.integers(1, 2000), st.sampled_from([1.0, 60.0, 3600.0, 86400.0]), st.integers(1, 50))
steps = st.lists(st.integers(0, 100_000_000) | st.integers(0, 5 * SECOND), min_size=1, max_size=60)


def entries(table: Table) -> Iterator[tuple[int, int, int]]:
    """Offset, tag and word of every entry ever used."""
    with mmap.mmap(table.fd, HEADER + table.entries * 16) as memory:
        for offset in range(HEADER, len(memory), 16):
            tag, word = struct.unpack_from("QQ", memory, offset)
            if tag:
                yield offset, tag, word


def orphan(table: Table) -> None:
    """Makes all entries what a process leaves that is killed while it brings one in."""
    with mmap.mmap(table.fd, HEADER + table.entries * 16) as memory:
        for offset, _, word in list(entries(table)):
            struct.pack_into("Q", memory, offset + 8, word | PENDING)


def test_a_burst_passes_and_then_the_rate() -> None:
    table, windows = Table(64), Windows([(10, 1.0, 3)])
    assert [table.decide(b"a", windows, START)["allowed"] for _ in range(5)] == [True] * 3 + [False] * 2
    tenth = SECOND // 10
    assert not table.decide(b"a", windows, START + tenth - 1)["allowed"]
    assert table.decide(b"a", windows, START + tenth)["allowed"]
    assert not table.decide(b"a", windows, START + tenth)["allowed"]


def test_what_the_sender_is_told() -> None:
    table, windows = Table(64), Windows([(10, 1.0, 3)])
    first = table.decide(b"a", windows, START)
    assert (first["remaining"], first["reset"], first["retry"]) == (2, SECOND // 10, 0)
    table.decide(b"a", windows, START)
    table.decide(b"a", windows, START)
    refused = table.decide(b"a", windows, START + 1)
    assert (refused["remaining"], refused["retry"]) == (0, SECOND // 10 - 1)
    assert refused["reset"] == 3 * SECOND // 10 - 1
    assert table.decide(b"a", windows, START + 1 + refused["retry"])["allowed"]


def test_keys_are_counted_apart() -> None:
    table, windows = Table(64), Windows([(1, 1.0, 1)])
    assert all(table.decide(b"%d" % i, windows, START)["allowed"] for i in range(20))


def test_a_request_that_one_window_refuses_counts_in_none() -> None:
    table = Table(64)
    both = Windows([(100, 1.0, 100), (3, 60.0, 3)])
    verdicts = [table.decide(b"a", both, START) for _ in range(50)]
    assert [taken["allowed"] for taken in verdicts] == [True] * 3 + [False] * 47
    assert verdicts[-1]["window"] == 1
    minute = [table.decide(b"a", both, START + i * 20 * SECOND)["allowed"] for i in (1, 2, 3)]
    assert minute == [True] * 3


@given(st.lists(rates, min_size=1, max_size=3), steps)
def test_any_sequence_is_decided_as_the_definition_says(given: list[Rate], waits: list[int]) -> None:
    given = sorted(given, key=lambda rate: rate[1])
    table, windows, reference = Table(64), Windows(given), Reference(given)
    at = START
    for wait in waits:
        at += wait
        taken = table.decide(b"key", windows, at)
        assert taken["allowed"] == reference.allows(at)
        if not taken["allowed"]:
            assert not table.decide(b"key", windows, at + taken["retry"] - 1)["allowed"]


@given(rates, steps)
def test_who_waits_as_long_as_told_is_allowed(rate: Rate, waits: list[int]) -> None:
    table, windows = Table(64), Windows([rate])
    at = START
    for wait in waits:
        at += wait
        taken = table.decide(b"key", windows, at)
        if not taken["allowed"]:
            at += taken["retry"]
            assert table.decide(b"key", windows, at)["allowed"]


@pytest.mark.parametrize("rate", [(10, 1.0, 5), (5000, 1.0, 1), (300, 60.0, 40)])
def test_eight_processes_decide_as_one_counter_would(rate: Rate) -> None:
    table, windows = Table(1024), Windows([rate])
    keys = [b"%d" % i for i in range(7)]
    until = time.monotonic_ns() + SECOND

    def hammer() -> list[tuple[int, object, bool]]:
        found: list[tuple[int, object, bool]] = []
        while time.monotonic_ns() < until:
            for key in keys:
                taken = table.decide(key, windows)
                assert not taken["evicted"]
                found.append((taken["at"], key, taken["allowed"]))
        return found

    forks = [Fork(hammer) for _ in range(8)]
    records = [record for fork in forks for record in fork.result()]
    assert {verdict for _, _, verdict in records} == {True, False}
    assert wrong(records, [rate]) == []


def test_keys_that_many_processes_bring_in_at_once_are_one_key() -> None:
    """A burst of one, and a rate that gives nothing back: of all who ask for a new key, one is allowed."""
    table, windows = Table(1 << 16), Windows([(1, 3600.0, 1)])
    start = time.monotonic_ns() + SECOND // 4

    def race() -> list[int]:
        order = random.Random(7)
        while time.monotonic_ns() < start:
            pass
        keys = [b"%d" % i for i in range(4000)]
        order.shuffle(keys)
        return [int(key) for key in keys if table.decide(key, windows)["allowed"]]

    forks = [Fork(race) for _ in range(6)]
    allowed = [key for fork in forks for key in fork.result()]
    assert sorted(allowed) == list(range(4000))


def test_a_process_killed_at_any_instruction_locks_no_key() -> None:
    rate = (1000, 1.0, 10)
    table, windows = Table(64), Windows([rate])
    keys = [b"%d" % i for i in range(3)]

    def hammer() -> None:
        while True:
            for key in keys:
                table.decide(key, windows)

    for i in range(40):
        fork = Fork(hammer)
        for _ in range(random.Random(i).randrange(500, 20_000)):
            table.decide(b"other", windows)
        fork.kill(signal.SIGKILL)
    assert all(word < PENDING for _, _, word in entries(table))
    later = time.monotonic_ns() + SECOND
    for key in keys:
        verdicts = [table.decide(key, windows, later)["allowed"] for _ in range(11)]
        assert verdicts == [True] * 10 + [False]


def test_what_was_left_half_brought_in_is_nobodys() -> None:
    """An entry that nobody finished was not counted: the key is as new, for whoever comes first."""
    table, windows = Table(64), Windows([(1, 1.0, 1)])
    assert table.decide(b"a", windows, START)["allowed"]
    orphan(table)
    assert table.decide(b"a", windows, START)["allowed"]
    assert not table.decide(b"a", windows, START)["allowed"]
    assert [word < PENDING for _, _, word in entries(table)] == [True]


def test_entries_that_have_run_out_are_used_again() -> None:
    table, windows = Table(64), Windows([(1, 1.0, 1)])
    for second in range(100):
        for key in range(4):
            at = START + second * 2 * SECOND
            assert not table.decide(b"%d-%d" % (second, key), windows, at)["evicted"]


def test_a_full_table_forgets_what_would_be_forgotten_soonest() -> None:
    table, windows = Table(8), Windows([(1, 1.0, 20)])
    for i in range(8):
        for _ in range(i + 1):
            table.decide(b"%d" % i, windows, START)
    assert table.decide(b"new", windows, START)["evicted"] == 1
    refused = [
        i for i in range(8) for _ in range(20) if not table.decide(b"%d" % i, windows, START)["allowed"]
    ]
    assert 7 in refused


def test_another_process_finds_the_table_by_its_descriptor() -> None:
    table, windows = Table(64), Windows([(1, 60.0, 1)])
    assert table.decide(b"a", windows)["allowed"]
    other = Table(64, table.fd)
    assert not other.decide(b"a", windows)["allowed"]


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        ([], "expected 1 to 4"),
        ([(1, 1.0, 1)] * 5, "expected 1 to 4"),
        ([(0, 1.0, 1)], "need a rate"),
        ([(1, 1.0, 0)], "need a rate"),
        ([(1, 86400.0, 1000)], "longer than a year"),
    ],
)
def test_windows_that_cannot_be_counted_are_refused(rates: list[Rate], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Windows(rates)


def test_a_quota_counts_to_its_limit_and_begins_again_with_the_next_period() -> None:
    table = Table(64)
    assert [table.count(b"a", 100, 101, 3) for _ in range(4)] == [(True, 1), (True, 2), (True, 3), (False, 3)]
    assert table.count(b"a", 101, 102, 3) == (True, 1)
    assert table.count(b"b", 101, 102, 3) == (True, 1)


def test_a_quota_that_a_store_remembers_is_never_less() -> None:
    table = Table(64)
    table.remember(b"a", 100, 101, 2)
    assert table.count(b"a", 100, 101, 3) == (True, 3)
    table.remember(b"a", 100, 101, 1)
    assert table.count(b"a", 100, 101, 3) == (False, 3)
    table.remember(b"a", 100, 101, 5)
    assert table.count(b"a", 100, 101, 9, 0) == (True, 5)


def test_processes_that_share_a_quota_use_it_up_exactly() -> None:
    table = Table(64)

    def use() -> int:
        return sum(table.count(b"a", 100, 101, 10_000)[0] for _ in range(5000))

    forks = [Fork(use) for _ in range(4)]
    assert sum(fork.result() for fork in forks) == 10_000
