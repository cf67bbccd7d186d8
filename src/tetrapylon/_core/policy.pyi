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
    """
