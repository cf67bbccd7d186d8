"""Routes in words and as JSON, for the verbs that show them."""

from __future__ import annotations

from typing import Any

from tetrapylon.config.model import Config, Route

__all__ = ["destination", "methods", "policies", "summary"]


def destination(route: Route) -> str:
    """`upstream users`, `respond 200`, `redirect 308 /new`."""
    if route.respond is not None:
        return f"respond {route.respond.status}"
    if route.redirect is not None:
        return f"redirect {route.redirect.status} {route.redirect.to}"
    rewrite = f" as {route.rewrite}" if route.rewrite is not None else ""
    return f"upstream {route.upstream}{rewrite}"


def methods(route: Route) -> str:
    """`GET,POST`, or `*` for all."""
    return ",".join(route.methods) or "*"


def policies(config: Config, route: Route) -> list[str]:
    """The names of the policies on a route, in the order they run."""
    return [policy.use for policy in (*config.policies, *route.policies)]


def summary(config: Config, route: Route) -> dict[str, Any]:
    """The route as an object for JSON."""
    return {
        "name": route.name,
        "methods": list(route.methods),
        "host": route.host,
        "path": route.path,
        "headers": route.headers,
        "destination": destination(route),
        "policies": policies(config, route),
        "at": route.at,
    }
