"""Policies: what a route does to its requests besides sending them on."""

from typing_extensions import disjoint_base

@disjoint_base
class Policy:
    """One step of a route's chain; a policy derives from it and names its settings' Struct `Settings`.

    Made by `build(settings, scope)` where its class has that (`scope`: a `compile.Scope`), else by
    `Class(settings)`. Three more functions of the class are optional: `check(settings, config)` yields what
    is wrong beyond types as (path, what, hint); `vouches(settings)` names the header fields that it sets for
    upstreams, which no client can send then; `texts(settings)` yields its templates (see `template`) as
    (path, text, names that they may hold besides), which are checked against the route's parameters.

    `stamps_all = True` on the class: it leaves a mark on each answer, and is asked of those, too, that are
    given before any policy's turn, of requests that no route takes or that cannot be read. Of such it sees
    `request` and `response`, one right after the other, and of the request what there is; it may not wait,
    answer, or look at the route.
    """
