"""The supervisor's side of a reload: read in a child, prepared in every worker, then taken on by all or none.

Nothing here waits: each step is taken when the supervisor hears of what it waited for.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, NamedTuple, Protocol

import msgspec

from tetrapylon.config.diff import Changes, excerpt, summary
from tetrapylon.net.listening import Change
from tetrapylon.net.sockets import ListenError
from tetrapylon.processes.channel import (
    MOST_DESCRIPTORS,
    Abort,
    Commit,
    Committed,
    Handed,
    Prepare,
    Prepared,
    file_of,
)
from tetrapylon.processes.child import Child
from tetrapylon.processes.fork import describe_end, send_signal, spawn
from tetrapylon.processes.reading import Facts, Finding, Paper, Reader, Sought, overflow_told, read_finding
from tetrapylon.telemetry.events import say

READ = 60.0
"""Seconds that reading a config may take."""
PREPARE = 60.0
"""And compiling it, in the slowest of the workers."""
KEPT = 10
"""Configs in the history, the one in force among them."""
WAITING = 16
"""Orders that wait for the one before."""
STOPPED = "the gateway is about to end"


class Order(NamedTuple):
    """To read the config again; `back`: to take that generation of the history in its place."""

    origin: str
    dry_run: bool = False
    back: int | None = None
    reply: Callable[[bytes], None] | None = None


class Past(msgspec.Struct, frozen=True):
    """A config that was or is in force."""

    generation: int
    time: float
    """When it came into force, in seconds since the epoch."""
    origin: str
    source: str
    summary: str
    file: int = -1
    """Its encoded form, in memory."""
    changes: Changes = Changes()
    """From the one before, or as much of that as is worth keeping."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an order, for those who gave it."""

    outcome: str
    """`applied`, `unchanged`, `valid` (a dry run) or `refused`."""
    generation: int
    """The one in force now."""
    origin: str
    time: float
    seconds: float
    summary: str = ""
    problems: Sequence[Mapping[str, Any]] = ()
    changes: Changes = Changes()
    restart: Sequence[str] = ()
    overflow: int = 0


class Family(Protocol):
    """What a reload asks of the supervisor."""

    @property
    def living(self) -> Iterable[Child]:
        """The workers that run and are to go on."""

    def change(self, facts: Facts) -> Change:
        """Binds what is new. Raises ListenError."""

    def give_up(self, change: Change) -> None: ...

    def handed(self, change: Change, child: Child) -> list[tuple[int, str]]:
        """The descriptors that the change brings a worker, each with its address."""

    def adopt(self, facts: Facts, config: int, change: Change) -> None:
        """Whoever is born from now on serves by this config. Raises ListenError, with nothing changed."""

    def renewed(self) -> None:
        """All workers serve by it: those too many can go, those that lack can come."""

    def tell(self) -> None:
        """The news have changed."""

    def begun(self) -> None:
        """A reload is under way."""

    def ended(self, outcome: str) -> None:
        """It has ended, as `Outcome.outcome` says. For the metrics."""


class _Attempt:
    """One order on its way."""

    def __init__(self, order: Order, now: float) -> None:
        self.order = order
        self.began = now
        self.due = now + READ
        self.reader = 0
        self.config = file_of(b"", "config")
        self.finding_file = file_of(b"", "finding")
        self.finding = Finding()
        self.change: Change | None = None
        self.number = 0
        """By which workers know it; 0 until they are asked."""
        self.waits: set[Child] = set()
        """Workers that have not answered."""
        self.committing = False
        self.deaths = 0
        """Of workers that were at it."""


