"""OpenAPI 3.0 and 3.1 documents as what is agreed: the operations of an API, each with its schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tetrapylon.config.schemas import Agreed
from tetrapylon.messages.validation import read_file

__all__ = ["Operation", "operation", "operations"]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PLACES = {"query": "query", "header": "headers", "cookie": "cookies", "path": "path"}
PARAMETER = re.compile(r"\{([^{}]*)\}")
STATUS = re.compile(r"[1-5](?:\d\d|XX)|default")
# RFC 9110 and OpenAPI's "Parameter Object": a header parameter of these names says nothing.
SILENT = frozenset({"accept", "content-type", "authorization"})


class Operation(NamedTuple):
    """One operation; `settings` are those of a `validate` policy."""

    method: str
    path: str
    """As a route has it."""
    id: str | None
    settings: dict[str, Any]


def operation(file: str, wanted: str) -> dict[str, Any]:
    """The settings for the operation of that id, or method and path. Raises ValueError."""
    document = read_file(file)
    known = []
    for method, path, each in _operations(document):
        name = each.get("operationId")
        if wanted in (name, f"{method} {path}"):
            return _Reader(document).settings(path, each)
        known.append(name or f"{method} {path}")
    from difflib import get_close_matches

    close = get_close_matches(wanted, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known[:10]) or 'none'}"
    raise ValueError(f"{file} has no operation {wanted!r}; {hint}")


def operations(file: str) -> list[Operation]:
    """All operations of a document. Raises ValueError."""
    document = read_file(file)
    reader = _Reader(document)
    found = []
    for method, path, each in _operations(document):
        try:
            settings = reader.settings(path, each)
        except ValueError as error:
            raise ValueError(f"{method} {path}: {error}") from None
        found.append(Operation(method, routed(path), each.get("operationId"), settings))
    return found


def routed(path: str) -> str:
    """A path as a route has it: names of parameters are words."""
    return PARAMETER.sub(lambda found: f"{{{_word(found[1])}}}", path)


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and the operation, with the parameters of its path."""
    version = str(document.get("openapi", ""))
    if not version.startswith(("3.0", "3.1")):
        raise ValueError(f"`openapi` is {version or 'missing'}; expected a document of OpenAPI 3.0 or 3.1")
    paths = document.get("paths")
    if not isinstance(paths, dict):
        raise ValueError("the document has no `paths`; expected the operations there")
    for path, item in paths.items():
        item = _followed(document, item)
        shared = item.get("parameters", [])
        for method in METHODS:
            if method in item:
                each = dict(item[method])
                each["parameters"] = [*shared, *each.get("parameters", [])]
                yield method.upper(), path, each


