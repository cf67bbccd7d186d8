"""The reactor by itself: descriptors, batches, deadlines, and its place in somebody else's loop."""

import asyncio
import os
import resource
import socket
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from tests.core.conftest import Bench
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.upstreams.probe import Alarm, Probe, work

BATCH, ROUNDS = 128, 4  # as reactor.pyx has them


class Pair:
    """A probe on one end of a socket pair; `peer` is the other end. Events are kept as they come."""

    def __init__(self, bench: Bench, on_ready: Callable[[Probe], object] | None = None) -> None:
        self.peer, own = socket.socketpair()
        own.setblocking(False)
        self.fd = own.detach()
        self.events: list[tuple[bool, bool, bool]] = []
        self.on_ready = on_ready
        self.probe = Probe(bench.reactor, self.fd, self._ready)

    def _ready(self, probe: Probe, *event: bool) -> None:
        self.events.append((event[0], event[1], event[2]))
        if self.on_ready is not None:
            self.on_ready(probe)

    def read(self, _: Probe) -> None:
        os.read(self.fd, 100)

    def close(self) -> None:
        self.peer.close()
        if self.probe.open:
            self.probe.close()


@pytest.fixture
def pair(bench: Bench) -> Iterator[Callable[..., Pair]]:
    """Makes pairs; those that a test leaves open are closed after it."""
    made: list[Pair] = []

    def make(on_ready: Callable[[Probe], object] | None = None) -> Pair:
        made.append(Pair(bench, on_ready))
        return made[-1]

    def close() -> None:
        for each in made:
            each.close()

    yield make
    work(bench.reactor, close)
    assert bench.reactor.handles == 0


Make = Callable[..., Pair]


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


class TestDescriptors:
    def test_those_registered_are_counted(self, bench: Bench, pair: Make) -> None:
        first, second = pair(), pair()
        assert bench.reactor.handles == 2
        work(bench.reactor, first.probe.close)
        assert bench.reactor.handles == 1
        work(bench.reactor, second.probe.close)
        assert bench.reactor.handles == 0

    def test_closing_closes(self, bench: Bench, pair: Make) -> None:
        one = pair()
        work(bench.reactor, one.probe.close)
        assert not is_open(one.fd)
        assert one.peer.recv(1) == b""

    def test_forgetting_leaves_the_descriptor_to_another(self, bench: Bench, pair: Make) -> None:
        one = pair()
        work(bench.reactor, one.probe.forget)
        assert is_open(one.fd)
        heard: list[Probe] = []
        other = Probe(bench.reactor, one.fd, lambda probe, *_: heard.append(probe))
        one.peer.send(b"x")
        bench.run_until(lambda: bool(heard))
        assert (heard[0], one.events) == (other, [])
        work(bench.reactor, other.close)

    def test_what_cannot_be_watched_is_refused_and_not_counted(self, bench: Bench) -> None:
        with tempfile.TemporaryFile() as file, pytest.raises(PermissionError):
            Probe(bench.reactor, file.fileno(), print)
        assert bench.reactor.handles == 0

    def test_one_that_is_let_go_is_freed(self, bench: Bench) -> None:
        ours, theirs = socket.socketpair()
        probe = Probe(bench.reactor, ours.detach(), print)
        gone = weakref.ref(probe)
        work(bench.reactor, probe.close)
        del probe
        assert gone() is None
        theirs.close()

    def test_one_that_nobody_knows_stays_while_it_is_registered(self, bench: Bench) -> None:
        ours, theirs = socket.socketpair()
        heard: list[bool] = []

        def ready(probe: Probe, readable: bool, writable: bool, hung_up: bool) -> None:
            heard.append(hung_up)
            probe.close()

        Probe(bench.reactor, ours.detach(), ready)
        theirs.close()
        bench.run_until(lambda: bool(heard))
        assert (heard, bench.reactor.handles) == ([True], 0)


class TestInterest:
    def test_level_triggered(self, bench: Bench, pair: Make) -> None:
        """What was not read is told again."""
        one = pair()
        one.peer.send(b"x")
        bench.run_until(lambda: len(one.events) >= 3)
        assert set(one.events) == {(True, False, False)}

    def test_only_what_was_asked_for(self, bench: Bench, pair: Make) -> None:
        one = pair()
        one.peer.send(b"x")
        one.probe.watch(write=True)
        bench.run_until(lambda: bool(one.events))
        assert set(one.events) == {(False, True, False)}
        one.events.clear()
        one.probe.watch(read=True, write=True)
        bench.run_until(lambda: bool(one.events))
        assert set(one.events) == {(True, True, False)}

    def test_a_hang_up_is_told_unasked(self, bench: Bench, pair: Make) -> None:
        one = pair()
        one.probe.watch()
        one.peer.close()
        bench.run_until(lambda: bool(one.events))
        assert set(one.events) == {(False, False, True)}

    def test_parked_not_even_that(self, bench: Bench, pair: Make) -> None:
        parked, other = pair(), pair()
        parked.probe.park()
        parked.peer.send(b"x")
        parked.peer.close()
        other.peer.send(b"x")
        bench.run_until(lambda: len(other.events) >= 5)
        assert parked.events == []
        assert bench.reactor.handles == 2
        parked.probe.unpark()
        bench.run_until(lambda: bool(parked.events))
        assert set(parked.events) == {(True, False, True)}


