"""Handlers: what a function's signature says of the requests that it takes and of what it answers.

Every parameter of a handler comes from one place of the request. Without a mark, a name in the route's path
is the path's; `Request` is the request itself; a type that JSON objects are made into (a Struct, a dataclass,
a TypedDict, a mapping) is the body; everything else is a parameter of the query. Marks say otherwise:

    def quote(
        id: int,
        page: Annotated[int, Query("p")] = 1,
        tenant: Annotated[str, Header("X-Tenant")] = "",
        session: Annotated[str | None, Cookie()] = None,
        raw: Annotated[bytes, Body()] = b"",
    ) -> Quote: ...
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect as shapes

from tetrapylon.code.load import place_of
from tetrapylon.code.shapes import bare
from tetrapylon.errors import LoadError

__all__ = ["Body", "Cookie", "Header", "Parameter", "Path", "Query", "Signature", "read_signature"]

Place = Literal["path", "query", "header", "cookie", "body", "request"]
Kind = Literal["text", "int", "float", "bool", "type", "bytes"]
MOST = 32
NOTHING = inspect.Parameter.empty


@dataclass(frozen=True)
class _Mark:
    name: str | None = None
    """As the request has it; the parameter's own when left out."""


class Path(_Mark):
    """From the route's path."""


class Query(_Mark):
    """From the query."""


class Header(_Mark):
    """From a header field; underscores of the parameter's name stand for dashes."""


class Cookie(_Mark):
    """From a cookie."""


class Body(_Mark):
    """The request's body: as it came for `bytes` and `str`, else decoded from JSON."""


