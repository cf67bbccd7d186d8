"""A route's move, from its settings: the parts that are compiled, and what steers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tetrapylon.moving import Limits, Settings

if TYPE_CHECKING:
    from tetrapylon._core.exchange import Destination, Plan
    from tetrapylon._core.policies.move import Watch
    from tetrapylon._core.upstreams.split import Moving
    from tetrapylon.compile import Scope
    from tetrapylon.config import model

__all__ = ["moving", "settings_of", "slot_of", "watch"]


def slot_of(route: str, to: str) -> str:
    """What its share and its counts are found by: another upstream begins with none."""
    return f"{route}\n{to}"


def watch(scope: Scope, route: model.Route) -> Watch:
    """Counts how either side does. Before a shadow, behind all policies that may answer."""
    from tetrapylon._core.policies.move import Watch

    assert route.upstream is not None
    old, new = scope.upstreams[route.upstream], scope.upstreams[route.moves_to]
    return Watch(old, new, scope.slab.moves, slot_of(route.title, route.moves_to))


def moving(scope: Scope, route: model.Route, way: Callable[[Destination, str | None], Plan]) -> Moving:
    """Where such a route leads. `way` makes the plan that leads to an upstream."""
    from tetrapylon._core.upstreams.split import Lot, Moving

    assert route.upstream is not None
    assert route.move is not None
    old, new = (way(scope.upstreams[name], name) for name in (route.upstream, route.moves_to))
    return Moving(
        old,
        new,
        scope.slab.moves,
        slot_of(route.title, route.moves_to),
        Lot(route.move.by, route.title.encode()),
    )


def settings_of(route: model.Route) -> Settings:
    assert route.move is not None
    move, back = route.move, route.move.rollback
    compares = route.shadow is not None and move.when is not None
    return Settings(
        to=route.moves_to,
        compared=move.when.compared if compares and move.when is not None else 0,
        different=move.when.different if compares and move.when is not None else 0.0,
        steps=move.steps,
        hold=move.hold,
        requests=move.requests,
        approve=move.approve,
        limits=Limits(
            back.errors,
            back.client_errors,
            back.p95,
            move.when.different if compares and move.when is not None else None,
        ),
    )
