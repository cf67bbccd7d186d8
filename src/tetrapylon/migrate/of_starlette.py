"""Starlette's and FastAPI's table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tetrapylon.migrate.inventory import AppRoute, Guard, Place
from tetrapylon.migrate.patterns import Piece, Translated, from_pieces, split_braces
from tetrapylon.migrate.places import place

__all__ = ["around", "interface", "name", "routes", "translate"]

PARAMETER = re.compile(r"\{(?P<name>[a-zA-Z_]\w*)(?::(?P<kind>[a-zA-Z_]\w*))?\}")
KINDS = {"str": "", "int": "int", "uuid": "uuid", "path": "path"}


def name(app: Any) -> str:
    return (
        "FastAPI"
        if any(kind.__module__.startswith("fastapi.") for kind in type(app).__mro__)
        else "Starlette"
    )


def interface(app: Any) -> str:
    return "asgi"


def around(app: Any) -> list[str]:
    found = [(each.cls, _hook(each)) for each in getattr(app, "user_middleware", ())]
    return [f"{kind.__module__}.{kind.__qualname__}" if hook is None else hook.ref for kind, hook in found]


def _hook(middleware: Any) -> Place | None:
    """The function of one that is no framework's own."""
    dispatch = getattr(middleware, "kwargs", {}).get("dispatch")
    if dispatch is not None:
        return place(dispatch)
    cls = middleware.cls
    if not isinstance(cls, type) or cls.__module__.startswith(("starlette.", "fastapi.")):
        return None
    own = "dispatch" if any("dispatch" in each.__dict__ for each in cls.__mro__[:-1]) else "__call__"
    return place(getattr(cls, own))


def _hooks(app: Any) -> list[Place]:
    found = (_hook(each) for each in getattr(app, "user_middleware", ()))
    return [hook for hook in found if hook is not None]


def routes(app: Any) -> list[AppRoute]:
    return list(_walk(app.routes, "", None, _hooks(app)))


def translate(rule: str) -> Translated:
    pieces = []
    for each in split_braces(rule, PARAMETER):
        if isinstance(each, str):
            pieces.append(Piece(each))
            continue
        kind = each["kind"] or "str"
        note = "" if kind in KINDS else f"{{{each['name']}}} is {kind} in the app; here it is any segment"
        pieces.append(Piece(each["name"], KINDS.get(kind, ""), note))
    return from_pieces(pieces)


def _walk(table: Any, prefix: str, host: str | None, hooks: list[Place]) -> Iterator[AppRoute]:
    for route in table:
        kind = type(route).__name__
        kinds = {each.__name__ for each in type(route).__mro__}
        if "Host" in kinds:
            yield from _walk(route.routes or [], prefix, _host(route.host), hooks)
            continue
        if hasattr(route, "effective_candidates"):
            # FastAPI keeps an included router as one entry, and tells what its routes come to.
            told = [*route.effective_candidates(), *route.effective_low_priority_routes()]
            told = [getattr(each, "starlette_route", None) or each for each in told]
            yield from _walk(told, prefix, host, hooks)
            continue
        rule = prefix + getattr(route, "path", "")
        inner = getattr(route, "routes", None)
        if "Mount" in kinds:
            if inner:
                yield from _walk(inner, rule, host, [*hooks, *_hooks(route.app)])
                continue
            translated = translate(rule.rstrip("/") + "/{rest:path}")
            yield AppRoute(
                rule=f"{rule}/",
                path=translated.path,
                view=_place(route.app),
                host=host,
                before=hooks,
                notes=[*translated.notes, f"an app of its own is mounted here: {type(route.app).__name__}"],
            )
            continue
        translated = translate(rule)
        endpoint = getattr(route, "endpoint", None)
        methods = sorted(getattr(route, "methods", None) or ())
        notes = list(translated.notes)
        if "WebSocketRoute" in kinds:
            methods = ["GET"]
            notes.append("a WebSocket")
        before, guards = _depends(getattr(route, "dependant", None))
        yield AppRoute(
            rule=rule,
            path=translated.path,
            view=_place(endpoint) if endpoint is not None else Place(kind),
            methods=methods,
            host=host,
            notes=notes,
            before=[*hooks, *before],
            guards=guards,
            handlers=_handlers(endpoint),
        )


def _host(pattern: str) -> str | None:
    host = pattern.partition(":")[0] if "{" not in pattern else pattern
    first, _, rest = host.partition(".")
    if "{" in first and "{" not in rest and "." in rest:
        return f"*.{rest}"
    return None if "{" in host else host


def _place(view: Any) -> Place:
    return place(view)


def _handlers(endpoint: Any) -> dict[str, Place]:
    if not isinstance(endpoint, type):
        return {}
    methods = ("get", "post", "put", "patch", "delete")
    return {each.upper(): place(getattr(endpoint, each)) for each in methods if hasattr(endpoint, each)}


def _depends(dependant: Any) -> tuple[list[Place], list[Guard]]:
    """FastAPI's dependencies: functions, and the security schemes among them."""
    before: list[Place] = []
    guards: list[Guard] = []
    for each in getattr(dependant, "dependencies", None) or ():
        scheme = _guard(each.call)
        if scheme is not None:
            guards.append(scheme)
        elif each.call is not None:
            before.append(place(each.call))
        more, schemes = _depends(each)
        before += more
        guards += schemes
    return before, guards


def _guard(call: Any) -> Guard | None:
    kinds = {each.__name__ for each in type(call).__mro__}
    if "SecurityBase" not in kinds:
        return None
    if "APIKeyBase" in kinds:
        return Guard("api_key", call.model.in_.value, call.model.name)
    if "HTTPBasic" in kinds:
        return Guard("basic")
    return Guard("bearer")
