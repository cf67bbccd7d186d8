"""OpenAPI 3.1 from the signatures of handlers."""

from __future__ import annotations

import inspect
import itertools
import re
import typing
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib import resources
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from tetrapylon.code.alternatives import Alternative, told_as_one
from tetrapylon.handler import NOTHING, Parameter, Signature

__all__ = ["Operation", "document", "page"]

PATTERN = re.compile(r"\{(\w+)(?::(\w+))?\}")
# What a path item has a place for (OpenAPI 3.1.0 section 4.8.9).
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
CONVERTED = {"int": {"type": "integer"}, "uuid": {"type": "string", "format": "uuid"}}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("in", "field", "detail")},
            },
        },
    },
}


class Operation(NamedTuple):
    """A handler on a route."""

    path: str
    methods: tuple[str, ...]
    """Empty: any."""
    name: str
    signature: Signature
    headers: Mapping[str, str] = MappingProxyType({})
    """That a request for it carries."""


def document(operations: Iterable[Operation], *, title: str, version: str) -> dict[str, Any]:
    """The whole document; equal types are described once, in its components.

    Of two that take the same requests, the later is described; of those for one host, the ones that want more
    headers come later. Those that differ in what OpenAPI does not tell apart, their headers or the types in
    their paths, are one operation there.
    """
    listed = list(operations)
    types = [each for operation in listed for each in _types(operation.signature)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    problem = next(name for name in _names("Problem") if name not in components)
    found = iter(schemas)
    shown: dict[str, str] = {}  # of paths that are the same but for the names and types in them
    places: dict[tuple[str, str], list[_Entry]] = {}
    for operation in listed:
        described = _operation(operation, found, problem)
        path = shown.setdefault(PATTERN.sub("{}", operation.path), PATTERN.sub(r"{\1}", operation.path))
        described = _renamed(described, operation.path, path)
        entry = _Entry(operation.name, Alternative(operation.path, operation.headers, described))
        for method in operation.methods or ("GET",):
            if method in METHODS:
                place = places.setdefault((path, method), [])
                place[:] = [each for each in place if not entry.hides(each)] + [entry]
    paths: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for (path, method), entries in places.items():
        told = told_as_one([each.alternative for each in entries])
        name = _unique(entries[0].name, method, taken)
        paths.setdefault(path, {})[method.lower()] = {**told, "operationId": name}
    components[problem] = PROBLEM
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(components.items()))},
    }


class _Entry(NamedTuple):
    name: str
    alternative: Alternative

    def hides(self, earlier: _Entry) -> bool:
        """Does it take all requests that the earlier one would take?"""
        mine, other = self.alternative, earlier.alternative
        return _shape(mine.path) == _shape(other.path) and _lowered(mine.headers) <= _lowered(other.headers)


def _shape(path: str) -> str:
    return PATTERN.sub(lambda found: f"{{:{found[2] or ''}}}", path)


def _lowered(headers: Mapping[str, str]) -> set[tuple[str, str]]:
    return {(name.lower(), value) for name, value in headers.items()}


def _renamed(described: dict[str, Any], own: str, path: str) -> dict[str, Any]:
    """With the names that the path has in the document, which may be those of another operation."""
    before, after = ([name for name, _ in PATTERN.findall(each)] for each in (own, path))
    names = dict(zip(before, after, strict=True))
    parameters = [
        {**each, "name": names[each["name"]]} if each["in"] == "path" else each
        for each in described.get("parameters", ())
    ]
    return {**described, "parameters": parameters} if parameters else described


def page(title: str, path: str) -> str:
    """A page that reads the document at `path` and shows it, with nothing from elsewhere."""
    text = resources.files("tetrapylon.code").joinpath("openapi.html").read_text(encoding="utf-8")
    return text.replace("@TITLE@", _escaped(title)).replace("@DOCUMENT@", _escaped(path))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _types(signature: Signature) -> list[Any]:
    """In the order in which `_operation` asks for them."""
    found = [each.type for each in signature.parameters if each.place != "request" and each.kind != "bytes"]
    returned = _answer_type(signature)
    return found if returned is NOTHING else [*found, returned]


