"""Why a request takes the route it takes, and where it goes from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tetrapylon._core.route import NotAllowed, RouteMatch
from tetrapylon.config import table
from tetrapylon.config.model import Config, Route
from tetrapylon.config.template import expand

__all__ = ["Explanation", "Loser", "Request", "explain"]


class Request(NamedTuple):
    """A request as a route sees it; `path` is without its query."""

    method: str
    path: str
    host: str
    headers: Mapping[str, str]


class Loser(NamedTuple):
    """A route that is near, and what keeps it from the request."""

    route: Route
    reason: str


class Explanation(NamedTuple):
    """`route` is None where none takes the request; `allowed` then names the methods that the path has."""

    route: Route | None
    params: dict[str, str]
    path: str
    """The path that goes to the upstream, or the one that was asked for."""
    allowed: tuple[str, ...]
    losers: list[Loser]
    """The nearest first."""


def explain(config: Config, request: Request, *, limit: int = 5) -> Explanation:
    """Names at most `limit` losers. Raises ValueError for a path that the gateway answers with 400."""
    router = table.router(config)
    found = router.match(request.method, request.path, request.host, request.headers)
    candidates = router.explain(request.method, request.path, request.host, request.headers, limit=limit + 1)
    losers = [Loser(each.route.destination, each.reason) for each in candidates if not each.wins][:limit]
    if not isinstance(found, RouteMatch):
        allowed = found.allowed if isinstance(found, NotAllowed) else ()
        return Explanation(None, {}, request.path, allowed, losers)
    route: Route = found.route.destination
    params = _texts(route.path, found.path)
    path = expand(route.rewrite, params) if route.rewrite is not None else found.path
    return Explanation(route, params, path, (), losers)


def _texts(pattern: str, path: str) -> dict[str, str]:
    """The parameters as they stand in the normal path, escapes and all: what a rewrite puts in.

    Cannot fail: `path` is known to match `pattern`, whose literal segments the path spells its own way.
    """
    values = {}
    segments = path.split("/")
    for index, segment in enumerate(pattern.split("/")):
        if segment.startswith("{"):
            name, _, kind = segment[1:-1].partition(":")
            values[name] = "/".join(segments[index:]) if kind == "path" else segments[index]
    return values
