"""What shadows have found."""

from __future__ import annotations

from typing import Any, Protocol

from tetrapylon.admin.answer import Answer, Asked, Endpoint, json, problem

__all__ = ["Compared", "endpoints"]


class Compared(Protocol):
    def told(self, route: str | None = None) -> list[dict[str, Any]]:
        """Of all routes, or of one: see `diff.findings.Route.told`."""

    def forget(self, route: str | None) -> bool:
        """Begins anew, for all routes or one; whether there was anything."""


def endpoints(compared: Compared) -> dict[str, Endpoint]:
    answers = _Diff(compared)
    return {
        "/diff": Endpoint("how the answers of shadows differ; ?route=NAME for one route", answers.show),
        "/diff/forget": Endpoint(
            "POST: forget what was found, for ?route=NAME or all", answers.forget, ("POST",), ("route",)
        ),
    }


class _Diff:
    def __init__(self, compared: Compared) -> None:
        self._compared = compared

    def show(self, asked: Asked) -> Answer:
        route = asked.query.get("route")
        told = self._compared.told(route)
        if route is not None and not told:
            return problem(404, f"nothing was compared on a route {route!r}; GET /diff lists those there are")
        return json(told)

    def forget(self, asked: Asked) -> Answer:
        route = asked.query.get("route")
        if not self._compared.forget(route) and route is not None:
            return problem(404, f"nothing was compared on a route {route!r}; GET /diff lists those there are")
        return json({"forgotten": route or "all"})
