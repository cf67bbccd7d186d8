"""The native route and policies that do what a view does, where its source shows that this is all it does."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tetrapylon.migrate.calls import Call, Doing, read_view
from tetrapylon.migrate.checks import Check, Limit, beside, checks_of, limits_of
from tetrapylon.migrate.inventory import AppRoute
from tetrapylon.migrate.project import Project, short

__all__ = ["Proposal", "Services", "flow", "propose"]

PLAIN = re.compile(r"[A-Za-z_][\w./+-]*")
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "none"}
PARAMETER = re.compile(r"(?<!\$)\{(\w+)(?::\w+)?\}")
ENVIRONMENT = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass
class Proposal:
    """`says` is what the source shows; `route` the native route, if any; `policies` are those to add."""

    says: list[str] = field(default_factory=list)
    route: dict[str, Any] | None = None
    policies: list[dict[str, Any]] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    """What runs around the view that a native route would not have."""
    complete: bool = True
    """Whether the policies do all that was seen: a route without one of them would let more through."""


class Services:
    """The services that views call: names of upstreams by their targets. `taken` are names of apps."""

    def __init__(self, taken: Collection[str] = ()) -> None:
        self.targets: dict[str, str] = {}
        self._taken = taken

    def split(self, url: str) -> tuple[str, str] | None:
        """The upstream's name and the path there; None where the source does not tell the two apart."""
        base = ENVIRONMENT.match(url)
        if base is not None:
            target, rest = base[0], url[base.end() :]
            default = urlsplit(base[2] or "")
            if default.path.strip("/"):
                return None
            name = re.sub(r"_(?:URL|URI|BASE|HOST|SERVICE|ENDPOINT|BASE_URL)$", "", base[1]).lower()
        else:
            parts = re.match(r"(https?://[^/?{}$]+)", url)
            if parts is None:
                return None
            target, rest = parts[1], url[parts.end() :]
            host = urlsplit(target)
            first = (host.hostname or "").partition(".")[0]
            name = first if first[:1].isalpha() and first != "localhost" else f"service_{host.port or 80}"
        if rest and not rest.startswith(("/", "?", "{request.path}")):
            return None
        name = re.sub(r"\W", "_", name)
        for known, other in self.targets.items():
            if other == target:
                return known, rest or "/"
        while name in self.targets or name in self._taken:
            name += "_"
        self.targets[name] = target
        return name, rest or "/"


def propose(project: Project, route: AppRoute, services: Services, root: str) -> list[Proposal]:
    """One for each function that answers: a class may have several."""
    if not route.handlers:
        return [_one(project, route, services, root, route.methods)]
    found = []
    for method, place in sorted(route.handlers.items()):
        alone = AppRoute(route.rule, route.path, place, [method], route.host, [], route.before, route.guards)
        proposal = _one(project, alone, services, root, [method])
        if proposal.says:
            found.append((method, proposal))
    alike = [each for _, each in found]
    if len(found) == len(route.handlers) and all(each.route is None and each == alike[0] for each in alike):
        return alike[:1]
    for method, proposal in found:
        proposal.says[0] = f"{method}: {proposal.says[0]}"
    return alike


def _one(project: Project, route: AppRoute, services: Services, root: str, methods: list[str]) -> Proposal:
    view = project.at(route.view)
    made = Proposal()
    checks, lines = checks_of(project, route, view)
    for check in checks:
        _check(check, made, root)
    for limit in limits_of(project, view):
        _limit(limit, made, root)
    if view is not None:
        doing = read_view(project, *view, lines)
        _doing(route, doing, services, made, root, methods)
        if made.route is not None:
            made.beside = [f"{name} ({short(where, root)})" for name, where in beside(project, route, view)]
    return made


def _check(check: Check, made: Proposal, root: str) -> None:
    where = short(check.where, root)
    policy: dict[str, Any] = {}
    if check.kind == "api_key":
        made.says.append(
            f"checks a key in the {check.place} {check.name} ({where}): its keys go to `consumers`"
        )
        policy = {"use": "api_key", check.place: check.name}
    elif check.kind == "bearer":
        made.says.append(
            f"checks a token ({where}): `jwt` with the issuer's `jwks`, or `api_key` for opaque ones"
        )
    elif check.kind == "basic":
        made.says.append(f"checks a name and password ({where}): passwords go to `consumers`")
        policy = {"use": "basic"}
    elif check.kind == "own":
        made.says.append(f"refuses by rules of the app's own ({where}): `forward_auth` can ask it")
    else:
        made.says.append(
            f"asks for a session ({where}), which the app alone knows: `forward_auth` can ask it"
        )
    made.complete = made.complete and bool(policy)
    if policy and policy not in made.policies:
        made.policies.append(policy)


def _limit(limit: Limit, made: Proposal, root: str) -> None:
    where = short(limit.where, root)
    if not limit.rates:
        made.says.append(f"limits a rate ({where}): {limit.spelled}, which has to be put as `rate` by hand")
        made.complete = False
        return
    made.says.append(f"limits a rate ({where}): {limit.spelled}")
    if not limit.key:
        made.says.append(f"it counts by {limit.by}, for which `key` of `rate_limit` has to be put by hand")
        made.complete = False
        return
    same = next((each for each in made.policies if each.get("key") == limit.key and "rate" in each), None)
    if same is None:
        same = {"use": "rate_limit", "rate": [], "key": limit.key}
        made.policies.append(same)
    rates = [*([same["rate"]] if isinstance(same["rate"], str) else same["rate"]), *limit.rates]
    same["rate"] = rates[0] if len(rates) == 1 else rates


