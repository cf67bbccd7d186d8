"""From what data is agreed to be to what looks at it: msgspec for types, jsonschema-rs for JSON Schemas."""

from __future__ import annotations

import time
import traceback
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from tetrapylon._core.code.arguments import told
from tetrapylon.code.load import load_object, place_of
from tetrapylon.config.schemas import Agreed
from tetrapylon.errors import LoadError
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon import Request
    from tetrapylon._core.policies.validate import Settings

__all__ = ["Checks", "Teller", "checks", "problems", "resolved"]

Errors = list[dict[str, str]]
Body = Callable[[bytes], Errors]
Finder = Callable[["Request"], Errors]
MOST = 20
"""Errors told of one body."""
LONGEST = 200
"""Characters of one error."""
TELL_EVERY = 1.0
"""Seconds between two lines about answers of one route."""
PLACES = ("path", "query", "headers", "cookies")


class Checks(NamedTuple):
    """What a `validate` policy looks with."""

    body: Body | None
    parameters: Finder | None
    responses: dict[str, Body]


def checks(settings: Settings, names: Sequence[str]) -> Checks:
    """For settings that are `resolved`, on a route whose path has parameters of these names.

    Raises LoadError.
    """
    finders = [
        _parameters(place, agreed, names)
        for place in PLACES
        if (agreed := getattr(settings, place)) is not None
    ]

    def parameters(request: Request) -> Errors:
        return [error for find in finders for error in find(request)]

    return Checks(
        _body("body", settings.body) if settings.body is not None else None,
        parameters if finders else None,
        {status: _body("answer", agreed) for status, agreed in settings.responses.items()},
    )


def resolved(settings: Settings) -> Settings:
    """With what its files say in their place. Raises ValueError."""
    changes: dict[str, Any] = {}
    if settings.openapi is not None and settings.operation is not None:
        from tetrapylon.messages.openapi_import import operation

        found = operation(settings.openapi, settings.operation)
        changes = {name: value for name, value in found.items() if not getattr(settings, name)}
        changes |= {"openapi": None, "operation": None}
    for name in ("body", *PLACES):
        agreed = changes.get(name, getattr(settings, name))
        if agreed is not None:
            changes[name] = _read(agreed)
    responses = changes.get("responses", settings.responses)
    changes["responses"] = {status: _read(agreed) for status, agreed in responses.items()}
    return msgspec.structs.replace(settings, **changes)


def problems(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """What is wrong with settings that are `resolved`: where, what, and what to do instead."""
    if (settings.openapi is None) != (settings.operation is None):
        missing = "operation" if settings.operation is None else "openapi"
        yield (), f"`{missing}` is missing", "give a document and one of its operations"
        return
    given: list[tuple[tuple[str | int, ...], Agreed]] = [
        ((name,), getattr(settings, name))
        for name in ("body", *PLACES)
        if getattr(settings, name) is not None
    ]
    given += [(("responses", status), agreed) for status, agreed in settings.responses.items()]
    if not given:
        yield (), "nothing is validated", "give body, query, headers, cookies, path, responses or openapi"
    if settings.answers != "pass" and not settings.responses:
        yield ("answers",), "nothing is said of answers", "give `responses`, such as {200: {type: ...}}"
    for path, agreed in given:
        if (agreed.type is None) == (agreed.schema is None):
            yield path, "this does not say what it is", "give one of `type` and `schema`"
            continue
        inside = (*path, "type" if agreed.type is not None else "schema")
        try:
            if path[0] in PLACES:
                _parameters(str(path[0]), agreed, None)
            else:
                _body("body", agreed)
        except LoadError as error:
            yield inside, error.message + (f" ({error.where})" if error.where else ""), error.hint


class Teller:
    """Logs what a policy finds, a line a second at most."""

    def __init__(self) -> None:
        self._last = -TELL_EVERY
        self._left_out = 0

    def unfit(self, route: str, status: int, errors: Errors) -> None:
        """An answer is not what was agreed."""
        shown = "; ".join(f"{each.get('field') or 'the body'}: {each['detail']}" for each in errors[:5])
        self._say("warning", f"an answer {status} of {route} is not what was agreed: {shown}")

    def broke(self, error: BaseException) -> None:
        """A type of the user's has raised what is no validation error."""
        self._say("error", f"validating raised\n{''.join(traceback.format_exception(error)).rstrip()}")

    def _say(self, level: Literal["warning", "error"], text: str) -> None:
        now = time.monotonic()
        if now - self._last < TELL_EVERY:
            self._left_out += 1
            return
        more = f" ({self._left_out} more since the last time)" if self._left_out else ""
        say(level, text + more)
        self._last, self._left_out = now, 0


def _read(agreed: Agreed) -> Agreed:
    if not isinstance(agreed.schema, str):
        return agreed
    return msgspec.structs.replace(agreed, schema=read_file(agreed.schema))


def read_file(name: str) -> dict[str, Any]:
    """A YAML or JSON file with a mapping. Raises ValueError."""
    try:
        text = FilePath(name).read_bytes()
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}; expected a YAML or JSON file") from None
    try:
        if name.endswith(".json"):
            found = msgspec.json.decode(text)
        else:
            import yaml

            # JSON's types alone: a date stays text, and `NO` a word.
            found = yaml.load(text, Loader=_json_like(yaml))
    except Exception as error:  # noqa: BLE001 - what yaml raises has many names
        raise ValueError(f"{name} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name} holds no mapping; expected a schema or an OpenAPI document")
    return typing.cast("dict[str, Any]", msgspec.to_builtins(found, str_keys=True))


