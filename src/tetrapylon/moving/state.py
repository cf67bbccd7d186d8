"""One route's move: where it stands, what comes next, and what was seen at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from tetrapylon.moving.judge import QUANTILE, Counts, Limits, Window, quantile, regression, wilson

__all__ = ["Move", "Refusal", "Settings", "Step"]

Where = Literal["comparing", "proposed", "holding", "moved", "back"]
STEPS = 50
"""Steps of one route that are told."""
PATIENCE = 1.0
"""Seconds for which a request may be under way, however fast others are, before it counts as late."""
SLOWER = 3.0
"""Times the old side's p95 likewise."""


class Settings(NamedTuple):
    """Of the config."""

    to: str
    compared: int
    """Pairs to be compared before it begins; 0: none."""
    different: float
    """Of these, fewer than this share may differ."""
    steps: tuple[float, ...]
    hold: float
    """Seconds of each step."""
    requests: int
    """That the new side has to have answered in it."""
    approve: Literal["each", "first", "never"]
    limits: Limits


class Step(msgspec.Struct, frozen=True):
    """What happened, and what was known of it."""

    time: float
    what: str
    """`proposed`, `approved`, `step`, `held`, `moved`, `back`, `again`"""
    share: float
    """From then on."""
    why: str
    evidence: dict[str, Any] = {}


class Refusal(Exception):
    """It cannot be approved; says why."""


