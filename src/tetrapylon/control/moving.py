"""Moves of the config in force: looked at four times a second, steered by the share that workers read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tetrapylon.config.wire import Encoded
from tetrapylon.destinations.moves import settings_of, slot_of
from tetrapylon.moving.judge import QUANTILE, Counts, Window, quantile
from tetrapylon.moving.state import PATIENCE, SLOWER, Move, Settings
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.moving.file import MovesFile

__all__ = ["LOOK_EVERY", "Moving", "Shares"]

LOOK_EVERY = 0.25
"""Seconds between two looks."""
DIFF_EVERY = 1.0
"""Seconds between two looks at how answers differ."""

Raw = tuple[int, int, int, int, list[int]]


class Shares(Protocol):
    """What all workers share: `_core.moves.Moves`."""

    @property
    def edges(self) -> list[float]: ...
    def set_share(self, route: str, share: float) -> None: ...
    def counts(self, route: str, new: bool) -> Raw: ...


class Moving:
    """The moves. All calls in the loop's thread."""

    def __init__(
        self,
        config: bytes,
        shares: Shares,
        compared: Callable[[str], tuple[int, int]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`compared` tells of a route how many pairs were compared, and how many of them differ."""
        self._shares = shares
        self._compared = compared
        self._clock = clock
        self._edges = shares.edges
        self._file: MovesFile | None = None
        self._moves: dict[str, Move] = {}
        """Of all routes that were ever known, by title."""
        self._settings: dict[str, Settings] = {}
        """Of those that the config in force has."""
        self._sights: dict[str, _Sight] = {}
        self.follow(config)

    def follow(self, config: bytes) -> None:
        """From now on by this config."""
        encoded = Encoded(config)
        self._settings = {
            route.title: settings_of(route) for route, _ in encoded.routes() if route.move is not None
        }
        if self._settings and self._file is None:
            from tetrapylon.moving.file import MovesFile

            self._file = MovesFile(encoded.head.diff.moves)
            self._moves = dict(self._file.moves)
        self._sights = {title: sight for title, sight in self._sights.items() if title in self._settings}
        for title, settings in self._settings.items():
            move = self._moves.get(title)
            if move is None:
                move = self._moves[title] = Move(title, settings.to, since=self._clock())
            elif move.to != settings.to:
                move.again(self._clock(), settings.to)
                self._changed(move)
            self._shares.set_share(slot_of(title, move.to), move.share)
            if title not in self._sights:
                self._sights[title] = self._sight(move)

    def tick(self) -> None:
        """To be called every LOOK_EVERY seconds."""
        now = self._clock()
        for move in self._file.look(self._moves) if self._file is not None else ():
            self._taken(move)
        for title, settings in self._settings.items():
            move, sight = self._moves[title], self._sights[title]
            if move.where in ("moved", "back"):
                continue
            window = sight.look(now)
            if now - sight.asked >= DIFF_EVERY:
                sight.asked = now
                sight.found = self._compared(title)
            if move.decide(settings, now, window, sight.found, sight.since_step(), self._edges):
                self._changed(move)

    def told(self, route: str | None = None) -> list[dict[str, Any]]:
        """Of all routes with a move, or of one."""
        return [
            self._moves[title].told(settings, self._sights[title].found)
            for title, settings in sorted(self._settings.items())
            if route in (None, title)
        ]

    def approve(self, route: str, by: str) -> dict[str, Any]:
        """What is proposed. Raises KeyError for a route without a move, and Refusal."""
        settings, move = self._settings[route], self._moves[route]
        self._sights[route].found = found = self._compared(route)
        move.approve(settings, self._clock(), found, by)
        self._changed(move)
        return move.told(settings, found)

    def back(self, route: str, why: str) -> dict[str, Any]:
        """All to the old side. Raises KeyError for a route without a move, and Refusal."""
        settings, move = self._settings[route], self._moves[route]
        move.back(self._clock(), why)
        self._changed(move)
        return move.told(settings, self._sights[route].found)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _taken(self, move: Move) -> None:
        """As another process left it, which had the file."""
        before = self._moves.get(move.route)
        self._moves[move.route] = move
        settings = self._settings.get(move.route)
        if settings is None or settings.to != move.to:
            return
        if before is None or (before.share, before.where) != (move.share, move.where):
            say("info", f"move of {move.route} to {move.to}: {move.share:.4g} of the requests, by the file")
        self._shares.set_share(slot_of(move.route, move.to), move.share)
        self._sights[move.route] = self._sight(move)

    def _changed(self, move: Move) -> None:
        """The share first: nothing may keep it from being set."""
        self._shares.set_share(slot_of(move.route, move.to), move.share)
        step = move.steps[-1]
        if step.what != "proposed":
            move.baseline = self._sights[move.route].old() if move.route in self._sights else None
            self._sights[move.route] = self._sight(move)
        say(
            "warning" if step.what == "back" else "info",
            f"move of {move.route} to {move.to}: {step.what}, {move.share:.4g} of the requests: {step.why}",
        )
        if self._file is not None:
            self._file.write(move, self._moves)

    def _sight(self, move: Move) -> _Sight:
        return _Sight(self._shares, move, self._compared(move.route), self._edges)


class _Sight:
    """What is seen of one route since its share was set."""

    def __init__(self, shares: Shares, move: Move, found: tuple[int, int], edges: list[float]) -> None:
        self._shares = shares
        self._slot = slot_of(move.route, move.to)
        self._edges = edges
        self._from = self._raw()
        self._begun: deque[tuple[float, int, int]] = deque()
        """When how many requests had begun, of the old side and of the new one."""
        self.found = self._found_from = found
        self.asked = 0.0
        self._alone = move.share >= 1.0
        """What the old side still has is what was under way."""
        self._baseline = move.baseline

    def look(self, now: float) -> Window:
        old, new = self._raw()
        patience = self._patience()
        self._begun.append((now, old[0], new[0]))
        late = [0, 0]
        while len(self._begun) > 1 and self._begun[1][0] <= now - patience:
            self._begun.popleft()
        at, *begun = self._begun[0]
        if at <= now - patience:
            # Those under way as it began are nobody's of this step.
            late = [
                max(0, count - raw[1] - max(0, first[0] - first[1]))
                for count, raw, first in zip(begun, (old, new), self._from, strict=True)
            ]
        sides = [
            _since(raw, first, each) for raw, first, each in zip((old, new), self._from, late, strict=True)
        ]
        if self._alone and self._baseline is not None:
            sides[0] = self._baseline
        return Window(*sides)

    def since_step(self) -> tuple[int, int]:
        """Pairs compared since the share was set, and how many of them differ."""
        if self.found[0] < self._found_from[0]:
            self._found_from = (0, 0)  # somebody had them forgotten
        return self.found[0] - self._found_from[0], max(0, self.found[1] - self._found_from[1])

    def old(self) -> Counts:
        """What the old side did, as far as it is known."""
        if self._alone and self._baseline is not None:
            return self._baseline
        return _since(self._raw()[0], self._from[0], 0)

    def _patience(self) -> float:
        """Seconds after which a request is late."""
        p95 = quantile(self.old().times, self._edges, QUANTILE)
        return max(PATIENCE, SLOWER * p95[2]) if p95 is not None else PATIENCE

    def _raw(self) -> tuple[Raw, Raw]:
        return self._shares.counts(self._slot, False), self._shares.counts(self._slot, True)


def _since(raw: Raw, first: Raw, late: int) -> Counts:
    return Counts(
        raw[1] - first[1],
        raw[2] - first[2],
        raw[3] - first[3],
        [now - before for now, before in zip(raw[4], first[4], strict=True)],
        late,
    )