MARKS: dict[type[_Mark], Place] = {
    Path: "path",
    Query: "query",
    Header: "header",
    Cookie: "cookie",
    Body: "body",
}
PLAIN: dict[Any, Kind] = {str: "text", int: "int", float: "float", bool: "bool"}
# What msgspec makes of one string (`convert(..., strict=False)`).
OF_TEXT = (
    shapes.StrType,
    shapes.IntType,
    shapes.FloatType,
    shapes.BoolType,
    shapes.NoneType,
    shapes.EnumType,
    shapes.LiteralType,
    shapes.DateTimeType,
    shapes.DateType,
    shapes.TimeType,
    shapes.TimeDeltaType,
    shapes.UUIDType,
    shapes.DecimalType,
    shapes.BytesType,
)
OF_TEXTS = (shapes.ListType, shapes.SetType, shapes.FrozenSetType, shapes.VarTupleType)
OF_OBJECT = (
    shapes.StructType,
    shapes.DataclassType,
    shapes.TypedDictType,
    shapes.NamedTupleType,
    shapes.DictType,
    shapes.AnyType,
    shapes.RawType,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler."""

    name: str
    place: Place
    key: str
    """Its name in the request."""
    kind: Kind
    type: Any
    many: bool = False
    required: bool = True
    default: Any = None
    by_name: bool = False
    index: int = 0
    """Of the path's parameter."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes and answers."""

    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    returns: Any
    """The annotation; `inspect.Parameter.empty` without one."""
    is_json: bool
    """What it returns is JSON, whatever it looks like."""
    streams: Any
    """The type of a stream's items, or `inspect.Parameter.empty`."""
    where: str

    @property
    def body(self) -> Parameter | None:
        return next((each for each in self.parameters if each.place == "body"), None)


def read_signature(function: Any, path_names: Sequence[str], name: str = "") -> Signature:
    """The signature of a handler on a route whose path has parameters of these names.

    Raises LoadError naming the place in the source.
    """
    name = name or getattr(function, "__qualname__", repr(function))
    where = place_of(function)
    if not callable(function):
        kind = type(function).__name__
        raise LoadError(f"{name} is of type {kind}", "expected a function", where)
    if inspect.isclass(function):
        raise LoadError(f"{name} is a class", "expected a function, or an instance that can be called", where)
    if inspect.isgeneratorfunction(_annotated(function)):
        hint = "make it `async def` to stream what it yields, or return a list"
        raise LoadError(f"{name} is a generator", hint, where)
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(_annotated(function), include_extras=True)
    except NameError as error:
        raise LoadError(f"an annotation of {name} names what is not there: {error}", "", where) from None
    except (TypeError, ValueError) as error:
        raise LoadError(f"the signature of {name} cannot be read: {error}", "", where) from None
    parameters = [
        _parameter(each, hints.get(each.name, NOTHING), path_names, name, where)
        for each in signature.parameters.values()
    ]
    bodies = [each for each in parameters if each.place == "body"]
    if len(bodies) > 1:
        both = " and ".join(each.name for each in bodies[:2])
        hint = "make them fields of one Struct, or mark one with Query() or Header()"
        raise LoadError(f"{name} takes the body twice, as {both}", hint, where)
    if len(parameters) > MOST:
        raise LoadError(f"{name} has {len(parameters)} parameters", f"expected {MOST} at most", where)
    missing = [each for each in path_names if each not in {p.key for p in parameters if p.place == "path"}]
    takes_request = any(each.place == "request" for each in parameters)
    if missing and not takes_request:
        hint = f"add a parameter `{missing[0]}`, or take the Request"
        raise LoadError(f"the path's parameter {{{missing[0]}}} goes nowhere in {name}", hint, where)
    returns = hints.get("return", NOTHING)
    return Signature(
        function,
        tuple(parameters),
        returns,
        _is_json(returns, name, where),
        _stream_item(returns),
        where,
    )


def _annotated(function: Any) -> Any:
    """Whose annotations count: a partial's function, an instance's __call__."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    if inspect.isroutine(function):
        return function
    return type(function).__call__


def _parameter(
    given: inspect.Parameter, hint: Any, path_names: Sequence[str], name: str, where: str
) -> Parameter:
    label = f"parameter `{given.name}` of {name}"
    if given.kind in (given.VAR_POSITIONAL, given.VAR_KEYWORD):
        raise LoadError(f"{label} takes any number of arguments", "give each a name and a type", where)
    if hint is NOTHING:
        example = "int" if given.name in path_names else "str"
        raise LoadError(f"{label} has no annotation", f"such as `{given.name}: {example}`", where)
    type_, marks = _unmarked(hint)
    if len(marks) > 1:
        raise LoadError(f"{label} has two marks", "keep one", where)
    if _hidden_mark(type_):
        hint = "put it around all of the type: `Annotated[int | None, Query()]`"
        raise LoadError(f"{label} has a mark within its type", hint, where)
    by_name = given.kind is given.KEYWORD_ONLY
    required = given.default is NOTHING
    default = None if required else given.default
    if _is_request(type_):
        return Parameter(given.name, "request", given.name, "type", None, by_name=by_name)
    info = _info(type_, label, where)
    place = MARKS[type(marks[0])] if marks else _place(given.name, info, type_, path_names)
    key = (marks[0].name if marks else None) or given.name
    if place == "header" and not (marks and marks[0].name):
        key = given.name.replace("_", "-")
    index = 0
    if place == "path":
        if key not in path_names:
            known = ", ".join(path_names) or "none"
            raise LoadError(f"{label} is the path's, which has no {{{key}}}", f"it has {known}", where)
        index = list(path_names).index(key)
    many = place in ("query", "header") and isinstance(bare(info), OF_TEXTS)
    if place == "body":
        kind: Kind = {bytes: "bytes", str: "text"}.get(_plain_type(type_), "type")  # type: ignore[assignment]
    else:
        _check_of_text(info, many, label, place, where)
        kind = _kind(type_)
    return Parameter(given.name, place, key, kind, type_, many, required, default, by_name, index)


def _unmarked(hint: Any) -> tuple[Any, list[_Mark]]:
    """The type without our marks, and those."""
    if get_origin(hint) is not Annotated:
        return hint, []
    base, *metadata = get_args(hint)
    marks: list[_Mark] = []
    kept = []
    for each in metadata:
        if isinstance(each, _Mark):
            marks.append(each)
        elif isinstance(each, type) and issubclass(each, _Mark):
            marks.append(each())
        else:
            kept.append(each)
    return (Annotated[(base, *kept)] if kept else base), marks


def _hidden_mark(type_: Any) -> bool:
    """Whether a mark of ours stands within a type, where it says nothing."""
    if get_origin(type_) is Annotated and any(
        isinstance(each, _Mark) or (isinstance(each, type) and issubclass(each, _Mark))
        for each in type_.__metadata__
    ):
        return True
    return any(_hidden_mark(each) for each in get_args(type_))


def _is_request(type_: Any) -> bool:
    if not isinstance(type_, type):
        return False
    from tetrapylon._core.code.surface import Request

    return issubclass(type_, Request)


def _info(type_: Any, label: str, where: str) -> shapes.Type:
    try:
        info = shapes.type_info(type_)
        msgspec.json.Decoder(type_)
    except Exception as error:  # noqa: BLE001 - msgspec's, or of the user's own metaclass
        raise LoadError(f"the type of {label} is not supported: {error}", "", where) from None
    unknown = next((each for each in walk(info) if isinstance(each, shapes.CustomType)), None)
    if unknown is not None:
        shown = getattr(unknown.cls, "__qualname__", unknown.cls)
        hint = "expected a Struct, dataclass, TypedDict, enum, date or another type of msgspec's"
        raise LoadError(f"the type of {label} is not supported: {shown}", hint, where)
    return info


def walk(info: Any) -> Iterator[Any]:
    """A type and all types within, each once."""
    seen: set[int] = set()
    stack = [info]
    while stack:
        each = stack.pop()
        if isinstance(each, (list, tuple)):
            stack.extend(each)
            continue
        if isinstance(each, shapes.Field):
            stack.append(each.type)
            continue
        if not isinstance(each, shapes.Type) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        stack.extend(getattr(each, name) for name in each.__struct_fields__ if name != "cls")


def _place(name: str, info: shapes.Type, type_: Any, path_names: Sequence[str]) -> Place:
    if name in path_names:
        return "path"
    kind = bare(info)
    if isinstance(kind, OF_OBJECT):
        return "body"
    if isinstance(kind, shapes.UnionType) and any(isinstance(bare(each), OF_OBJECT) for each in kind.types):
        return "body"
    if isinstance(kind, OF_TEXTS) and not isinstance(bare(kind.item_type), OF_TEXT):
        return "body"
    return "query"


def _check_of_text(info: shapes.Type, many: bool, label: str, place: str, where: str) -> None:
    """Can a string, or with `many` strings, become this?"""
    kind = bare(info)
    if many:
        kind = bare(kind.item_type)  # type: ignore[attr-defined]
    each = kind.types if isinstance(kind, shapes.UnionType) else (kind,)
    wrong = next((one for one in each if not isinstance(bare(one), OF_TEXT)), None)
    if wrong is not None:
        hint = "mark it with Body(), or take a type that one string can be made into"
        shown = type(wrong).__name__.removesuffix("Type").lower()
        raise LoadError(f"{label}, from the {place}, cannot be a {shown}", hint, where)


def _plain_type(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _kind(type_: Any) -> Kind:
    if get_origin(type_) in (typing.Union, types.UnionType):
        rest = [each for each in get_args(type_) if each is not type(None)]
        if len(rest) == 1 and rest[0] is str:
            return "text"
        return "type"
    try:
        return PLAIN.get(type_, "type")
    except TypeError:  # an unhashable Annotated
        return "type"


STREAMS = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)


def _stream_item(returns: Any) -> Any:
    origin = get_origin(returns)
    if origin in STREAMS:
        arguments = get_args(returns)
        return arguments[0] if arguments else Any
    return NOTHING


def _is_json(returns: Any, name: str, where: str) -> bool:
    """Whether an annotation promises JSON and nothing else. Raises LoadError for what nobody can encode."""
    if returns is NOTHING or returns in (Any, None, type(None), bytes, str):
        return False
    if get_origin(returns) in STREAMS or returns in STREAMS:
        return False
    parts = get_args(returns) if get_origin(returns) in (typing.Union, types.UnionType) else (returns,)
    from tetrapylon._core.code.surface import Response

    special = [part for part in parts if part in (bytes, str, type(None)) or _is(part, Response)]
    rest = [part for part in parts if part not in special and get_origin(part) not in STREAMS]
    for part in rest:
        if part not in (Any, NOTHING, typing.NoReturn, typing.Never):
            _info(part, f"what {name} returns", where)
    return bool(rest) and len(rest) == len(parts) and typing.NoReturn not in rest


def _is(part: Any, kind: type) -> bool:
    return isinstance(part, type) and issubclass(part, kind)


def defaults_of(parameter: Parameter) -> tuple[Any, Callable[[], Any] | None]:
    """A parameter's default, and what makes it anew where it could be changed by the function."""
    value = parameter.default
    if isinstance(value, (list, dict, set)):
        return None, partial(type(value), value)
    return value, None


def described(parameters: Iterable[Parameter]) -> str:
    """`id (path), page (query)`, for tables."""
    return ", ".join(f"{each.key} ({each.place})" for each in parameters if each.place != "request")
