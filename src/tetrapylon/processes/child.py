"""One place in the supervisor's family: a worker or the control process, through all its lives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tetrapylon._core.telemetry.counters import Slab, State
from tetrapylon.processes.channel import Channel
from tetrapylon.processes.fork import Timing, describe_end, name_signal, spawn
from tetrapylon.telemetry.events import say

# A life shorter than this counts towards a crash loop.
SHORT_LIFE = 10.0
CRASH_LOOP = 5
FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0


class Child:
    """A process that is replaced when it dies, after a delay that grows while its lives are short.

    `main` is given its end of the channel. Times are CLOCK_MONOTONIC seconds, given by the caller.
    """

    def __init__(
        self, name: str, main: Callable[[Channel], int], slab: Slab | None, timing: Timing, place: int = -1
    ) -> None:
        self.name = name
        self.slab = slab
        self.place = place
        """Of a worker: which of the sockets are its own."""
        self.pid = 0
        self.channel: Channel | None = None
        """Our end, while it is alive."""
        self.served = False
        """It has served at least once, in any life."""
        self.start_at: float | None = None
        """When its next life begins."""
        self._main = main
        self._timing = timing
        self._born = 0.0
        self._short_lives: list[float] = []
        self._beat = 0
        self._silence = 0.0
        self._kill_at: float | None = None

    @property
    def alive(self) -> bool:
        return self.pid != 0

    @property
    def crash_loop(self) -> bool:
        return len(self._short_lives) >= CRASH_LOOP

    def start(self, now: float) -> None:
        """Raises OSError when the system has no room for another process, or for the channel to it."""
        self.start_at = None
        self._born = now
        self._beat = 0
        self._silence = 0.0
        self._kill_at = None
        self.channel, other = Channel.pair()
        try:
            self.pid = spawn(partial(self._main, other))
        except OSError:
            self.part()
            raise
        finally:
            other.close()

    def part(self) -> None:
        """Nothing more is said between us."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def signal(self, number: int) -> None:
        if self.pid:
            # Nothing but waitpid frees the pid, so it cannot be another's; it may be a zombie.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def note_served(self) -> None:
        if self.slab is not None and self.slab.state == State.SERVING:
            self.served = True

    def stopped_by(self, number: int) -> None:
        say("warning", f"{self} was stopped by {name_signal(number)}; replaced if it does not go on")

    def reaped(self, wait_status: int, now: float, *, expected: bool) -> None:
        """It has ended. An unexpected end is told, and the next life planned."""
        who = str(self)
        lived = now - self._born
        self.pid = 0
        self.part()
        self._kill_at = None
        if self.slab is not None:
            self.slab.release()
        if expected:
            return
        if lived >= SHORT_LIFE:
            self._short_lives.clear()
        self._short_lives.append(now)
        delay = self._delay()
        self.start_at = now + delay
        soon = f"next try in {delay:.2g} s" if delay else "replacing it at once"
        end = describe_end(wait_status)
        if self.crash_loop:
            span = now - self._short_lives[0]
            say("error", f"{who} {end}: a crash loop, {len(self._short_lives)} times in {span:.1f} s; {soon}")
        else:
            say("warning", f"{who} {end} after {lived:.1f} s; {soon}")

    def could_not_start(self, error: OSError, now: float) -> None:
        self._short_lives.append(now)
        delay = max(self._delay(), FIRST_DELAY)
        self.start_at = now + delay
        say("error", f"{self.name} could not be started: {error.strerror}; next try in {delay:.2g} s")

    def watch(self, now: float, elapsed: float) -> None:
        """Looks at its heartbeat, `elapsed` seconds after the last look, and ends it when it is silent."""
        if not self.pid or self.slab is None:
            return
        if self._kill_at is not None:
            if now >= self._kill_at:
                self.signal(signal.SIGKILL)
            return
        if self.slab.state in (State.VACANT, State.STARTING):
            if now - self._born >= self._timing.start:
                self._abort(now, f"has not begun to serve after {self._timing.start:g} s")
            return
        beat = self.slab.heartbeat_ns
        if beat != self._beat:
            self._beat = beat
            self._silence = 0.0
            return
        # A machine that slept, or a supervisor that was stopped with its workers, sees one long `elapsed`.
        self._silence += min(elapsed, 2 * self._timing.beat)
        if self._silence >= self._timing.silence:
            self._abort(now, f"has been silent for {self._silence:.1f} s")

    def _abort(self, now: float, why: str) -> None:
        """SIGABRT makes faulthandler write where it hangs; SIGCONT lets a stopped process receive it."""
        say("error", f"{self} {why}; ending it, its traceback follows")
        self.signal(signal.SIGABRT)
        self.signal(signal.SIGCONT)
        self._kill_at = now + self._timing.grace

    def _delay(self) -> float:
        """None after a first death, then doubling."""
        count = len(self._short_lives)
        return 0.0 if count < 2 else min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(count - 2, 30))

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"