def _json_like(yaml: Any) -> Any:
    """A loader that resolves what the JSON schema of YAML 1.2 (section 10.2) does."""
    import re

    class Loader(yaml.CSafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: typing.ClassVar[dict[str, Any]] = {}

    for tag, pattern, first in (
        ("null", r"(?:null|~|)$", ["n", "~", ""]),
        ("bool", r"(?:true|false)$", list("tf")),
        ("int", r"-?(?:0|[1-9][0-9]*)$", list("-0123456789")),
        ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?$", list("-0123456789")),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
    return Loader


# Bodies


def _body(place: str, agreed: Agreed) -> Body:
    if agreed.type is not None:
        return _body_of_type(place, load_object(agreed.type), agreed.type)
    assert isinstance(agreed.schema, dict)
    find = _schema(agreed.schema, masked=place == "answer")

    def by_schema(text: bytes) -> Errors:
        return [{"in": place, **error} for error in find(msgspec.json.decode(text))]

    return by_schema


def _body_of_type(place: str, found: Any, name: str) -> Body:
    try:
        decode = msgspec.json.Decoder(found).decode
    except Exception as error:  # noqa: BLE001 - msgspec's, or of the user's own metaclass
        raise LoadError(f"{name} is no type that msgspec knows: {error}", "", place_of(found)) from None

    def by_type(text: bytes) -> Errors:
        try:
            decode(text)
        except msgspec.ValidationError as error:
            detail, field = told(error)
            return [{"in": place, **({"field": field} if field else {}), "detail": detail}]
        except msgspec.DecodeError as error:
            return [{"in": place, "detail": str(error)}]
        return []

    return by_type


def _schema(schema: dict[str, Any], *, masked: bool = False) -> Callable[[Any], Errors]:
    """What a schema finds wrong with a decoded value; `masked` without what the value holds."""
    try:
        import jsonschema_rs
    except ImportError:
        raise LoadError("JSON Schemas need jsonschema-rs", 'pip install "tetrapylon[schema]"') from None

    def refuse(uri: str) -> Any:
        raise ValueError(f"{uri} is elsewhere; expected references within the schema")

    try:
        validator = jsonschema_rs.validator_for(
            schema, validate_formats=True, retriever=refuse, mask="the value" if masked else None
        )
    except Exception as error:  # noqa: BLE001 - a ValidationError or ReferencingError of many kinds
        text = str(error).partition("\n")[0]
        raise LoadError(
            f"this is no JSON Schema: {text}", "expected draft 2020-12 or another that says so"
        ) from None

    def find(value: Any) -> Errors:
        if validator.is_valid(value):
            return []
        found: Errors = []
        for error in validator.iter_errors(value):
            if len(found) == MOST:
                break
            steps = list(error.instance_path)
            if (missing := getattr(error.kind, "property", None)) is not None:
                found.append({"field": _path([*steps, missing]), "detail": "is missing"})
                continue
            if unexpected := getattr(error.kind, "unexpected", None):
                found += [
                    {"field": _path([*steps, name]), "detail": "is not expected"}
                    for name in unexpected[: MOST - len(found)]
                ]
                continue
            field = _path(steps)
            detail = error.message if len(error.message) <= LONGEST else error.message[:LONGEST] + "..."
            found.append({**({"field": field} if field else {}), "detail": detail})
        return found

    return find


def _path(steps: Sequence[Any]) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


# Parameters


def _parameters(place: str, agreed: Agreed, names: Sequence[str] | None) -> Finder:
    """`names` of the route's path; None where they are not known."""
    if agreed.type is not None:
        from tetrapylon.messages.parameters import finder_of_type

        return finder_of_type(place, load_object(agreed.type), agreed.type)
    assert isinstance(agreed.schema, dict)
    from tetrapylon.messages.parameters import finder_of_schema

    return finder_of_schema(place, agreed.schema, _schema(agreed.schema), names)