def _followed(document: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """What a reference within the document leads to."""
    for _ in range(16):
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is no object; expected one")
        ref = value.get("$ref")
        if ref is None:
            return value
        value = _at(document, ref)
    raise ValueError("references go round in a ring")


def _at(document: Mapping[str, Any], ref: Any) -> Any:
    if not isinstance(ref, str) or not ref.startswith("#/"):
        raise ValueError(f"the reference {ref!r} leads elsewhere; expected one within the document")
    found: Any = document
    for step in ref[2:].split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or step not in found:
            raise ValueError(f"the reference {ref!r} leads nowhere")
        found = found[step]
    return found


class _Reader:
    """Makes settings of operations."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.old = str(document["openapi"]).startswith("3.0")

    def settings(self, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        places: dict[str, dict[str, Any]] = {}
        for each in operation["parameters"]:
            parameter = _followed(self.document, each)
            place = PLACES.get(parameter.get("in", ""))
            name = parameter.get("name")
            if place is None or not isinstance(name, str) or (place == "headers" and name.lower() in SILENT):
                continue
            self.parameter(places.setdefault(place, {}), parameter, _word(name) if place == "path" else name)
        for place, properties in places.items():
            schema = {
                "type": "object",
                "properties": {name: each for name, (each, _) in properties.items()},
                "required": [name for name, (_, required) in properties.items() if required],
            }
            found[place] = Agreed(schema=self.complete(schema, "readOnly"))
        if "requestBody" in operation:
            self.body(found, _followed(self.document, operation["requestBody"]))
        found["responses"] = dict(self.responses(operation.get("responses", {})))
        return found

    def parameter(self, properties: dict[str, Any], parameter: Mapping[str, Any], name: str) -> None:
        schema = parameter.get("schema", {})
        if "content" in parameter:  # JSON within a text
            schema = {"type": "string"}
        style = parameter.get("style", "form" if parameter["in"] in ("query", "cookie") else "simple")
        # One cookie holds one text: an array that is exploded has no form there that servers agree on.
        if parameter["in"] == "cookie" or style != "form" or not parameter.get("explode", style == "form"):
            schema = {**_followed(self.document, schema), "x-explode": False}
        properties[name] = schema, bool(parameter.get("required", parameter["in"] == "path"))

    def body(self, found: dict[str, Any], body: Mapping[str, Any]) -> None:
        content = body.get("content", {})
        found["required"] = bool(body.get("required", False))
        json = next((each for kind, each in content.items() if _is_json(kind)), None)
        found["content_types"] = tuple(
            kind.partition(";")[0].strip().lower()
            for kind in content
            if not _is_json(kind) and "*" not in kind
        )
        if json is not None:
            found["body"] = Agreed(schema=self.complete(json.get("schema", {}), "readOnly"))

    def responses(self, responses: Mapping[str, Any]) -> Iterator[tuple[str, Agreed]]:
        for status, each in responses.items():
            content = _followed(self.document, each).get("content", {})
            json = next((found for kind, found in content.items() if _is_json(kind)), None)
            if json is not None and len(content) == 1 and STATUS.fullmatch(str(status)):
                yield str(status), Agreed(schema=self.complete(json.get("schema", {}), "writeOnly"))

    def complete(self, schema: Any, silent: str) -> dict[str, Any]:
        """A schema that stands on its own: what it refers to is in its `$defs`."""
        definitions: dict[str, Any] = {}
        pending: list[str] = []
        made: dict[str, Any] = self.converted(schema, silent, pending)
        while pending:
            ref = pending.pop()
            if ref not in definitions:
                definitions[ref] = self.converted(_at(self.document, ref), silent, pending)
        if definitions:
            made = {**made, "$defs": {_key(ref): each for ref, each in definitions.items()}}
        return made

    def converted(self, schema: Any, silent: str, pending: list[str]) -> Any:
        """As JSON Schema 2020-12 has it, with references to `$defs`."""
        if isinstance(schema, list):
            return [self.converted(each, silent, pending) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if isinstance(schema.get("$ref"), str):
            ref = schema["$ref"]
            _at(self.document, ref)
            pending.append(ref)
            rest = {} if self.old else {key: each for key, each in schema.items() if key != "$ref"}
            return {**self.converted(rest, silent, pending), "$ref": f"#/$defs/{_key(ref)}"}
        made = {}
        for key, each in schema.items():
            if key in ("enum", "const", "default", "example", "examples", "discriminator", "xml"):
                if key in ("enum", "const"):
                    made[key] = each
            elif key in ("properties", "patternProperties", "$defs") and isinstance(each, dict):
                made[key] = {name: self.converted(inner, silent, pending) for name, inner in each.items()}
            else:
                made[key] = self.converted(each, silent, pending)
        properties = schema.get("properties", {})
        if "required" in made and isinstance(properties, dict):
            made["required"] = [
                name
                for name in made["required"]
                if not (isinstance(properties.get(name), dict) and properties[name].get(silent))
            ]
        return self.modern(made) if self.old else made

    def modern(self, schema: dict[str, Any]) -> dict[str, Any]:
        """From OpenAPI 3.0's dialect: `nullable`, and bounds that are exclusive by a flag."""
        for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(schema.get(flag), bool) and schema.pop(flag) and bound in schema:
                schema[flag] = schema.pop(bound)
        if schema.pop("nullable", False) and "type" in schema:
            kind = schema["type"]
            schema["type"] = [*(kind if isinstance(kind, list) else [kind]), "null"]
            if "enum" in schema and None not in schema["enum"]:
                schema["enum"] = [*schema["enum"], None]
        return schema


def _key(ref: str) -> str:
    """The name of a definition, of characters that no pointer or URI escapes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", ref.removeprefix("#/components/schemas/").removeprefix("#/"))


def _is_json(kind: str) -> bool:
    kind = kind.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
