"""The user's own Python that a config names, imported and checked, so that serving it holds no surprise."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tetrapylon.config.model import Config, Respond, Route
from tetrapylon.config.model.code import Docs
from tetrapylon.config.shape import FAILED
from tetrapylon.config.tree import Path, Report
from tetrapylon.errors import LoadError

__all__ = ["check_code", "report_load", "with_docs"]

PARAMETER = re.compile(r"\{(\w+)")


def check_code(config: Config, report: Report) -> None:
    """Handlers and the lifespan; plugins are read where policies are."""
    for index, route in enumerate(config.routes):
        if route is FAILED or route.handler is None or report.touched(("routes", index, "handler")):
            continue
        path: Path = ("routes", index, "handler")
        if isinstance(report.document.find(path).value, dict):
            path = (*path, "call")
        _handler(route, path, report)
    if config.lifespan is not None and not report.touched(("lifespan",)):
        _lifespan(config.lifespan, ("lifespan",), report)


def report_load(path: Path, error: LoadError, report: Report) -> None:
    """Notes what is wrong with Python of the user's, with its place there."""
    where = f" ({error.where})" if error.where else ""
    report.add(path, error.message + where, error.hint)


def signature_of(route: Route) -> Any:
    """The signature of a route's handler. Raises LoadError."""
    from tetrapylon.code.load import load_object
    from tetrapylon.handler import read_signature

    assert route.handler is not None
    return read_signature(
        load_object(route.handler.call), PARAMETER.findall(route.path or ""), route.handler.call
    )


def _handler(route: Route, path: Path, report: Report) -> None:
    if report.touched((*path[:2], "path")):
        return
    try:
        signature = signature_of(route)
    except LoadError as error:
        report_load(path, error, report)
        return
    assert route.handler is not None
    if route.handler.run_in == "loop":
        return
    import inspect

    if inspect.iscoroutinefunction(signature.function) or inspect.isasyncgenfunction(signature.function):
        report.add(
            (*path[:3], "run_in"),
            f"{route.handler.call} is async: it runs on the loop ({signature.where})",
            "leave it out",
            key=True,
        )
    elif route.handler.run_in == "process" and any(each.place == "request" for each in signature.parameters):
        report.add(
            (*path[:3], "run_in"),
            f"{route.handler.call} takes the Request, which stays in its process ({signature.where})",
            "take what it needs as parameters, or run it in a thread",
            key=True,
        )


def _lifespan(reference: str, path: Path, report: Report) -> None:
    from tetrapylon.code.load import load_object, place_of

    try:
        found = load_object(reference)
    except LoadError as error:
        report_load(path, error, report)
        return
    if not callable(found):
        hint = "expected a function of one argument, decorated with contextlib.asynccontextmanager"
        report.add(path, f"{reference} is of type {type(found).__name__} ({place_of(found)})", hint)


def with_docs(config: Config) -> Config:
    """The config with the routes of `docs`, whose content is made from the handlers' signatures.

    A host that handlers have for themselves has its own document: of what is answered there.
    """
    docs = config.docs
    if docs is None or docs is FAILED:
        return config
    from tetrapylon.code.openapi import page

    handled = [route for route in config.routes if route.handler is not None]
    signatures = {id(route): signature_of(route) for route in handled}
    routes = []
    for host in dict.fromkeys([None, *(route.host for route in handled)]):
        text = _document(docs, [route for route in handled if _covers(route.host, host)], signatures)
        routes.append(_docs_route(docs.path, text, "application/json", host))
    if docs.page is not None:
        routes.append(_docs_route(docs.page, page(docs.title, docs.path), "text/html; charset=utf-8", None))
    # What was loaded before, as by `embed`, has them already.
    theirs = {route.path for route in routes}
    kept = tuple(each for each in config.routes if not (each.path in theirs and each.respond is not None))
    return msgspec.structs.replace(config, routes=(*kept, *routes))


def _document(docs: Docs, routes: list[Route], signatures: dict[int, Any]) -> str:
    from tetrapylon.code.openapi import Operation, document

    def specific(route: Route) -> tuple[int, int]:
        """As routing weighs it: the host, then the headers."""
        return len((route.host or "").removeprefix("*")), len(route.headers)

    operations = []
    for route in sorted(routes, key=specific):
        assert route.handler is not None
        name = route.name or route.handler.call.rpartition(":")[2].rpartition(".")[2]
        operations.append(Operation(route.path, route.methods, name, signatures[id(route)], route.headers))
    return msgspec.json.encode(document(operations, title=docs.title, version=docs.version)).decode()


def _covers(pattern: str | None, host: str | None) -> bool:
    """Does a route of that host take all requests that are for `host`, itself perhaps a pattern?"""
    if pattern is None or host is None:
        return pattern is None
    return pattern.lower() == host.lower() or (
        pattern[0] == "*" and host.lower().endswith(pattern[1:].lower())
    )


def _docs_route(path: str, body: str, kind: str, host: str | None) -> Route:
    respond = Respond(body=body, content_type=kind)
    return Route(path=path, methods=("GET",), host=host, respond=respond, at="docs")
