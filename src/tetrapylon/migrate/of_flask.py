"""Flask's table of rules (werkzeug's routing)."""

from __future__ import annotations

import re
from typing import Any

from tetrapylon.migrate.inventory import AppRoute, Place
from tetrapylon.migrate.patterns import Piece, Translated, from_pieces, split_braces
from tetrapylon.migrate.places import place

__all__ = ["around", "interface", "name", "routes", "translate"]

# werkzeug's `<converter(arguments):name>`.
PARAMETER = re.compile(r"<(?:(?P<kind>[a-zA-Z_]\w*)(?:\((?P<arguments>.*?)\))?:)?(?P<name>[a-zA-Z_]\w*)>")
KINDS = {"IntegerConverter": "int", "UUIDConverter": "uuid", "PathConverter": "path", "UnicodeConverter": ""}
ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def name(app: Any) -> str:
    return "Flask"


def interface(app: Any) -> str:
    return "wsgi"


def around(app: Any) -> list[str]:
    """What runs behind every view; what runs before is each route's own."""
    hooks = [*app.after_request_funcs.get(None, ()), *app.teardown_request_funcs.get(None, ())]
    return [place(hook).ref for hook in hooks]


def routes(app: Any) -> list[AppRoute]:
    found = []
    for rule in app.url_map.iter_rules():
        translated = translate(rule.rule, rule._converters)
        notes = list(translated.notes)
        host = _host(app, rule, notes)
        methods = set(rule.methods or ())
        view = app.view_functions.get(rule.endpoint)
        handlers: dict[str, Place] = {}
        if rule.websocket:
            notes.append("a WebSocket")
        if view is None:
            where = Place(f"redirect:{rule.redirect_to}" if rule.redirect_to else rule.endpoint)
        else:
            where, handlers = _view(view, methods)
        found.append(
            AppRoute(
                rule=rule.rule,
                path=translated.path,
                view=where,
                methods=sorted(
                    methods,
                    key=lambda each: (each not in ORDER, ORDER.index(each) if each in ORDER else 0, each),
                ),
                host=host,
                notes=notes,
                before=_before(app, rule.endpoint),
                handlers=handlers,
            )
        )
    return found


def translate(rule: str, converters: dict[str, Any]) -> Translated:
    pieces = []
    for each in split_braces(rule, PARAMETER):
        if isinstance(each, str):
            pieces.append(Piece(each))
            continue
        converter = converters.get(each["name"])
        kind, note = _kind(converter, each)
        pieces.append(Piece(each["name"], kind, note))
    return from_pieces(pieces)


def _kind(converter: Any, match: re.Match[str]) -> tuple[str, str]:
    """Ours, and what it leaves out."""
    spelled = match["kind"] or "string"
    named = f"{{{match['name']}}}"
    kind = type(converter).__name__
    known = type(converter).__module__ == "werkzeug.routing.converters" and kind in KINDS
    note = f"{named} is {spelled}({match['arguments']}) in the app" if match["arguments"] else ""
    if known and kind == "IntegerConverter" and getattr(converter, "signed", False):
        return "", f"{named} may be negative in the app, which {{{match['name']}:int}} is not"
    if known:
        return KINDS[kind], note
    if not getattr(converter, "part_isolating", True):
        return "path", note or f"{named} is the app's own {spelled}, and may have slashes in it"
    return "", note or f"{named} is {spelled} in the app; here it is any segment"


def _host(app: Any, rule: Any, notes: list[str]) -> str | None:
    given = rule.host if app.url_map.host_matching else rule.subdomain
    if not given:
        return None
    if not app.url_map.host_matching:
        server = app.config.get("SERVER_NAME")
        if not server:
            notes.append(f"only at the subdomain {given}, which Flask heeds once SERVER_NAME is set")
            return None
        given = f"{given}.{server}"
    given = given.partition(":")[0]
    if "<" not in given:
        return str(given)
    first, _, rest = given.partition(".")
    notes.append(f"only at {given}")
    return f"*.{rest}" if "<" in first and "<" not in rest and "." in rest else None


def _view(view: Any, methods: set[str]) -> tuple[Place, dict[str, Place]]:
    cls = getattr(view, "view_class", None)
    if cls is None:
        return place(view), {}
    handlers = {
        method: place(getattr(cls, method.lower())) for method in methods if hasattr(cls, method.lower())
    }
    if not handlers and hasattr(cls, "dispatch_request"):
        return place(cls.dispatch_request), {}
    return place(cls), handlers


def _before(app: Any, endpoint: str) -> list[Place]:
    """Flask runs the app's hooks, then those of the blueprints, outermost first."""
    names: list[str | None] = [None]
    parts = endpoint.split(".")[:-1]
    names += [".".join(parts[: count + 1]) for count in range(len(parts))]
    return [place(hook) for each in names for hook in app.before_request_funcs.get(each, ())]
