"""Why a request takes the route it takes, and what keeps the nearest others from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tetrapylon._core.path import normalise_path
from tetrapylon._core.route import NotAllowed, RouteMatch, Router
from tetrapylon.config import table
from tetrapylon.config.model import Config, Route
from tetrapylon.config.template import expand

__all__ = ["Explanation", "Loser", "Request", "explain"]

PARAMETER = re.compile(r"\{[^{}:]+(?::([a-z]+))?\}")
TYPED = re.compile(r"\{([^{}:]+):(int|uuid)\}")
RANKS = {"int": 1, "uuid": 1, None: 2, "path": 3}


class Request(NamedTuple):
    """A request as a route sees it; `path` is without its query."""

    method: str
    path: str
    host: str
    headers: Mapping[str, str]


class Loser(NamedTuple):
    """A route that is near, and what keeps it from the request."""

    route: Route
    reasons: list[str]


class Explanation(NamedTuple):
    """`route` is None where none takes the request; `allowed` then names the methods that the path has."""

    route: Route | None
    params: dict[str, str]
    path: str
    """The path that goes to the upstream, or the one that was asked for."""
    allowed: tuple[str, ...]
    losers: list[Loser]


def explain(config: Config, request: Request) -> Explanation:
    """Raises ValueError where the path is one that the gateway answers with 400."""
    request = request._replace(path=normalise_path(request.path))
    found = table.router(config).match(request.method, request.path, request.host, request.headers)
    route = found.destination if isinstance(found, RouteMatch) else None
    losers = [
        Loser(other, reasons)
        for other in config.routes
        if other is not route and (reasons := _reasons(other, request, route))
    ]
    # The nearest first: those with the fewest conditions unmet, the file's order among equals.
    losers.sort(key=lambda loser: len(loser.reasons))
    if not isinstance(found, RouteMatch) or route is None:
        allowed = found.allowed if isinstance(found, NotAllowed) else ()
        return Explanation(None, {}, request.path, allowed, losers)
    params = _texts(route, found.path)
    path = expand(route.rewrite, params) if route.rewrite is not None else found.path
    return Explanation(route, params, path, (), losers)


def _texts(route: Route, path: str) -> dict[str, str]:
    """The parameters as they stand in the normal path, escapes and all: what a rewrite puts in."""
    pattern = "".join(
        f"(?P<{piece[1:-1].partition(':')[0]}>{'.*' if piece.endswith(':path}') else '[^/]+'})"
        if piece.startswith("{")
        else re.escape(piece)
        for piece in re.split(r"(\{[^{}]*\})", route.path)
    )
    found = re.fullmatch(pattern, path)
    return found.groupdict() if found else {}


def _reasons(route: Route, request: Request, winner: Route | None) -> list[str]:
    """What keeps `route` from the request; empty where it is not near."""
    if not _takes(request, route.path):
        if (reason := _near(route, request)) is None:
            return []
        return [reason, *_unmet(route, request)]
    unmet = _unmet(route, request)
    if unmet or winner is None:
        return unmet
    return [_less_specific(route, winner)]


def _takes(request: Request, path: str, **conditions: object) -> bool:
    """Whether a route with this path and these conditions alone would take the request."""
    router = Router()
    router.add(path, None, **conditions)  # type: ignore[arg-type]
    router.freeze()
    return isinstance(router.match(request.method, request.path, request.host, request.headers), RouteMatch)


def _unmet(route: Route, request: Request) -> list[str]:
    """The conditions besides the path that the request does not meet."""
    anywhere = "/{rest:path}"
    asked = request._replace(path="/")
    reasons = []
    if route.methods and not _takes(asked, anywhere, methods=route.methods):
        reasons.append(f"the method is {request.method}, not {' or '.join(route.methods)}")
    if route.host is not None and not _takes(asked, anywhere, host=route.host):
        reasons.append(f"the host is {request.host or 'unknown'}, not {route.host}")
    given = {name.lower(): value for name, value in request.headers.items()}
    for name, value in route.headers.items():
        if not _takes(asked, anywhere, headers={name: value}):
            shown = f"is {given[name.lower()]!r}" if name.lower() in given else "is missing"
            reasons.append(f"the header {name} {shown}, not {value!r}")
    return reasons


def _near(route: Route, request: Request) -> str | None:
    """What keeps a path that all but matches from matching."""
    untyped = TYPED.sub(r"{\1}", route.path)
    if untyped != route.path and _takes(request, untyped):
        for pattern, segment in zip(route.path.split("/"), request.path.split("/"), strict=False):
            kind = TYPED.fullmatch(pattern)
            if kind and not _takes(request._replace(path=f"/{segment}"), f"/{pattern}"):
                return f"{segment!r} is no {kind[2]}, as {pattern} asks for"
    slashed = request.path.removesuffix("/") if request.path.endswith("/") else f"{request.path}/"
    if slashed and _takes(request._replace(path=slashed), route.path):
        return f"it takes {slashed}: a slash at the end matters"
    return None


def _less_specific(route: Route, winner: Route) -> str:
    """Which of its parts is behind the winner's, in the order of precedence: path, host, headers, methods."""
    for mine, other in zip(route.path.split("/"), winner.path.split("/"), strict=False):
        if _rank(mine) != _rank(other):
            return f"less specific: {mine or '/'} against {other or '/'}"
    if route.host != winner.host:
        return f"less specific: the host {route.host or '*'} against {winner.host or '*'}"
    if route.headers != winner.headers:
        return "less specific: it asks for fewer headers"
    return "less specific: it names no methods"


def _rank(segment: str) -> int:
    found = PARAMETER.fullmatch(segment)
    return RANKS[found[1]] if found else 0