class Move(msgspec.Struct):
    """`share` is what is in force. Whoever changes it looks at `steps`, and stores both."""

    route: str
    to: str
    where: Where = "comparing"
    share: float = 0.0
    since: float = 0.0
    """When the share was set last, in seconds since the epoch."""
    why: str = ""
    steps: list[Step] = []
    baseline: Counts | None = None
    """Of the old side before the share was set: what a step is compared with that leaves it none."""

    # -- what has been seen

    def decide(
        self,
        settings: Settings,
        now: float,
        window: Window,
        found: tuple[int, int],
        since_step: tuple[int, int],
        edges: Sequence[float],
    ) -> bool:
        """Goes on, or back, if it is time to; whether anything has changed.

        `window` is since the share was set; `found` how many pairs were compared and how many of them differ,
        `since_step` likewise since the share was set.
        """
        if self.where == "comparing":
            return self._begin(settings, now, found)
        if self.where not in ("proposed", "holding") or not self.share:
            return False
        why = regression(window, settings.limits, edges) or self._differs(settings, since_step)
        if why is not None:
            self._set(now, "back", 0.0, why, self._evidence(window, since_step, edges))
            self.where = "back"
            return True
        held = now - self.since >= settings.hold and window.new.ended >= settings.requests
        if self.where != "holding" or not held:
            return False
        self._held(settings, now, self._evidence(window, since_step, edges))
        return True

    def _begin(self, settings: Settings, now: float, found: tuple[int, int]) -> bool:
        compared, different = found
        if compared < settings.compared or (compared and different / compared >= settings.different > 0):
            return False
        evidence = self._evidence(None, found)
        if settings.approve == "never":
            self._step(settings, now, f"{different} of {compared} answers differ", evidence)
        else:
            self._propose(settings, now, f"{different} of {compared} answers differ", evidence)
        return True

    def _differs(self, settings: Settings, since_step: tuple[int, int]) -> str | None:
        compared, different = since_step
        most = settings.limits.different
        if most is None or wilson(different, compared)[0] <= most:
            return None
        return f"answers: {different} of {compared} that were compared meanwhile differ"

    def _held(self, settings: Settings, now: float, evidence: dict[str, Any]) -> None:
        why = f"{self.share:.4g} of the requests for {now - self.since:.0f} s, and nothing is worse"
        if self._next(settings) is None:
            self._set(now, "moved", self.share, why, evidence)
            self.where = "moved"
        elif settings.approve == "each":
            self._propose(settings, now, why, evidence)
        else:
            self._step(settings, now, why, evidence)

    # -- what people say

    def approve(self, settings: Settings, now: float, found: tuple[int, int], by: str) -> None:
        """The step that is proposed; of one that went back, the first. Raises Refusal."""
        compared, different = found
        if self.where == "moved":
            raise Refusal("it has moved: nothing is left to approve")
        if self.where == "holding":
            raise Refusal("its step is still being held: the next one is proposed once it is")
        if self.where in ("comparing", "back") and not self._may_begin(settings, found):
            raise Refusal(
                f"{compared} answers were compared and {different} of them differ; wanted are"
                f" {settings.compared}, of which less than {settings.different:.4g} differ"
            )
        self._step(settings, now, f"approved ({by})", self._evidence(None, found), "approved")

    def back(self, now: float, why: str) -> None:
        """All to the old side. Raises Refusal."""
        if self.where in ("comparing", "back"):
            raise Refusal("all requests go to the old side already")
        self._set(now, "back", 0.0, why, {})
        self.where = "back"

    def again(self, now: float, to: str) -> None:
        """It is to go to another upstream now."""
        self.to = to
        self.where = "comparing"
        self._set(now, "again", 0.0, f"it leads to {to} now", {})

    def joined(self, other: Move) -> Move:
        """Of two that went on apart, the one that did so last, with the steps of both."""
        if not other.steps or other.steps == self.steps:
            return self
        last = max(self, other, key=lambda move: move.steps[-1].time if move.steps else -1.0)
        steps = sorted(
            {msgspec.msgpack.encode(step): step for step in (*self.steps, *other.steps)}.values(),
            key=lambda step: step.time,
        )
        return msgspec.structs.replace(last, steps=steps[-STEPS:])

    # -- what is told

    def told(self, settings: Settings, found: tuple[int, int]) -> dict[str, Any]:
        following = self._next(settings)
        return {
            "route": self.route,
            "to": self.to,
            "state": self.where,
            "share": self.share,
            "since": self.since,
            "next": following if self.where not in ("moved", "back") else None,
            "why": self.why,
            "compared": found[0],
            "different": found[1],
            "steps": [msgspec.to_builtins(step) for step in self.steps],
        }

    # --

    def _may_begin(self, settings: Settings, found: tuple[int, int]) -> bool:
        compared, different = found
        return compared >= settings.compared and (
            not settings.compared or different / max(1, compared) < settings.different
        )

    def _next(self, settings: Settings) -> float | None:
        share = 0.0 if self.where == "back" else self.share
        return next((step for step in settings.steps if step > share + 1e-9), None)

    def _propose(self, settings: Settings, now: float, why: str, evidence: dict[str, Any]) -> None:
        self.where = "proposed"
        following = self._next(settings)
        self._note(Step(now, "proposed", self.share, f"{why}; {following or 0:.4g} is next", evidence))

    def _step(
        self, settings: Settings, now: float, why: str, evidence: dict[str, Any], what: str = "step"
    ) -> None:
        share = self._next(settings)
        if share is None:
            raise Refusal("there is no further step")
        self.where = "holding"
        self._set(now, what, share, why, evidence)

    def _set(self, now: float, what: str, share: float, why: str, evidence: dict[str, Any]) -> None:
        self.share = share
        self.since = now
        self._note(Step(now, what, share, why, evidence))

    def _note(self, step: Step) -> None:
        self.why = step.why
        self.steps = [*self.steps[1 - STEPS :], step]

    def _evidence(
        self, window: Window | None, found: tuple[int, int], edges: Sequence[float] = ()
    ) -> dict[str, Any]:
        compared, different = found
        told: dict[str, Any] = {}
        if compared:
            told |= {
                "compared": compared,
                "different": different,
                "different_at_most": round(wilson(different, compared, 1.96)[1], 6),
            }
        if window is not None:
            told |= {"old": _side(window.old, edges), "new": _side(window.new, edges)}
        return told


def _side(counts: Counts, edges: Sequence[float]) -> dict[str, Any]:
    p95 = quantile(counts.times, edges, QUANTILE, 0.0)
    return {
        "requests": counts.ended,
        "errors": counts.errors,
        "client_errors": counts.refusals,
        "late": counts.late,
        "p95": None if p95 is None else round(p95[0], 6),
    }
