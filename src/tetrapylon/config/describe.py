"""Routes in words and as JSON, for whatever shows them; what is secret or was filled in is not shown."""

from __future__ import annotations

from typing import Any

from tetrapylon.config.model import Config, Route
from tetrapylon.config.secrets import names_secret, veil

__all__ = ["destination", "headers", "methods", "policies", "summary"]


def destination(config: Config, route: Route, index: int) -> str:
    """`upstream users`, `respond 200`, `redirect 308 /new`; the route is the config's `index`th."""
    if route.handler is not None:
        return f"handler {route.handler.call}"
    if route.aggregate is not None:
        return f"aggregate of {', '.join(route.aggregate)}"
    if route.respond is not None:
        return f"respond {route.respond.status}"
    if route.redirect is not None:
        template = _filled(config, index, ".redirect.to") or _filled(config, index, ".redirect")
        return f"redirect {route.redirect.status} {template or route.redirect.to}"
    rewrite = _filled(config, index, ".rewrite") or route.rewrite
    rewritten = f" as {rewrite}" if rewrite is not None else ""
    if route.split is not None:
        return f"split between {', '.join(dict.fromkeys(route.upstreams))}{rewritten}"
    moving = f", moving to {route.moves_to}" if route.move is not None else ""
    return f"{'app' if route.app is not None else 'upstream'} {route.upstream}{rewritten}{moving}"


def headers(config: Config, route: Route, index: int) -> dict[str, str]:
    """The header fields that a request must carry."""
    shown = {}
    for name, value in route.headers.items():
        template = _filled(config, index, f".headers.{name}")
        shown[name] = veil(template) if names_secret(name) else template or value
    return shown


def methods(route: Route) -> str:
    """`GET,POST`, or `*` for all."""
    return ",".join(route.methods) or "*"


def policies(config: Config, route: Route) -> list[str]:
    """The names of the policies on a route, in the order they run."""
    return [policy.use for policy in (*config.policies, *route.policies)]


def summary(config: Config, route: Route, index: int) -> dict[str, Any]:
    """The route as an object for JSON."""
    return {
        "name": route.name,
        "methods": list(route.methods),
        "host": route.host,
        "path": route.path,
        "headers": headers(config, route, index),
        "destination": destination(config, route, index),
        "policies": policies(config, route),
        "at": route.at,
    }


def _filled(config: Config, index: int, key: str) -> str | None:
    return config.filled.get(f"routes[{index}]{key}") if config.filled else None
