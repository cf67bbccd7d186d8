"""The routes of a config as a `Router`; each leads to its own `Route` of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetrapylon.config.model import Config, Route

if TYPE_CHECKING:
    from tetrapylon._core.routing.route import Router

__all__ = ["add", "router"]


def add(table: Router[Route], route: Route) -> None:
    """Raises RouteError if the route is malformed or can never match."""
    table.add(
        route.path, route, methods=route.methods, host=route.host, headers=route.headers, name=route.name
    )


def router(config: Config) -> Router[Route]:
    """The frozen table of a checked config."""
    from tetrapylon._core.routing.route import Router

    table: Router[Route] = Router()
    for route in config.routes:
        add(table, route)
    table.freeze()
    return table
