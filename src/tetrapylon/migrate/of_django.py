"""Django's resolver: `path()`, `re_path()` and what they include."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tetrapylon.migrate.inventory import AppRoute, Place
from tetrapylon.migrate.patterns import Piece, from_pieces, regex_pieces, split_braces
from tetrapylon.migrate.places import place

__all__ = ["around", "interface", "name", "routes"]

PARAMETER = re.compile(r"<(?:(?P<kind>[^>:]+):)?(?P<name>[^>]+)>")
KINDS = {"IntConverter": "int", "StringConverter": "", "UUIDConverter": "uuid", "PathConverter": "path"}
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")


def name(app: Any) -> str:
    return "Django"


def interface(app: Any) -> str:
    return "asgi" if type(app).__name__ == "ASGIHandler" else "wsgi"


def around(app: Any) -> list[str]:
    from importlib import import_module

    return [str(each) for each in import_module("django.conf").settings.MIDDLEWARE]


def routes(app: Any) -> list[AppRoute]:
    from importlib import import_module

    resolver = import_module("django.urls").get_resolver()
    hooks = [hook for each in around(app) for hook in _hooks(each)]
    found = list(_walk(resolver.url_patterns, [], ""))
    for route in found:
        route.before = hooks
    return found


def _hooks(path: str) -> list[Place]:
    """The functions of a middleware that see a request before its view; of Django's own none are told."""
    from importlib import import_module

    if path.startswith("django."):
        return []
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    if not isinstance(found, type):
        return [place(found)]
    named = ("__call__", "process_request", "process_view")
    own = [each for each in named if any(each in kind.__dict__ for kind in found.__mro__ if _is_own(kind))]
    return [place(getattr(found, each)) for each in own] or [place(found)]


def _is_own(kind: type) -> bool:
    return not kind.__module__.startswith(("django.", "builtins"))


def _walk(patterns: Any, before: list[Piece], rule: str) -> Iterator[AppRoute]:
    for each in patterns:
        pieces, spelled = _pieces(each.pattern)
        if hasattr(each, "url_patterns"):
            if before or rule:
                spelled = spelled.removeprefix("^")
            yield from _walk(each.url_patterns, [*before, *_included(pieces)], rule + spelled)
            continue
        translated = from_pieces([Piece("/"), *before, *pieces])
        notes = list(dict.fromkeys(translated.notes))
        view, handlers, methods = _view(each.callback)
        yield AppRoute(
            rule=f"/{rule}{spelled.removeprefix('^') if rule else spelled}",
            path=translated.path,
            view=view,
            methods=methods,
            notes=notes,
            handlers=handlers,
        )


def _included(pieces: list[Piece]) -> list[Piece]:
    """What comes before an include is open at its end by nature."""
    if pieces and pieces[-1].kind == "path" and pieces[-1].note == "the expression is open at its end":
        return pieces[:-1]
    return pieces


def _pieces(pattern: Any) -> tuple[list[Piece], str]:
    kind = type(pattern).__name__
    if kind == "LocalePrefixPattern":
        return [
            Piece("language", "", "the language, left out for the default one"),
            Piece("/"),
        ], "<language>/"
    if kind == "RegexPattern":
        regex = str(pattern._regex)
        return regex_pieces(regex), regex
    route = str(pattern._route)
    pieces: list[Piece] = []
    for each in split_braces(route, PARAMETER):
        if isinstance(each, str):
            pieces.append(Piece(each))
            continue
        spelled = each["kind"] or "str"
        converter = pattern.converters.get(each["name"])
        ours = (
            KINDS.get(type(converter).__name__) if type(converter).__module__.startswith("django.") else None
        )
        note = ""
        if ours is None:
            slashes = re.fullmatch(converter.regex, "a/b") is not None if converter is not None else False
            ours = "path" if slashes else ""
            note = f"{{{each['name']}}} is {spelled} in the app; here it is any segment"
        pieces.append(Piece(each["name"], ours, note))
    return pieces, route


def _view(callback: Any) -> tuple[Place, dict[str, Place], list[str]]:
    """None of the methods: the view takes any."""
    cls = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if cls is None:
        return place(callback), {}, []
    dispatch = next((kind.__dict__["dispatch"] for kind in cls.__mro__ if "dispatch" in kind.__dict__), None)
    if dispatch is not None and not dispatch.__module__.startswith(("django.", "rest_framework.")):
        calls_super = "super" in dispatch.__code__.co_names
        if not calls_super:
            return place(dispatch), {}, []
    actions = getattr(callback, "actions", None)
    names = dict(actions) if actions else {each: each for each in METHODS if hasattr(cls, each)}
    allowed = {each.lower() for each in getattr(cls, "http_method_names", METHODS)}
    handlers = {
        method.upper(): place(getattr(cls, function))
        for method, function in names.items()
        if method in allowed and hasattr(cls, function) and method != "options"
    }
    methods = set(handlers) | {"OPTIONS"} | ({"HEAD"} if "GET" in handlers else set())
    return place(cls), handlers, sorted(methods)
