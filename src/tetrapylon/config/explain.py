"""Why a request takes the route it takes, what happens to it there, and where each setting comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from tetrapylon._core.routing.route import NotAllowed, RouteMatch, Router
from tetrapylon.config import describe, shape, table
from tetrapylon.config.mask import masked_route, masked_settings
from tetrapylon.config.model import Config, PolicyUse, Route, Upstream
from tetrapylon.config.schema import written
from tetrapylon.config.template import expand
from tetrapylon.config.tree import Path, render_path
from tetrapylon.discovery.registry import name_of

__all__ = ["Request", "explain", "request"]


class Request(NamedTuple):
    """A request as a route sees it; `query` has its question mark."""

    method: str
    path: str
    query: str = ""
    host: str = ""
    headers: Mapping[str, str] = {}


def request(method: str, target: str, headers: Mapping[str, str]) -> Request:
    """A request for `target`, a path or a URL, whose host stands in for a missing Host field.

    Raises ValueError, with what is wrong and what to write instead.
    """
    host = next((value for name, value in headers.items() if name.lower() == "host"), "")
    if "://" in target:
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(target)
        except ValueError as error:
            raise ValueError(f"{target!r} is not a URL: {error}") from None
        host = host or parts.netloc.rpartition("@")[2]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    elif not target.startswith("/"):
        raise ValueError(
            f"{target!r} is neither a path nor a URL; did you mean /{target} or http://{target}?"
        )
    path, mark, query = target.partition("#")[0].partition("?")
    return Request(method, path, mark + query, host, headers)


def explain(
    config: Config, asked: Request, *, limit: int = 5, router: Router[Route] | None = None
) -> dict[str, Any]:
    """All of it as an object for JSON, secrets masked; `router` is `table.router(config)`, if it is at hand.

    `route` is None where none takes the request: `status` is what it is answered with, 404 or 405, and
    `allowed` names the methods that the path has. `candidates` has the routes that are near, in the order in
    which they were considered, each with what keeps it from the request; at most `limit` of those that lose.

    Raises ValueError for a path that the gateway answers with 400.
    """
    router = table.router(config) if router is None else router
    found = router.match(asked.method, asked.path, asked.host, asked.headers)
    near = router.explain(asked.method, asked.path, asked.host, asked.headers, limit=limit + 1)
    losers = 0
    candidates = []
    for each in near:
        losers += not each.wins
        if each.wins or losers <= limit:
            candidates.append(_candidate(config, each.route.destination, each.wins, each.reason))
    told: dict[str, Any] = {
        "method": asked.method,
        "path": asked.path,
        "host": asked.host or None,
        "route": None,
        "candidates": candidates,
    }
    if not isinstance(found, RouteMatch):
        allowed = found.allowed if isinstance(found, NotAllowed) else ()
        return told | {"status": 405 if allowed else 404, "allowed": list(allowed)}
    route: Route = found.route.destination
    index = _index(config, route)
    params = _texts(route.path, found.path)
    path = expand(route.rewrite, params) if route.rewrite is not None else found.path
    return told | {
        "route": describe.summary(config, route, index),
        "params": params,
        "target": path + asked.query if route.redirect is None and route.respond is None else None,
        "policies": list(_policies(config, route, index)),
        "destination": _destination(config, route, index),
        "limits": _limits(config, route, index),
        "timeouts": list(_timeouts(config, route, index)),
        "settings": _settings(config, index),
    }


TOLD = ("path", "methods", "host", "headers", "name", "upstream", "policies", "limits", "timeouts")
"""What `explain` tells of a route by other names."""


def _settings(config: Config, index: int) -> dict[str, Any]:
    """All else that the route itself says, as a file would have it."""
    return {name: value for name, value in masked_route(config, index).items() if name not in TOLD}


def _candidate(config: Config, route: Route, wins: bool, reason: str) -> dict[str, Any]:
    index = _index(config, route)
    for name, shown in describe.headers(config, route, index).items():
        if shown != route.headers[name]:
            reason = reason.replace(repr(route.headers[name]), repr(shown))
    return {"route": describe.summary(config, route, index), "wins": wins, "reason": reason}


def _index(config: Config, route: Route) -> int:
    return next(index for index, each in enumerate(config.routes) if each is route)


def _policies(config: Config, route: Route, index: int) -> Iterator[dict[str, Any]]:
    """In the order in which they run on the way in."""
    general: list[tuple[Path, PolicyUse]] = [(("policies", i), use) for i, use in enumerate(config.policies)]
    own: list[tuple[Path, PolicyUse]] = [
        (("routes", index, "policies", i), use) for i, use in enumerate(route.policies)
    ]
    for path, use in (*general, *own):
        yield {"use": use.use, "settings": masked_settings(config, use, path), "from": render_path(path)}


def _destination(config: Config, route: Route, index: int) -> dict[str, Any]:
    told: dict[str, Any] = {"text": describe.destination(config, route, index)}
    if route.upstream is not None:
        upstream = config.upstreams[route.upstream]
        shown = shape.section(Upstream).fields
        told["upstream"] = route.upstream
        told["targets"] = [
            {
                "url": config.filled.get(f"{render_path(('upstreams', route.upstream, 'targets', i))}.url")
                or config.filled.get(render_path(("upstreams", route.upstream, "targets", i)))
                or target.url,
                "weight": target.weight,
            }
            for i, target in enumerate(upstream.targets)
        ]
        if upstream.discover is not None:
            told["discover"] = name_of(upstream.discover)
        told["balance"] = written(shown["balance"].shape, upstream.balance)
        told["host"] = upstream.host
    return told


def _limits(config: Config, route: Route, index: int) -> list[dict[str, Any]]:
    value, source = route.limits.body, f"routes[{index}].limits.body"
    if isinstance(value, UnsetType):
        value, source = config.server.limits.body, _source(config.server.limits, ("server", "limits"), "body")
    place = shape.section(type(config.server.limits)).fields["body"].shape
    return [{"name": "body", "value": written(place, value), "from": source}]


# Where a route's timeout comes from if it is not the route's own.
OF_SERVER = ("header", "body_idle", "body", "keepalive")
OF_UPSTREAM = ("connect", "response", "idle", "total", "tunnel")


def _timeouts(config: Config, route: Route, index: int) -> Iterator[dict[str, Any]]:
    """Those in force, each with the key that says so."""
    server: tuple[Any, Path] = (config.server.timeouts, ("server", "timeouts"))
    yield from (_timeout(name, route, index, *server) for name in OF_SERVER)
    if route.upstream is not None:
        general = config.upstreams[route.upstream].timeouts
        path: Path = (config.upstreams[route.upstream].section, route.upstream, "timeouts")
        yield from (_timeout(name, route, index, general, path) for name in OF_UPSTREAM)


def _timeout(name: str, route: Route, index: int, general: Any, path: Path) -> dict[str, Any]:
    value = getattr(route.timeouts, name, UNSET)
    source = f"routes[{index}].timeouts.{name}"
    if value is UNSET:
        value, source = getattr(general, name), _source(general, path, name)
    place = shape.section(type(general)).fields[name].shape
    return {"name": name, "value": written(place, value), "from": source}


def _source(general: Any, path: Path, name: str) -> str:
    """The key that sets it; what has its default's value may be set, and needs not be."""
    default = getattr(general, name) == shape.section(type(general)).fields[name].default
    return f"the default of {render_path((*path, name))}" if default else render_path((*path, name))


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
