"""A route's shadow, from its settings: the part that is compiled, and the rules it is compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tetrapylon._core.policies.shadow import Shadow
    from tetrapylon.compile import Scope
    from tetrapylon.config import model
    from tetrapylon.diff import Rules

__all__ = ["rules", "shadow"]

NEEDED = ("content-type", "content-encoding")
"""Fields that say how a body is to be read."""


def shadow(scope: Scope, route: model.Route, settings: model.Shadow) -> Shadow:
    """Ends with the route."""
    from tetrapylon._core.policies.shadow import Shadow
    from tetrapylon.diff.rules import HEADERS

    assert route.upstream is not None
    names = {*(settings.headers or HEADERS), *NEEDED}
    made = Shadow(
        route.title,
        scope.calls,
        scope.plan(route.upstream, total=settings.timeout),
        scope.plan(settings.to, total=settings.timeout),
        scope.slab,
        scope.outbox,
        sample=settings.sample,
        again=settings.again,
        methods=[method.encode() for method in settings.methods],
        headers=[name.lower().encode() for name in names],
        body=settings.body,
        in_flight=settings.in_flight,
    )
    scope.closing.append(made)
    return made


def rules(settings: model.Shadow) -> Rules:
    from tetrapylon.diff import Rules
    from tetrapylon.diff.rules import HEADERS, Tolerance

    return Rules(
        headers=settings.headers or HEADERS,
        ignore=settings.ignore,
        sets=settings.sets,
        tolerance={path: Tolerance(most) for path, most in settings.tolerance.items()},
    )
