"""Moves from one upstream to another: where they stand, and what people decide."""

from __future__ import annotations

from typing import Any, Protocol

from tetrapylon.admin.answer import Answer, Asked, Endpoint, json, problem
from tetrapylon.moving.state import Refusal

__all__ = ["Moves", "endpoints"]


class Moves(Protocol):
    def told(self, route: str | None = None) -> list[dict[str, Any]]:
        """Of all routes with a move, or of one: see `moving.Move.told`."""

    def approve(self, route: str, by: str) -> dict[str, Any]:
        """What is proposed. Raises KeyError for a route without a move, and Refusal."""

    def back(self, route: str, why: str) -> dict[str, Any]:
        """Likewise: all requests to the old side."""


def endpoints(moves: Moves) -> dict[str, Endpoint]:
    answers = _Move(moves)
    return {
        "/move": Endpoint("where moves stand, and what was seen at each step; ?route=NAME", answers.show),
        "/move/approve": Endpoint(
            "POST: take the step that is proposed, for ?route=NAME", answers.approve, ("POST",), ("route",)
        ),
        "/move/back": Endpoint(
            "POST: send all requests back to the old side, for ?route=NAME; ?why=",
            answers.back,
            ("POST",),
            ("route", "why"),
        ),
    }


class _Move:
    def __init__(self, moves: Moves) -> None:
        self._moves = moves

    def show(self, asked: Asked) -> Answer:
        route = asked.query.get("route")
        told = self._moves.told(route)
        return self._unknown(route) if route is not None and not told else json(told)

    def approve(self, asked: Asked) -> Answer:
        route = asked.query.get("route")
        try:
            return self._unknown(route) if route is None else json(self._moves.approve(route, "admin"))
        except KeyError:
            return self._unknown(route)
        except Refusal as refusal:
            return problem(409, f"{route}: {refusal}")

    def back(self, asked: Asked) -> Answer:
        route = asked.query.get("route")
        why = asked.query.get("why") or "somebody said so (admin)"
        try:
            return self._unknown(route) if route is None else json(self._moves.back(route, why))
        except KeyError:
            return self._unknown(route)
        except Refusal as refusal:
            return problem(409, f"{route}: {refusal}")

    def _unknown(self, route: str | None) -> Answer:
        if route is None:
            return problem(400, "?route= is missing; GET /move lists the routes that have a `move`")
        return problem(404, f"no route {route!r} has a `move`; GET /move lists those that have one")