def _answer_type(signature: Signature) -> Any:
    if signature.is_json:
        return signature.returns
    from tetrapylon._core.code.handler import Event

    return NOTHING if signature.streams in (NOTHING, bytes, str, Any, Event) else signature.streams


def _names(base: str) -> typing.Iterator[str]:
    yield base
    for count in itertools.count(2):
        yield f"{base}_{count}"


def _operation(
    operation: Operation, schemas: typing.Iterator[dict[str, Any]], problem: str
) -> dict[str, Any]:
    signature = operation.signature
    described: dict[str, Any] = {}
    text = inspect.getdoc(signature.function) or ""
    if text:
        summary, _, rest = text.partition("\n\n")
        described["summary"] = " ".join(summary.split())
        if rest.strip():
            described["description"] = rest.strip()
    parameters = []
    for each in signature.parameters:
        if each.place == "request":
            continue
        if each.place == "body":
            described["requestBody"] = _body(each, schemas)
            continue
        schema = next(schemas)
        if not each.required and each.default is not None:
            schema = {**schema, "default": msgspec.to_builtins(each.default, str_keys=True)}
        parameters.append(
            {
                "name": each.key,
                "in": each.place,
                "required": each.required or each.place == "path",
                "schema": schema,
            }
        )
    told = {each["name"] for each in parameters if each["in"] == "path"}
    for name, kind in PATTERN.findall(operation.path):
        if name not in told:  # the handler reads it from the Request
            schema = CONVERTED.get(kind, {"type": "string"})
            parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if parameters:
        described["parameters"] = parameters
    described["responses"] = _responses(signature, schemas, problem)
    return described


def _body(parameter: Parameter, schemas: typing.Iterator[dict[str, Any]]) -> dict[str, Any]:
    if parameter.kind == "bytes":
        content: dict[str, Any] = {"application/octet-stream": {}}
    else:
        kind = "text/plain" if parameter.kind == "text" else "application/json"
        content = {kind: {"schema": next(schemas)}}
    return {"required": parameter.required, "content": content}


def _responses(
    signature: Signature, schemas: typing.Iterator[dict[str, Any]], problem: str
) -> dict[str, Any]:
    from tetrapylon._core.code.handler import Event

    returns = signature.returns
    responses: dict[str, Any] = {}
    if returns in (None, type(None)):
        responses["204"] = {"description": HTTPStatus(204).phrase}
    else:
        good: dict[str, Any] = {"description": "OK"}
        if signature.is_json:
            good["content"] = {"application/json": {"schema": next(schemas)}}
        elif signature.streams is not NOTHING:
            kind = {bytes: "application/octet-stream", str: "text/plain"}.get(signature.streams)
            if kind is None and signature.streams is Event:
                kind = "text/event-stream"
            schema = {} if _answer_type(signature) is NOTHING else {"schema": next(schemas)}
            good["content"] = {kind or "application/x-ndjson": schema if kind is None else {}}
        elif returns in (bytes, str):
            kind = "application/octet-stream" if returns is bytes else "text/plain"
            good["content"] = {kind: {"schema": {"type": "string"}}}
        responses["200"] = good
    codes = []
    if any(each.place != "request" for each in signature.parameters):
        codes.append("422")
    if signature.body is not None:
        codes += ["400", "413", "415"]
    for code in sorted(codes):
        titles = {"413": "Content Too Large", "422": "Unprocessable Content"}
        responses[code] = {
            "description": titles.get(code, HTTPStatus(int(code)).phrase),
            "content": {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{problem}"}}},
        }
    return responses


def _unique(name: str, method: str, taken: set[str]) -> str:
    base = re.sub(r"\W+", "_", name)
    tried = itertools.chain([base], _names(f"{base}_{method.lower()}"))
    unique = next(each for each in tried if each not in taken)
    taken.add(unique)
    return unique
