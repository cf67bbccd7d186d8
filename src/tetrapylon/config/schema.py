"""The config's JSON Schema (draft 2020-12), from the same shapes that read it."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from tetrapylon import catalog
from tetrapylon._version import VERSION
from tetrapylon.config import shape
from tetrapylon.config.model import Config, PluginOptions
from tetrapylon.config.policies import PolicySection, settings_section
from tetrapylon.config.shape import Shape

__all__ = ["description", "schema", "written"]

Json = dict[str, Any]

FILLED = {
    "description": "A string with ${NAME}, ${NAME:-default} or ${file:PATH} in it, filled in when read.",
    "type": "string",
    "pattern": r"\$\{.+\}",
}


def schema() -> Json:
    """The schema as an object for JSON. It is as strict as a schema can be; `tetrapylon check` finds more."""
    definitions: Json = {"Filled": FILLED}
    root = _reference(shape.section(Config), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Tetrapylon {VERSION}",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def description(cls: type) -> str:
    """The first paragraph of a Struct's docstring, on one line."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def written(place: Shape, value: Any) -> Any:
    """A value of a Struct as a file would have it: `2s` for 2.0 where the field is a duration."""
    match place:
        case shape.Optional():
            return "none" if value is None and place.nullable else written(place.inner, value)
        case shape.OneOf():
            return written(next(one for one in place.shapes if type(value) in one.kinds), value)
        case shape.Items():
            return [written(place.item, item) for item in value]
        case shape.Mapping():
            return {name: written(place.value, item) for name, item in value.items()}
        case shape.Section():
            fields = {
                name: written(field.shape, getattr(value, name))
                for name, field in place.fields.items()
                if getattr(value, name) != field.default
            }
            return fields[place.shorthand] if list(fields) == [place.shorthand] else fields
        case shape.Text() | shape.Number() if place.scalar is not None:
            return place.scalar.format(value)
    return value


def _reference(place: shape.Section, definitions: Json) -> Json:
    name = place.cls.__name__
    if name not in definitions:
        definitions[name] = {}  # taken, while the fields are described
        definitions[name] = _section(place, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _section(place: shape.Section, definitions: Json) -> Json:
    if isinstance(place, PolicySection):
        return {
            "description": description(place.cls),
            "oneOf": [
                *(_policy(name, definitions) for name in sorted(catalog.POLICIES)),
                _plugin(definitions),
            ],
        }
    return {"description": description(place.cls), **_object(place, definitions)}


def _object(place: shape.Section, definitions: Json) -> Json:
    properties: Json = {}
    for name, field in place.fields.items():
        properties[name] = _any(field.shape, definitions)
        if field.description:
            properties[name]["description"] = field.description
        if field.default not in (msgspec.NODEFAULT, msgspec.UNSET):
            default = written(field.shape, field.default)
            if default not in (None, {}, []):
                properties[name]["default"] = default
    found: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    if place.required:
        found["required"] = list(place.required)
    return found


def _policy(name: str, definitions: Json) -> Json:
    found = _object(settings_section(name), definitions)
    found["description"] = description(catalog.policy(name))
    found["properties"] = {"use": {"const": name}, **found["properties"]}
    found["required"] = ["use", *found.get("required", [])]
    return found


def _plugin(definitions: Json) -> Json:
    """A class of the user's: its own settings are known to `check` alone."""
    found = _object(shape.section(PluginOptions), definitions)
    found["properties"] = {"use": {"type": "string", "pattern": ":"}, **found["properties"]}
    found["required"] = ["use"]
    found["additionalProperties"] = True
    found["description"] = "A plugin: a class of your own, `module:Class`."
    return found


def _any(place: Shape, definitions: Json) -> Json:
    """The schema of a shape, with what may stand in its place."""
    match place:
        case shape.Section():
            reference = _reference(place, definitions)
            if place.shorthand:
                return {"anyOf": [_any(place.fields[place.shorthand].shape, definitions), reference]}
            return reference
        case shape.Optional():
            inner = _any(place.inner, definitions)
            if not place.nullable:
                return inner
            choices = inner["anyOf"] if list(inner) == ["anyOf"] else [inner]
            return {"anyOf": [*choices, {"enum": ["none", None]}]}
        case shape.OneOf():
            return _choice(
                [
                    _reference(one, definitions)
                    if isinstance(one, shape.Section)
                    else _plain(one, definitions)
                    for one in place.shapes
                ]
            )
        case shape.Number() if place.scalar is not None:
            text: Json = {
                "type": "string",
                "pattern": place.scalar.pattern,
                "examples": [place.scalar.example],
            }
            return _choice([text, _number(place)] if place.scalar.numbers else [text])
        case shape.Number() | shape.Bool() | shape.Choice():
            return _choice([_plain(place, definitions)])
    return _plain(place, definitions)


def _choice(choices: list[Json]) -> Json:
    return {"anyOf": [*choices, {"$ref": "#/$defs/Filled"}]}


def _plain(place: Shape, definitions: Json) -> Json:
    match place:
        case shape.Text():
            found: Json = {"type": "string"}
            if place.at_least:
                found["minLength"] = place.at_least
            if place.scalar is not None:
                found["examples"] = [place.scalar.example]
            return found
        case shape.Number():
            return _number(place)
        case shape.Bool():
            return {"type": "boolean"}
        case shape.Choice():
            return {"enum": list(place.values)}
        case shape.Items():
            items: Json = {"type": "array", "items": _any(place.item, definitions)}
            return items | ({"minItems": place.at_least} if place.at_least else {})
        case shape.Mapping():
            return {"type": "object", "additionalProperties": _any(place.value, definitions)}
    return {}


def _number(place: shape.Number) -> Json:
    found: Json = {"type": "integer" if place.kind is int else "number"}
    if place.least is not None:
        found["minimum"] = place.least
    if place.most is not None:
        found["maximum"] = place.most
    return found
