"""From the parts in a config to the destination that asks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tetrapylon._core.code.aggregate import Aggregate, Part, part_stages
from tetrapylon._core.code.json_edit import make_edit, split
from tetrapylon._core.exchange import Plan, Stages
from tetrapylon._core.http.template import Template
from tetrapylon.config.template import fields

if TYPE_CHECKING:
    from tetrapylon.compile import Scope
    from tetrapylon.config import model

__all__ = ["aggregate"]

Planner = Callable[["model.Part", str], Plan]


def aggregate(
    scope: Scope, route: str, parts: Mapping[str, model.Part], plan: Planner, body_limit: int | None
) -> Aggregate:
    """`plan` gives each part, with its name, where it goes, under which timeouts and policies."""
    order = {name: index for index, name in enumerate(parts)}
    wanted = {name: fields(part.path) for name, part in parts.items()}
    after = {name: dict.fromkeys(each for each, _ in wanted[name]) for name in parts}
    made = []
    for name, part in parts.items():
        groups = [written for _, written in wanted[name]]
        policed: Stages = scope.calls
        if part.policies:
            policed = part_stages(scope.reactor, scope.slab, scope.via)
        made.append(
            Part(
                name,
                policed,
                plan(part, name),
                Template(part.path, scope.parameters, groups),
                slab=scope.slab,
                route=route,
                method=part.method.encode(),
                fields=[
                    (order[other], split(written.partition(".")[2]), written)
                    for other, written in wanted[name]
                ],
                before=[order[other] for other in parts if name in after[other]],
                waits=len(after[name]),
                forward=part.forward,
                sends_body=part.body,
                required=part.required,
                default=None if part.default is msgspec.UNSET else msgspec.json.encode(part.default),
                passes=part.pass_through,
                limit=part.limit,
                edit=make_edit(part.pick, part.drop, part.rename),
                flatten=part.flatten,
                group=part.group,
            )
        )
    return Aggregate(made, body_limit=2**62 if body_limit is None else body_limit)
