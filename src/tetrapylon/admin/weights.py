"""Weights of targets set by an operator, for all workers at once, until they are given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetrapylon.admin.answer import Answer, Asked, Endpoint, json, problem
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon._core.shared.board import Board

__all__ = ["endpoint"]

CONFIGURED = "config"
"""In place of a number: the config's own again."""
MOST = 1000


def endpoint(board: Board) -> Endpoint:
    return Endpoint(
        "POST: a target's weight for now: ?upstream=NAME&target=HOST:PORT&weight=N; 0 drains it, `config`"
        " gives it back",
        Weights(board).answer,
        ("POST",),
        ("upstream", "target", "weight"),
    )


class Weights:
    def __init__(self, board: Board) -> None:
        self._board = board

    def answer(self, asked: Asked) -> Answer:
        query = asked.query
        for name in ("upstream", "target", "weight"):
            if not query.get(name):
                return problem(400, f"?{name}= is missing; ask for ?upstream=NAME&target=HOST:PORT&weight=N")
        upstream, target, text = query["upstream"], query["target"], query["weight"]
        rows = [row for row in self._board.rows() if row["upstream"] == upstream and row["target"]]
        if not rows:
            return problem(404, f"there is no upstream {upstream!r}; GET /upstreams lists those there are")
        if all(row["target"] != target for row in rows):
            known = ", ".join(row["target"] for row in rows[:10])
            return problem(404, f"{upstream} has no target {target!r}; it has {known}")
        weight = None
        if text != CONFIGURED:
            if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= MOST):
                hint = f"expected a number from 0 to {MOST}, or {CONFIGURED}"
                return problem(400, f"?weight={text}: {hint}")
            weight = int(text)
        if weight == 0 and all(row["weight"] == 0 for row in rows if row["target"] != target):
            return problem(409, f"{target} is the last target of {upstream} whose weight is above 0")
        self._board.set_weight(upstream, target, weight)
        what = (
            "the config's own again" if weight is None else f"{weight} from now on, in place of the config's"
        )
        say("info", f"upstream {upstream}: target {target}: its weight is {what} (admin)")
        return json({"upstream": upstream, "target": target, "weight": weight})
