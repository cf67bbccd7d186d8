"""How a config treats requests, and where two configs, or a config and a record, part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tetrapylon.config import table
from tetrapylon.config.explain import Request, explain, request
from tetrapylon.config.model import Config

if TYPE_CHECKING:
    from tetrapylon.recording.recorded import Recorded

__all__ = ["Change", "Treats", "compare", "of_config", "of_record", "treatment"]

Treatment = Mapping[str, str]
"""By aspect, such as `route` or `policies`, in words; what is not known is not there."""
Treats = Callable[["Recorded"], Treatment]
EXAMPLES = 3


class Change(NamedTuple):
    """Requests that would be treated differently in one and the same way."""

    aspect: str
    old: str
    new: str
    requests: int
    examples: list[str]


def treatment(told: Mapping[str, Any]) -> Treatment:
    """From what `explain` tells of a request: all that it is subject to, wherever the config says so."""
    route = told["route"]
    if route is None:
        allowed = f" (Allow: {', '.join(told['allowed'])})" if told["allowed"] else ""
        return {"route": f"none: {told['status']}{allowed}"}
    where = f"{route['host'] or ''}{route['path']}"
    title = route["name"] or (f"{','.join(route['methods'])} {where}" if route["methods"] else where)
    destination = {name: value for name, value in told["destination"].items() if name != "text"}
    policies = [f"{each['use']} {_text(each['settings'])}".removesuffix(" {}") for each in told["policies"]]
    return {
        "route": title,
        "destination": f"{told['destination']['text']} {_text(destination)}".removesuffix(" {}"),
        "sent as": told["target"] or "",
        "policies": ", ".join(policies) or "none",
        **{f"limits.{each['name']}": str(each["value"]) for each in told["limits"]},
        **{f"timeouts.{each['name']}": str(each["value"]) for each in told["timeouts"]},
        **{name: _text(value) for name, value in told["settings"].items()},
    }


def of_config(config: Config) -> Treats:
    """By a config that is at hand."""
    router = table.router(config)
    fields = sorted({name.lower() for route in config.routes for name in route.headers})
    known: dict[tuple[object, ...], Treatment] = {}

    def treats(recorded: Recorded) -> Treatment:
        asked = asked_of(recorded)
        if isinstance(asked, str):
            return {"route": f"none: {asked}"}
        given = {name.lower(): value for name, value in asked.headers.items()}
        key = (asked.method, asked.path, asked.host, *map(given.get, fields))
        found = known.get(key)
        if found is None:
            try:
                found = treatment(explain(config, asked, limit=0, router=router))
            except ValueError as error:
                found = {"route": f"none: 400, {error}"}
            known[key] = found
        return found

    return treats


def of_record(recorded: Recorded) -> Treatment:
    """As it was when it was recorded, as far as the record tells."""
    return {"route": recorded.route} if recorded.route else {}


def asked_of(recorded: Recorded) -> Request | str:
    """The request as a route sees it, without its query; or why there is none."""
    try:
        return request(recorded.method, recorded.target.partition("?")[0], dict(recorded.headers))
    except ValueError as error:
        return f"400, {error}"


def compare(requests: Iterable[Recorded], old: Treats, new: Treats) -> tuple[int, int, list[Change]]:
    """How many requests there are, how many of them are treated differently, and the changes, the most
    frequent first.

    Another route is one change, whatever else comes with it where the old one is known by its name alone.
    """
    total, different = 0, 0
    found: dict[tuple[str, str, str], tuple[int, list[str]]] = {}
    for recorded in requests:
        total += 1
        before, after = old(recorded), new(recorded)
        if not before:
            continue
        aspects = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if before.keys() == {"route"} or after.keys() == {"route"}:
            aspects = [name for name in aspects if name == "route"]
        different += bool(aspects)
        for aspect in aspects:
            key = (aspect, before.get(aspect, ""), after.get(aspect, ""))
            count, examples = found.get(key, (0, []))
            shown = f"{recorded.method} {recorded.target}"
            if len(examples) < EXAMPLES and shown not in examples:
                examples = [*examples, shown]
            found[key] = (count + 1, examples)
    changes = [Change(*key, count, examples) for key, (count, examples) in found.items()]
    return total, different, sorted(changes, key=lambda change: (-change.requests, change[:3]))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