class Reloads:
    """One order after the other. Times are CLOCK_MONOTONIC seconds."""

    def __init__(
        self, family: Family, read: Reader | None, config: int, slots: int, facts: Facts, source: str
    ) -> None:
        self._family = family
        self._read = read
        self._slots = slots
        self._facts = facts
        self._source = source
        self._orders: deque[Order] = deque()
        self._stopped = False
        self._numbers = count(1)
        self._attempt: _Attempt | None = None
        self._last: Outcome | None = None
        self._sought = Sought()
        """Where the config was looked for when it was read again last, whatever came of it."""
        self.history = [Past(1, time.time(), "start", source, "", config)]

    @property
    def config(self) -> int:
        """The file of the config in force."""
        return self.history[-1].file

    @property
    def generation(self) -> int:
        return self.history[-1].generation

    @property
    def busy(self) -> bool:
        return self._attempt is not None

    @contextmanager
    def news(self) -> Iterator[list[int]]:
        """The files that go with `News`."""
        files = [file_of(self._told(), "news"), file_of(msgspec.msgpack.encode(self._sought), "sought")]
        try:
            yield [self.config, *files]
        finally:
            for file in files:
                os.close(file)

    def _told(self) -> bytes:
        """The history and the last outcome, as JSON."""
        history = [
            {name: value for name, value in msgspec.to_builtins(past).items() if name != "file"}
            for past in self.history
        ]
        return msgspec.json.encode(
            {
                "generation": self.generation,
                "source": self._source,
                "workers": self._facts.workers,
                "history": history,
                "last": self._last,
            }
        )

    def forget_files(self) -> None:
        """In a child: closes its copies of all files but the config in force."""
        files = [past.file for past in self.history[:-1]]
        if self._attempt is not None:
            files += [self._attempt.finding_file]
            if self._attempt.config != self.config:
                files.append(self._attempt.config)
        for file in files:
            os.close(file)

    def timeout(self, now: float) -> float | None:
        """Seconds until something is due."""
        return max(0.0, self._attempt.due - now) if self._attempt is not None else None

    # -- what the supervisor hears

    def order(self, order: Order, now: float) -> None:
        alike = [each for each in self._orders if each.reply is None and each[:3] == order[:3]]
        if order.reply is None and alike:
            return  # it has not begun yet, so it will see what this one is about
        if self._stopped or len(self._orders) >= WAITING:
            why = STOPPED if self._stopped else f"{WAITING} reloads wait already"
            self._end(order, now, Finding(problems=[_problem(why)]), "refused")
            return
        self._orders.append(order)
        self._next(now)

    def stop(self, now: float) -> None:
        """No more of them: the gateway drains. What workers take on already they take on."""
        self._stopped = True
        orders, self._orders = self._orders, deque()
        attempt = self._attempt
        if attempt is not None and not attempt.committing:
            if attempt.reader:
                send_signal(attempt.reader, signal.SIGKILL)
            self._refuse(now, [_problem(STOPPED)])
        for each in orders:
            self._end(each, now, Finding(problems=[_problem(STOPPED)]), "refused")

    def tick(self, now: float) -> None:
        attempt = self._attempt
        if attempt is None or now < attempt.due or attempt.committing:
            return
        if attempt.reader:
            send_signal(attempt.reader, signal.SIGKILL)
            attempt.due = now + READ  # its end is heard of meanwhile
            return
        late = ", ".join(sorted(map(str, attempt.waits)))
        self._refuse(now, [_problem(f"{late} did not compile it in {PREPARE:g} s")])

    def reaped(self, pid: int, status: int, now: float) -> bool:
        """Whether it was the process that read a config."""
        attempt = self._attempt
        if attempt is None or attempt.reader != pid:
            return False
        attempt.reader = 0
        if status:
            self._refuse(now, [_problem(f"the process reading it {describe_end(status)}")])
            return True
        attempt.finding = finding = read_finding(attempt.finding_file)
        if finding.facts is None:
            self._refuse(now, finding.problems)
        elif attempt.order.dry_run:
            self._conclude(now, "valid")
        elif finding.same:
            self._conclude(now, "unchanged")
        else:
            self._prepare(attempt, finding.facts, now)
        return True

    def born(self, child: Child) -> None:
        """A worker has begun, by the config in force."""
        attempt = self._attempt
        if attempt is not None and attempt.change is not None and not attempt.committing:
            self._ask(attempt, attempt.change, child)

    def died(self, child: Child, now: float) -> None:
        attempt = self._attempt
        if attempt is None or child not in attempt.waits:
            return
        attempt.waits.discard(child)
        attempt.deaths += 1
        if attempt.committing:
            self._go_on(attempt, now)
        elif attempt.deaths > 1:
            # One may have been killed from outside, and its successor is asked in its place.
            self._refuse(now, [_problem("workers die of it")])

    def heard(self, child: Child, message: Prepared | Committed, now: float) -> None:
        attempt = self._attempt
        if attempt is None or message.attempt != attempt.number or child not in attempt.waits:
            return
        attempt.waits.discard(child)
        if isinstance(message, Prepared) and message.error:
            self._refuse(now, [_problem(message.error)])
        else:
            self._go_on(attempt, now)

    # -- one order

    def _next(self, now: float) -> None:
        if self._attempt is not None or not self._orders:
            return
        order = self._orders.popleft()
        past = {each.generation: each.file for each in self.history}
        if self._read is None:
            self._end(
                order,
                now,
                Finding(problems=[_problem("this gateway has no config to read again")]),
                "refused",
            )
        elif order.back is not None and order.back not in past:
            kept = ", ".join(map(str, past))
            problem = _problem(f"generation {order.back} is not in the history, which has {kept}")
            self._end(order, now, Finding(problems=[problem]), "refused")
        else:
            self._attempt = attempt = _Attempt(order, now)
            if not order.dry_run:
                self._family.begun()
            paper = Paper(
                config=attempt.config,
                finding=attempt.finding_file,
                slots=self._slots,
                room=self._facts.room,
                running=self.config,
                back=past[order.back] if order.back is not None else -1,
            )
            try:
                attempt.reader = spawn(partial(self._read, paper))
            except OSError as error:
                self._refuse(now, [_problem(f"no process could be started to read it: {error.strerror}")])

    def _prepare(self, attempt: _Attempt, facts: Facts, now: float) -> None:
        try:
            attempt.change = self._family.change(facts)
        except ListenError as error:
            self._refuse(now, [_problem(str(error))])
            return
        attempt.number = next(self._numbers)
        attempt.due = now + PREPARE
        for child in self._family.living:
            self._ask(attempt, attempt.change, child)
        self._go_on(attempt, now)

    def _ask(self, attempt: _Attempt, change: Change, child: Child) -> None:
        handed = self._family.handed(change, child)
        channel = child.channel
        for at in range(0, len(handed), MOST_DESCRIPTORS):
            some = handed[at : at + MOST_DESCRIPTORS]
            message = Handed([address for _, address in some])
            if channel is None or not channel.send(message, [descriptor for descriptor, _ in some]):
                return
        if channel is not None and channel.send(Prepare(attempt.number), [attempt.config]):
            attempt.waits.add(child)

    def _go_on(self, attempt: _Attempt, now: float) -> None:
        """Once every worker has answered."""
        if attempt.waits:
            return
        facts, change = attempt.finding.facts, attempt.change
        assert facts is not None
        assert change is not None
        if attempt.committing:
            self._family.renewed()
            self._conclude(now, "applied")
            return
        try:
            self._family.adopt(facts, attempt.config, change)
        except ListenError as error:
            self._refuse(now, [_problem(str(error))])
            return
        attempt.committing = True
        self._facts = facts
        self._remember(attempt)
        for child in self._family.living:
            if child.channel is not None and child.channel.send(Commit(attempt.number)):
                attempt.waits.add(child)
            else:
                child.signal(signal.SIGTERM)  # its successor is born by the new config
        self._go_on(attempt, now)

    def _remember(self, attempt: _Attempt) -> None:
        changes = attempt.finding.changes
        self.history.append(
            Past(
                generation=self.generation + 1,
                time=time.time(),
                origin=attempt.order.origin,
                source=self._source,
                summary=summary(changes),
                file=attempt.config,
                changes=excerpt(changes),
            )
        )
        for past in self.history[:-KEPT]:
            os.close(past.file)
        del self.history[:-KEPT]

    def _refuse(self, now: float, problems: list[Any]) -> None:
        """Nothing has changed, and nothing does."""
        attempt = self._attempt
        assert attempt is not None
        if attempt.change is not None:
            for child in self._family.living:
                if child.channel is not None:
                    child.channel.send(Abort(attempt.number))
            self._family.give_up(attempt.change)
        attempt.finding = msgspec.structs.replace(attempt.finding, problems=problems)
        self._conclude(now, "refused")

    def _conclude(self, now: float, outcome: str) -> None:
        attempt = self._attempt
        assert attempt is not None
        self._attempt = None
        os.close(attempt.finding_file)
        if outcome != "applied":
            os.close(attempt.config)
        self._end(attempt.order, now, attempt.finding, outcome, now - attempt.began)
        self._next(now)

    def _end(self, order: Order, now: float, finding: Finding, outcome: str, seconds: float = 0.0) -> None:
        done = Outcome(
            outcome=outcome,
            generation=self.generation,
            origin=order.origin,
            time=time.time(),
            seconds=round(seconds, 6),
            summary="" if outcome == "refused" else summary(finding.changes),
            problems=finding.problems,
            changes=finding.changes,
            restart=finding.restart,
            overflow=finding.overflow,
        )
        # A file was saved as it was, or looked at once more.
        known = self._last is not None and finding.problems == self._last.problems
        idle = order.origin == "watch" and (outcome == "unchanged" or (outcome == "refused" and known))
        if not order.dry_run and not idle:
            self._last = msgspec.structs.replace(done, changes=Changes())
            self._family.ended(outcome)
            tell_log(done)
        if not order.dry_run:
            self._sought = finding.sought
            self._family.tell()
        if order.reply is not None:
            order.reply(msgspec.json.encode(done))


def tell_log(done: Outcome) -> None:
    if done.outcome == "refused":
        for problem in done.problems:
            say("error", f"reload ({done.origin}): {problem['text']}")
        say("error", f"reload ({done.origin}): refused; generation {done.generation} stays in force")
        return
    say("info", f"reload ({done.origin}): {done.outcome}, generation {done.generation}; {done.summary}")
    for setting in done.restart:
        say("warning", f"reload ({done.origin}): {setting} has changed and takes effect with a restart")
    if done.overflow:
        say("warning", f"reload ({done.origin}): {overflow_told(done.overflow)}")


def _problem(text: str) -> dict[str, Any]:
    return {"message": text, "text": text}