class TestBatch:
    def test_one_that_was_closed_in_a_batch_hears_no_more_of_it(self, bench: Bench, pair: Make) -> None:
        """Both are ready; whichever comes first closes the other, whose event has been fetched already."""
        pairs: list[Pair] = []
        seen: list[tuple[bool, bool]] = []

        def close_the_other(probe: Probe) -> None:
            other = next(each for each in pairs if each.probe is not probe)
            if other.probe.open:
                other.probe.close()
                seen.append((other.probe.let_go, is_open(other.fd)))

        pairs += [pair(close_the_other), pair(close_the_other)]
        for each in pairs:
            each.peer.send(b"x")
        bench.run_until(lambda: sum(len(each.events) for each in pairs) >= 3)
        assert sorted(len(each.events) > 0 for each in pairs) == [False, True]
        assert seen == [(False, False)]  # the descriptor at once, the object when the batch is over
        assert sorted(each.probe.let_go for each in pairs) == [False, True]

    def test_its_event_does_not_reach_the_next_owner_of_its_number(self, bench: Bench, pair: Make) -> None:
        pairs: list[Pair] = []
        later: list[Pair] = []

        def replace_the_other(probe: Probe) -> None:
            other = next(each for each in pairs if each.probe is not probe)
            if other.probe.open:
                later.append(pair())
                other.probe.close()
                os.dup2(later[0].fd, other.fd)
                copies.append(Probe(bench.reactor, other.fd, lambda *event: heard.append(event)))

        heard: list[tuple[object, ...]] = []
        copies: list[Probe] = []
        pairs += [pair(replace_the_other), pair(replace_the_other)]
        for each in pairs:
            each.peer.send(b"x")
        bench.run_until(lambda: sum(len(each.events) for each in pairs) >= 5)
        assert (len(copies), heard) == (1, [])
        later[0].peer.send(b"x")
        bench.run_until(lambda: bool(heard))
        assert all(event[0] is copies[0] for event in heard)
        work(bench.reactor, copies[0].close)

    def test_one_may_close_itself(self, bench: Bench, pair: Make) -> None:
        one = pair(Probe.close)
        one.peer.send(b"x")
        bench.run_until(lambda: one.probe.let_go)
        assert (len(one.events), bench.reactor.handles) == (1, 0)

    def test_what_a_batch_opened_and_closed_is_let_go_too(self, bench: Bench, pair: Make) -> None:
        short_lived: list[Pair] = []

        def open_and_close(probe: Probe) -> None:
            short_lived.append(pair())
            short_lived[-1].probe.close()
            probe.close()

        pair(open_and_close).peer.send(b"x")
        bench.run_until(lambda: bool(short_lived) and short_lived[0].probe.let_go)
        assert (short_lived[0].events, bench.reactor.handles) == ([], 0)


class TestTurns:
    def test_the_loops_own_work_gets_its_turn(self, bench: Bench) -> None:
        """More descriptors are ready than a turn may serve: it ends, and the next one serves the rest."""
        calls: dict[Probe, int] = {}
        since = 0

        def ready(probe: Probe, *_: bool) -> None:
            nonlocal since
            calls[probe] += 1
            since += 1

        probes = [
            Probe(bench.reactor, os.eventfd(1), ready) for _ in range(BATCH * ROUNDS + 50)
        ]  # never read
        calls.update(dict.fromkeys(probes, 0))
        turns: list[int] = []

        def own_work() -> None:
            nonlocal since
            turns.append(since)
            since = 0
            bench.loop.call_soon(own_work)

        bench.loop.call_soon(own_work)
        bench.run_until(lambda: len(turns) >= 20)
        assert max(turns) == BATCH * ROUNDS
        assert min(calls.values()) > 0
        for probe in probes:
            work(bench.reactor, probe.close)

    def test_the_loop_sees_one_descriptor(self, bench: Bench, pair: Make) -> None:
        """The ones registered are in a set of their own, which says what they wait for."""
        numbers = {pair().fd for _ in range(3)}
        sets = [
            {int(line.split()[1]) for line in info if line.startswith("tfd:")}
            for info in epoll_sets(os.getpid())
        ]
        assert numbers in sets
        assert sum(bool(numbers & each) for each in sets) == 1


