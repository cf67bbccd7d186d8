"""Query, header fields and path held to a type or a JSON Schema: texts made into what is expected."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import inspect as shapes

from tetrapylon._core.code.arguments import told
from tetrapylon.code.load import place_of
from tetrapylon.code.shapes import bare
from tetrapylon.errors import LoadError

if TYPE_CHECKING:
    from tetrapylon import Request

__all__ = ["finder_of_schema", "finder_of_type"]

Errors = list[dict[str, str]]
Finder = Callable[["Request"], Errors]
LABELS = {"query": "query", "headers": "header", "cookies": "cookie", "path": "path"}
OBJECTS = (shapes.StructType, shapes.DataclassType, shapes.TypedDictType)
MANY = (shapes.ListType, shapes.SetType, shapes.FrozenSetType, shapes.VarTupleType)
INTEGER = re.compile(r"-?\d{1,18}")
NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?(?:[eE][-+]?\d{1,3})?")
WORDS = {"true": True, "false": False}


def _given(place: str, request: Request, name: str) -> list[str]:
    """All values of that name."""
    if place == "query":
        return request.query.getall(name)
    if place == "headers":
        return request.headers.getall(name)
    found = (request.cookies if place == "cookies" else request.parameters).get(name)
    return [] if found is None else [found]


class _Field(NamedTuple):
    name: str
    type: Any
    many: bool
    required: bool


def finder_of_type(place: str, found: Any, name: str) -> Finder:
    """What finds wrong, field by field. Raises LoadError."""
    label = LABELS[place]
    try:
        info = shapes.type_info(found)
        hints = typing.get_type_hints(found, include_extras=True)
    except Exception as error:  # noqa: BLE001 - msgspec's, or of the user's own annotations
        raise LoadError(f"{name} is no type that msgspec knows: {error}", "", place_of(found)) from None
    if not isinstance(info, OBJECTS):
        hint = "expected a Struct, dataclass or TypedDict"
        raise LoadError(f"{name} has no fields for parameters", hint, place_of(found))
    fields = []
    for each in info.fields:
        key = each.encode_name.replace("_", "-") if place == "headers" else each.encode_name
        fields.append(_Field(key, hints[each.name], isinstance(bare(each.type), MANY), each.required))
    strict = isinstance(info, shapes.StructType) and info.forbid_unknown_fields and place == "query"
    known = {each.name for each in fields}

    def find(request: Request) -> Errors:
        errors: Errors = []
        for field in fields:
            given = _given(place, request, field.name)
            if not given:
                if field.required:
                    errors.append({"in": label, "field": field.name, "detail": "is missing"})
                continue
            try:
                msgspec.convert(given if field.many else given[0], field.type, strict=False)
            except msgspec.ValidationError as error:
                detail, where = told(error)
                errors.append({"in": label, "field": field.name + where, "detail": detail})
        if strict:
            unknown = [each for each in request.query if each not in known]
            errors += [{"in": label, "field": each, "detail": "is not expected"} for each in unknown[:20]]
        return errors

    return find


def finder_of_schema(
    place: str, schema: Mapping[str, Any], look: Callable[[Any], Errors], names: Sequence[str] | None
) -> Finder:
    """`look` finds what is wrong with an object that has the parameters as their schemas want them."""
    label = LABELS[place]
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise LoadError("the schema of parameters has no `properties`", "expected an object's schema")
    if place == "path" and names is not None:
        properties = {name: each for name, each in properties.items() if name in names}

    def find(request: Request) -> Errors:
        value: dict[str, Any] = {}
        if place == "query":
            value = {name: request.query.getall(name)[0] for name in request.query if name not in properties}
        for name, wanted in properties.items():
            given = _given(place, request, name)
            if given:
                value[name] = _as_wanted(given, wanted, schema)
        return [{"in": label, **error} for error in look(value)]

    return find


def _as_wanted(given: list[str], wanted: Any, root: Mapping[str, Any]) -> Any:
    """Texts as the schema has them; what cannot be made so stays text, for the schema to refuse."""
    wanted = _followed(wanted, root)
    kinds = wanted.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if "array" in kinds:
        items = given if wanted.get("x-explode", True) else given[0].split(",")
        return [_scalar(each, _followed(wanted.get("items", {}), root)) for each in items]
    return _scalar(given[0], wanted)


def _followed(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a local reference leads, at most a few steps."""
    for _ in range(8):
        if not isinstance(schema, dict):
            return {}
        ref = schema.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            return schema
        found: Any = root
        for step in ref[2:].split("/"):
            found = (
                found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
            )
        schema = found
    return {}


def _scalar(text: str, wanted: Mapping[str, Any]) -> Any:
    kinds = wanted.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if "integer" in kinds and INTEGER.fullmatch(text):
        return int(text)
    if "number" in kinds and NUMBER.fullmatch(text):
        return float(text)
    if "boolean" in kinds and text in WORDS:
        return WORDS[text]
    return text
