"""One hosted app: as many processes as it is to have, each replaced by one that serves before it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from tetrapylon.apps.growth import Grown
from tetrapylon.apps.server import Server, State, target_name
from tetrapylon.apps.servers import reference, why_not_started
from tetrapylon.config.model import App, Target
from tetrapylon.processes.child import CRASH_LOOP, FIRST_DELAY, LONGEST_DELAY, SHORT_LIFE
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon._core.shared.board import Board

__all__ = ["Hosted"]

GROWN = 2.0
"""Times what was said last, for a process's growth to be said again."""
LET_GO = 0.5
"""Seconds that workers have to leave a process alone, before it is told to end."""


class Place:
    """One of the processes that an app is to have, and the one to come after it."""

    def __init__(self) -> None:
        self.serving: Server | None = None
        self.coming: Server | None = None

    @property
    def servers(self) -> list[Server]:
        return [each for each in (self.serving, self.coming) if each is not None]


class Hosted:
    """Times are CLOCK_MONOTONIC seconds, given by the caller."""

    def __init__(
        self,
        name: str,
        app: App,
        trusted: Sequence[str],
        socket: Callable[[], str],
        publish: Callable[[str, tuple[Target, ...]], None],
        board: Board,
    ) -> None:
        """`socket` gives names for sockets. `publish` is told where the app's processes listen."""
        self.name = name
        self.app = app
        self.trusted = tuple(trusted)
        self.restarts = 0
        self.last_end = ""
        self._socket = socket
        self._publish = publish
        self._board = board
        self._published: tuple[Target, ...] | None = None
        self._epoch = 0
        self._places = [Place() for _ in range(app.processes)]
        self._leaving: list[tuple[float, Server]] = []
        """With when each is told to end."""
        self._failures = 0
        """Short lives in a row."""
        self._start_at = 0.0
        """No process is started sooner."""
        self._grown_to = 0
        """Bytes of a process, when it was said last that it grows."""

    @property
    def servers(self) -> list[Server]:
        return [each for place in self._places for each in place.servers] + [
            server for _, server in self._leaving
        ]

    def told(self) -> dict[str, Any]:
        """For operators."""
        return {
            "app": reference(self.app),
            "processes": self.app.processes,
            "up": self.up,
            "pids": [server.pid for place in self._places for server in place.servers],
            "targets": {
                place.serving.target.name: place.serving.pid for place in self._places if place.serving
            },
            "restarts": self.restarts,
            "last_end": self.last_end or None,
        }

    @property
    def up(self) -> int:
        return sum(place.serving is not None for place in self._places)

    @property
    def starting(self) -> bool:
        return any(place.coming is not None for place in self._places)

    def due(self) -> Iterator[float]:
        """When there will be something to do, apart from what is heard."""
        if any(self._wanted(place) for place in self._places):
            yield self._start_at
        for at, server in self._leaving:
            if server.state is State.SERVING:
                yield at
        for server in self.servers:
            if server.kill_at is not None:
                yield server.kill_at
            if server.growth is not None and server.state is State.SERVING:
                yield server.growth.due

    def take(self, app: App, trusted: Sequence[str], now: float) -> None:
        """Other settings from now on: what serves goes on until its successors do."""
        if app == self.app and tuple(trusted) == self.trusted:
            return
        self.app = app
        self.trusted = tuple(trusted)
        self._grown_to = 0
        while len(self._places) > app.processes:
            self._vacate(self._places.pop(), now)
        self._places += [Place() for _ in range(app.processes - len(self._places))]
        self.roll(now)

    def roll(self, now: float) -> None:
        """Every process is replaced, one at a time."""
        self._epoch += 1
        self._failures = 0
        self._start_at = now
        for place in self._places:
            if place.coming is not None:
                self._leave(place.coming, now)
                place.coming = None

    def tick(self, now: float) -> None:
        for server in self.servers:
            server.output.tick(now)
            server.look(now)
            if server.kill_at is not None and now >= server.kill_at:
                self._kill(server)
            if server.grown is not None and server.grown.after >= GROWN * self._grown_to:
                self._tell_growth(server, server.grown)
        for place in self._places:
            self._settle(place, now)
        for at, server in self._leaving:
            if now >= at:
                server.stop(now, self.app.drain)
        self._reap(now)
        self._start(now)
        self._tell()

    def _tell_growth(self, server: Server, grown: Grown) -> None:
        self._grown_to = grown.after
        bound = (
            "it may leak. `max_memory` or `max_requests` replaces such a process, and no request fails"
            if self.app.max_requests is None
            else "it may leak, faster than `max_requests` replaces it: lower that, or set `max_memory`"
        )
        say("warning", f"{server}: {grown}: {bound}", app=self.name)

    def end(self, now: float, patience: float = 0.0, *, last: bool) -> None:
        """All of them. `last`: no request is in flight, and none will come."""
        for place in self._places:
            self._vacate(place, now)
        for _, server in self._leaving if last else ():
            server.stop(now, patience, last=True)
        self._places.clear()

    def kill(self) -> None:
        for server in self.servers:
            server.kill("the gateway ends")

    def _wanted(self, place: Place) -> bool:
        """Whether a process is to be started there. Replaced is one after the other."""
        if place.coming is not None:
            return False
        serving = place.serving
        if serving is None:
            return True
        return bool(serving.epoch != self._epoch or serving.spent) and not self.starting

    def _settle(self, place: Place, now: float) -> None:
        """One that has come to serve takes its place."""
        coming = place.coming
        if coming is None or coming.state is not State.SERVING:
            return
        before = place.serving
        coming.number = self._number()
        place.serving, place.coming = coming, None
        took = now - coming.born
        if before is None:
            say("info", f"{coming} serves, {took:.1f} s after its start", app=self.name)
        else:
            why = f", which {before.spent}" if before.spent else ""
            say("info", f"{coming} serves in the place of pid {before.pid}{why}", app=self.name)
            self._leave(before, now)

    def _number(self) -> int:
        """The lowest that no living process has, so that names recur. The board knows those of another host,
        too, which is to go where new code has come."""
        had = {row["target"] for row in self._board.rows() if row["upstream"] == self.name}
        had |= {server.target.name for server in self.servers}
        number = next(number for number in count(1) if target_name(self.name, number) not in had)
        self._board.renew(self.name, target_name(self.name, number))
        return number

    def _vacate(self, place: Place, now: float) -> None:
        for server in place.servers:
            self._leave(server, now)
        place.serving = place.coming = None

    def _leave(self, server: Server, now: float) -> None:
        if server.state is State.STARTING:
            server.stop(now, 0.0)
        self._leaving.append((now + LET_GO, server))

    def _kill(self, server: Server) -> None:
        if server.state is State.STARTING:
            why = f"does not serve {self.app.startup:g} s after its start (`startup`)"
        else:
            why = "has not ended in time"
        say("warning", f"{server} {why}; killing it", app=self.name)
        server.kill(why)

    def _reap(self, now: float) -> None:
        for place in self._places:
            for server in place.servers:
                ended = self._ended(server, now)
                if ended is not None:
                    if server is place.serving:
                        place.serving = None
                    else:
                        place.coming = None
                    self._died(server, ended, now)
        left = []
        for at, server in self._leaving:
            ended = self._ended(server, now)
            if ended is None:
                left.append((at, server))
            elif server.spent:
                say("info", f"{server}, which {server.spent}, has ended", app=self.name)
        self._leaving = left

    def _ended(self, server: Server, now: float) -> str | None:
        """As `Server.reap`; its name is free then."""
        ended = server.reap(now)
        if ended is not None and server.number:
            self._board.release(self.name, server.target.name)
        return ended

    def _died(self, server: Server, ended: str, now: float) -> None:
        self.restarts += 1
        lived = now - server.born
        self._failures = self._failures + 1 if lived < SHORT_LIFE or not server.has_served else 0
        delay = 0.0
        if self._failures:
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures - 1, 30))
        self._start_at = now + delay
        loop = f", {self._failures} short lives in a row" if self._failures >= CRASH_LOOP else ""
        others = f"{self.up} of {self.app.processes} serve"
        soon = f"next try in {delay:.2g} s" if delay else "replacing it at once"
        self.last_end = f"{server} {ended}"
        say("error", f"{self.last_end}{loop}; {others}; {soon}", app=self.name)

    def _start(self, now: float) -> None:
        for place in self._places:
            if now < self._start_at or not self._wanted(place):
                continue
            try:
                place.coming = Server(self.name, self.app, self.trusted, self._epoch, self._socket(), now)
            except (OSError, ValueError) as error:
                self._failures += 1
                self._start_at = now + LONGEST_DELAY
                self.last_end = f"could not be started: {why_not_started(error)}"
                say("error", f"app {self.name} {self.last_end}; next try in {LONGEST_DELAY:g} s")
                return
            say("info", f"{place.coming} started, to serve {reference(self.app)}", app=self.name)

    def _tell(self) -> None:
        """Where it listens; while it comes up for the first time, not before it does or has failed to."""
        targets = tuple(place.serving.target for place in self._places if place.serving is not None)
        first = self._published is None and not self._failures
        if targets == self._published or (first and len(targets) < len(self._places)):
            return
        self._published = targets
        self.publish()

    def publish(self) -> None:
        """Says anew where it listens, if it has said so before."""
        if self._published is not None:
            self._publish(self.name, self._published)