def epoll_sets(pid: int) -> Iterator[list[str]]:
    """What the kernel says of each epoll set of a process: proc(5), fdinfo."""
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{number}") != "anon_inode:[eventpoll]":
                continue
            with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as info:
                yield info.readlines()
        except FileNotFoundError:  # the one that listed the directory
            continue


class TestDeadlines:
    def test_they_come_in_time(self, bench: Bench) -> None:
        due: list[float] = []
        alarm = Alarm(bench.reactor, lambda _: due.append(bench.loop.time()))
        armed = bench.loop.time()
        alarm.arm(0.03)
        bench.run_until(lambda: bool(due))
        assert not alarm.armed
        # A loop may round its clock to milliseconds.
        assert 0.028 <= due[0] - armed < 1

    def test_those_of_one_length_come_in_the_order_in_which_they_were_armed(self, bench: Bench) -> None:
        due: list[Alarm] = []
        alarms = [Alarm(bench.reactor, due.append) for _ in range(50)]
        for alarm in alarms:
            alarm.arm(0.02)
        alarms[0].arm(0.02)  # again: goes to the end
        bench.run_until(lambda: len(due) == 50)
        assert due == [*alarms[1:], alarms[0]]

    def test_a_shorter_one_does_not_wait_for_a_longer_one(self, bench: Bench) -> None:
        due: list[str] = []
        late = Alarm(bench.reactor, lambda _: due.append("late"))
        early = Alarm(bench.reactor, lambda _: due.append("early"))
        late.arm(600)
        early.arm(0.01)
        bench.run_until(lambda: bool(due))
        assert due == ["early"]
        assert late.armed

    def test_a_longer_one_comes_after_a_shorter_one_has(self, bench: Bench) -> None:
        due: list[str] = []
        early = Alarm(bench.reactor, lambda _: due.append("early"))
        late = Alarm(bench.reactor, lambda _: due.append("late"))
        early.arm(0.001)
        late.arm(0.1)
        bench.run_until(lambda: len(due) == 2)
        assert sorted(due) == ["early", "late"]

    @pytest.mark.parametrize("seconds", [(0.01, 0.02, 0.03), (0.03, 0.02, 0.01), (0.02, 0.03, 0.01)])
    def test_after_the_loop_was_held_up_they_come_in_the_order_in_which_they_were_due(
        self, bench: Bench, seconds: tuple[float, ...]
    ) -> None:
        due: list[float] = []

        def alarm(after: float) -> Alarm:
            made = Alarm(bench.reactor, lambda _: due.append(after))
            made.arm(after)
            return made

        alarms = [alarm(after) for after in seconds]
        time.sleep(0.05)
        bench.run_until(lambda: len(due) == 3)
        assert due == sorted(seconds)
        assert not any(each.armed for each in alarms)

    def test_one_that_is_due_may_end_a_longer_one_that_is_due_as_well(self, bench: Bench) -> None:
        """As the time of one try does, which has another made in time."""
        due: list[Alarm] = []

        def end_the_longer(alarm: Alarm) -> None:
            due.append(alarm)
            longer.disarm()

        longer = Alarm(bench.reactor, due.append)
        shorter = Alarm(bench.reactor, end_the_longer)
        shorter.arm(0.01)
        longer.arm(0.02)
        time.sleep(0.03)
        bench.run_until(lambda: bool(due))
        assert due == [shorter]
        assert not longer.armed

    def test_one_that_was_disarmed_does_not_come(self, bench: Bench) -> None:
        due: list[Alarm] = []
        never, after = (Alarm(bench.reactor, due.append) for _ in range(2))
        never.arm(0.01)
        after.arm(0.01)
        never.disarm()
        bench.run_until(lambda: bool(due))
        assert due == [after]

    def test_one_may_end_another_that_is_due_as_well(self, bench: Bench) -> None:
        due: list[Alarm] = []

        def end_the_other(alarm: Alarm) -> None:
            due.append(alarm)
            for each in alarms:
                each.disarm()
            after.arm(0.01)

        alarms = [Alarm(bench.reactor, end_the_other) for _ in range(3)]
        after = Alarm(bench.reactor, due.append)
        for alarm in alarms:
            alarm.arm(0.01)
        bench.run_until(lambda: after in due)
        assert due == [alarms[0], after]

    def test_one_may_set_itself_again(self, bench: Bench) -> None:
        due: list[Alarm] = []

        def again(alarm: Alarm) -> None:
            due.append(alarm)
            if len(due) < 5:
                alarm.arm(0.005)

        alarm = Alarm(bench.reactor, again)
        alarm.arm(0.005)
        bench.run_until(lambda: len(due) == 5)
        assert not alarm.armed

    def test_one_that_is_thrown_away_does_not_come(self, bench: Bench) -> None:
        due: list[Alarm] = []
        forgotten, after = (Alarm(bench.reactor, due.append) for _ in range(2))
        forgotten.arm(0.01)
        after.arm(0.01)
        del forgotten
        bench.run_until(lambda: bool(due))
        assert due == [after]

    def test_they_come_though_descriptors_are_always_ready(self, bench: Bench, pair: Make) -> None:
        busy = pair()
        busy.peer.send(b"x")
        due: list[Alarm] = []
        Alarm(bench.reactor, due.append).arm(600)
        alarm = Alarm(bench.reactor, due.append)
        alarm.arm(0.01)
        bench.run_until(lambda: bool(due))
        assert due == [alarm]
        assert busy.events

    def test_what_they_close_is_let_go(self, bench: Bench, pair: Make) -> None:
        one = pair()
        alarm = Alarm(bench.reactor, lambda _: one.probe.close())
        alarm.arm(0.01)
        bench.run_until(lambda: one.probe.let_go)
        assert bench.reactor.handles == 0