def _doing(
    route: AppRoute,
    doing: Doing,
    services: Services,
    made: Proposal,
    root: str,
    methods: list[str],
) -> None:
    if not doing.calls:
        return
    named = ", ".join(_told(call, root) for call in doing.calls)
    if doing.forwards:
        call = doing.calls[0]
        made.says.append(f"only forwards: {named}")
        split = services.split(call.url) if call.url is not None else None
        if split is None:
            made.says.append("its target is not known from the source")
        elif made.complete:
            made.route = _forward(route, doing, call, split, methods, made, root)
    elif doing.parts and not doing.more:
        made.says.append(f"merges answers: {named}")
        if made.complete:
            made.route = _aggregate(route, doing, services, made)
    else:
        lines = _lines(doing.more, route, root)
        made.says.append(f"calls {named}; has logic of its own" + (f" (line {lines})" if lines else ""))


def _told(call: Call, root: str) -> str:
    where = f"{short(call.file, root)}:{call.line}"
    return f"{call.method or 'any'} {call.url or call.spelled} ({call.library}, {where})"


def _lines(places: list[tuple[str, int]], route: AppRoute, root: str) -> str:
    """Those of the view's own file first, by their numbers alone."""
    known = sorted(set(places), key=lambda each: (each[0] != route.view.file, each))
    told = (
        str(line) if file == route.view.file else f"{short(file, root)}:{line}" for file, line in known[:5]
    )
    return ", ".join(told)


def _fits(path: str, route: AppRoute) -> bool:
    """Whether all that it is made of are the route's own parameters."""
    return set(PARAMETER.findall(path)) <= set(PARAMETER.findall(route.path)) and "${" not in path


def _adds(call: Call, made: Proposal) -> bool:
    """Whether a route can send what the view adds to a request."""
    if call.own:
        made.says.append(f"sends what is its own, which a route does not: {'; '.join(call.own)}")
        return False
    if call.fields:
        made.policies.append({"use": "headers", "request": {"set": dict(call.fields)}})
    return True


def _differs(call: Call, doing: Doing, methods: list[str], made: Proposal) -> None:
    """What a route passes on that the view does not."""
    bodies = {"body"} if not methods or {"POST", "PUT", "PATCH"} & set(methods) else set()
    kept = [each for each in ("query", "fields", *bodies) if each not in call.sends]
    if kept:
        made.says.append(f"a route passes on the client's {' and '.join(kept)}, which the view does not")
    if doing.status is not None:
        made.says.append(f"answers {doing.status} whatever the service does; a route passes on its status")


def _forward(
    route: AppRoute,
    doing: Doing,
    call: Call,
    split: tuple[str, str],
    methods: list[str],
    made: Proposal,
    root: str,
) -> dict[str, Any] | None:
    name, path = split
    native: dict[str, Any] = {"path": route.path}
    if call.method is not None:
        # A route keeps the client's method: the others stay the app's.
        like = {call.method, "OPTIONS", *(["HEAD"] if call.method == "GET" else [])}
        methods = [each for each in methods if each in like] if methods else [call.method]
        if call.method not in methods:
            made.says.append(
                f"asks with {call.method}, whatever it is asked with; a route keeps the client's method"
            )
            return None
    if methods:
        native["methods"] = methods
    native["upstream"] = name
    path, mark, query = path.partition("?")
    query = "&".join(each for each in (query, call.query) if each)
    if mark or query:
        made.says.append(f"adds the query ?{query}, which a route does not")
        return None
    if not _adds(call, made):
        return None
    _differs(call, doing, native.get("methods", []), made)
    if doing.errors:
        lines = _lines(doing.errors, route, root)
        made.says.append(
            f"answers a service's errors in its own words (line {lines}); a route passes them on"
        )
    if path != "{request.path}":
        if not _fits(path, route):
            made.says.append("the path there is made of more than the route's parameters")
            return None
        if path != PARAMETER.sub(r"{\1}", route.path):
            native["rewrite"] = path
    return native


def _aggregate(route: AppRoute, doing: Doing, services: Services, made: Proposal) -> dict[str, Any] | None:
    parts: dict[str, dict[str, Any]] = {}
    for name, call in doing.parts.items():
        split = services.split(call.url) if call.url is not None else None
        path = split[1] if split is not None else ""
        if call.query:
            path += ("&" if "?" in path else "?") + call.query
        if split is None or call.method not in ("GET", None) or not _fits(path, route):
            made.says.append(f"what {name!r} is asked is not known from the source")
            return None
        if call.own:
            made.says.append(f"sends what is its own for {name!r}: {'; '.join(call.own)}")
            return None
        parts[name] = {"upstream": split[0], "path": path}
        if call.fields:
            parts[name]["policies"] = [{"use": "headers", "request": {"set": dict(call.fields)}}]
    return {"path": route.path, "methods": ["GET"], "aggregate": parts}


def flow(value: Any) -> str:
    """YAML in flow style, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