def ask(alarms: list[Alarm]) -> None:
    for each in alarms:
        each.after_turn()


class TestTheTurnsEnd:
    def test_it_is_after_all_that_the_turn_brought(self, bench: Bench, pair: Make) -> None:
        seen: list[object] = []
        alarm = Alarm(bench.reactor, seen.append)

        def read(probe: Probe) -> None:
            seen.append(probe)
            alarm.after_turn()
            for each in both:
                if each.probe is probe:
                    each.read(probe)

        both = [pair(read), pair(read)]
        for each in both:
            each.peer.send(b"x")
        bench.run_until(lambda: alarm in seen)
        assert len(seen) == 3
        assert seen[2] is alarm

    def test_of_a_piece_of_work_it_is_its_end(self, bench: Bench) -> None:
        seen: list[str] = []
        alarm = Alarm(bench.reactor, lambda _: seen.append("after"))

        def piece() -> None:
            alarm.after_turn()
            work(bench.reactor, lambda: seen.append("a piece within"))
            seen.append("work")

        work(bench.reactor, piece)
        assert seen == ["a piece within", "work", "after"]
        assert not alarm.armed

    def test_who_asks_again_waits_for_the_next(self, bench: Bench) -> None:
        seen: list[Alarm] = []

        def again(alarm: Alarm) -> None:
            seen.append(alarm)
            alarm.after_turn()

        alarms = [Alarm(bench.reactor, again) for _ in range(2)]
        work(bench.reactor, lambda: ask(alarms))
        assert seen == alarms
        work(bench.reactor, lambda: None)
        assert seen == alarms * 2

    def test_one_may_end_those_that_wait_behind_it(self, bench: Bench) -> None:
        seen: list[Alarm] = []

        def end_the_others(alarm: Alarm) -> None:
            seen.append(alarm)
            while len(alarms) > 1:
                alarms.pop().disarm()

        alarms = [Alarm(bench.reactor, end_the_others) for _ in range(3)]
        work(bench.reactor, lambda: ask(alarms))
        assert seen == alarms

    def test_one_that_is_thrown_away_or_outlives_the_reactor_is_not_called(self, bench: Bench) -> None:
        seen: list[Alarm] = []
        forgotten = Alarm(bench.reactor, seen.append)
        forgotten.after_turn()
        del forgotten
        work(bench.reactor, lambda: None)
        other = Reactor(bench.loop)
        outlives = Alarm(other, seen.append)
        outlives.after_turn()
        other.close()
        del other
        assert seen == []


class TestEnd:
    def test_it_leaves_the_loop_and_closes_nothing_else(self, bench: Bench, pair: Make) -> None:
        one, late = pair(), Alarm(bench.reactor, lambda _: heard.append(True))
        heard: list[bool] = []
        late.arm(0.01)
        bench.reactor.close()
        bench.reactor.close()  # once is enough
        assert not bench.reactor.running
        assert is_open(one.fd)
        one.peer.send(b"x")
        bench.loop.run_until_complete(asyncio.sleep(0.05))
        assert (one.events, heard) == ([], [])

    def test_a_deadline_may_outlive_it(self, bench: Bench) -> None:
        reactor = Reactor(bench.loop)
        alarm = Alarm(reactor, print)
        alarm.arm(600)
        reactor.close()
        alarm.disarm()
        assert not alarm.armed

    def test_none_without_a_descriptor(self, bench: Bench) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                Reactor(bench.loop)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
