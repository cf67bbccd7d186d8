"""What the model's Structs accept, derived from their types, and the reading of a tree by it.

Reading never stops at a problem: all go to the report, and what could not be read is left at its default
(None where there is none), so that the checks of meaning can look at the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from tetrapylon._version import VERSION
from tetrapylon.config.tree import UNKNOWN, Node, Path, Report, halved, scalar, show
from tetrapylon.config.units import Scalar

__all__ = [
    "FAILED",
    "Anything",
    "Bool",
    "Choice",
    "Field",
    "Items",
    "Mapping",
    "Number",
    "OneOf",
    "Optional",
    "Section",
    "Shape",
    "Text",
    "nearest",
    "register",
    "section",
]

LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**64 - 1

FAILED: Any = type("Failed", (), {"__repr__": lambda self: "FAILED"})()
"""What `read` returns for a value it could not read."""


class Shape:
    """The values that one place of the config accepts."""

    expected: str
    """What to write, in words: `a duration such as 2s`."""

    kinds: frozenset[type]
    """The Python types that a tree may hold here."""

    def read(self, node: Node, path: Path, report: Report) -> Any:
        """The value for the Struct, or FAILED with the problems reported."""
        raise NotImplementedError

    secret: bool = False
    """No message shows what stands here."""

    def mismatch(self, node: Node, path: Path, report: Report, hint: str = "") -> Any:
        if self.secret and type(node.value) in (int, float, str):
            report.add(path, f"expected {self.expected}, not what stands here", "write it in quotes")
        elif node.value is not UNKNOWN:
            report.add(path, f"expected {self.expected}, not {show(node)}", hint)
        return FAILED


class Text(Shape):
    """A string; with a `scalar`, one that it parses. No message shows a `secret` one."""

    kinds = frozenset({str})

    def __init__(self, scalar: Scalar | None, at_least: int = 0, *, secret: bool = False) -> None:
        self.scalar = scalar
        self.at_least = at_least
        self.secret = secret
        self.expected = f"{scalar.name} such as {scalar.example}" if scalar else "a string"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        value = node.value
        if type(value) is not str:
            quoted = type(value) in (int, float) and not self.scalar
            return self.mismatch(node, path, report, f'did you mean "{value}", in quotes?' if quoted else "")
        if halved(value):
            report.add(path, "the string is not UTF-8", "expected text")
            return FAILED
        if len(value) < self.at_least:
            if value:
                what = f"the string has {len(value)} characters"
                report.add(path, what, f"expected at least {self.at_least}")
            else:
                report.add(path, "the string is empty", f"expected {self.expected}")
            return FAILED
        return value if self.scalar is None else parse(self.scalar, node, path, report)


class Number(Shape):
    """An int or a float within bounds; with a `scalar`, one written with its unit."""

    def __init__(
        self, kind: type[int] | type[float], scalar: Scalar | None, least: float | None, most: float | None
    ) -> None:
        self.kind = kind
        self.scalar = scalar
        self.least = 0 if least is None and scalar else least
        self.most = scalar.most if most is None and scalar else most
        numbers = frozenset({int} if kind is int else {int, float})
        self.kinds = frozenset({str}) | numbers if scalar else numbers
        if scalar is not None:
            self.expected = f"{scalar.name} such as {scalar.example}"
        else:
            self.expected = "a whole number" if kind is int else "a number"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        value = node.value
        if type(value) is str:
            if self.scalar is None:
                number = scalar(value) if node.template is not None else None
                if type(number) is not int and (self.kind is int or type(number) is not float):
                    return self.mismatch(node, path, report, self.unquoted(value))
                value = number
            elif (value := parse(self.scalar, node, path, report)) is FAILED:
                return FAILED
        elif type(value) is not int and (self.kind is int or type(value) is not float):
            return self.mismatch(node, path, report, self.whole(value))
        elif self.scalar is not None and not self.scalar.numbers and not report.document.native:
            return self.mismatch(node, path, report, self.with_unit(value))
        low, high = self.least, self.most
        if not (low is None or value >= low) or not (high is None or value <= high):
            report.add(path, f"{show(node)} is out of range", f"expected {self.range()}")
            return FAILED
        return value if self.kind is int else float(value)

    def unquoted(self, text: str) -> str:
        return f"did you mean {text}, without quotes?" if type(scalar(text)) in (int, float) else ""

    def whole(self, value: object) -> str:
        return f"did you mean {value:.0f}?" if type(value) is float and value.is_integer() else ""

    def with_unit(self, value: object) -> str:
        assert self.scalar is not None
        unit = self.scalar.example.lstrip("0123456789.")
        return f"did you mean {value}{unit}?"

    def range(self) -> str:
        """`at least 1`, `at most 100%`, `1KiB to 16MiB`; empty without bounds."""
        write: Callable[[Any], str] = self.scalar.format if self.scalar else str
        if self.least is not None and self.most is not None:
            return f"{write(self.least)} to {write(self.most)}"
        if self.least is not None:
            return f"at least {write(self.least)}"
        return f"at most {write(self.most)}" if self.most is not None else ""


class Bool(Shape):
    """True or false."""

    kinds = frozenset({bool})
    expected = "true or false"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        value = node.value
        if type(value) is str and node.template is not None:
            value = scalar(value)
        if type(value) is not bool:
            word = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(node.value).lower())
            return self.mismatch(node, path, report, f"did you mean {word}?" if word else "")
        return value


class Choice(Shape):
    """One of a few values. `later` names those that this version lacks."""

    def __init__(self, values: tuple[Any, ...], later: tuple[str, ...] = ()) -> None:
        self.values = values
        self.later = later
        self.kinds = frozenset(type(value) for value in values)
        shown = [str(value) for value in values]
        self.expected = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        value = node.value
        if type(value) is str and node.template is not None and str not in self.kinds:
            value = scalar(value)
        if type(value) in self.kinds and value in self.values:
            return value
        named = next(iter(value), None) if type(value) is dict else value
        if named in self.later:
            report.add(path, f"{named} is not supported by version {VERSION}", f"expected {self.expected}")
            return FAILED
        return self.mismatch(node, path, report, self.suggestion(value))

    def suggestion(self, value: Any) -> str:
        known = [str(choice) for choice in self.values]
        if str(value) in known:
            return f"did you mean {value}, {'without' if type(value) is str else 'in'} quotes?"
        close = nearest(value, known) if type(value) is str else ""
        return f"did you mean {close}?" if close else ""


class Optional(Shape):
    """A value or `none`, where `none` means something; or a value alone, that may be left out."""

    def __init__(self, inner: Shape, *, nullable: bool) -> None:
        self.inner = inner
        self.secret = inner.secret
        self.nullable = nullable
        self.kinds = inner.kinds | {type(None), str} if nullable else inner.kinds
        self.expected = f"{inner.expected}, or none" if nullable else inner.expected

    def read(self, node: Node, path: Path, report: Report) -> Any:
        value = node.value
        if value is None or (self.nullable and value == "none"):
            if self.nullable or report.document.native:
                return None
            report.add(path, "the value is missing", f"expected {self.expected}, or leave the key out")
            return FAILED
        if type(value) not in self.kinds:
            return self.mismatch(node, path, report)
        return self.inner.read(node, path, report)


class OneOf(Shape):
    """Shapes told apart by the kind of the value."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes = shapes
        self.kinds = frozenset().union(*(shape.kinds for shape in shapes))
        self.expected = " or ".join(shape.expected for shape in shapes)

    def read(self, node: Node, path: Path, report: Report) -> Any:
        kind = type(node.value)
        if kind is str and node.template is not None and type(scalar(node.value)) in self.kinds:
            kind = type(scalar(node.value))
        for shape in self.shapes:
            if kind in shape.kinds:
                if isinstance(shape, Choice) and node.value not in shape.values:
                    return self.mismatch(node, path, report, shape.suggestion(node.value))
                return shape.read(node, path, report)
        return self.mismatch(node, path, report)


class Items(Shape):
    """A list of one shape."""

    kinds = frozenset({list})

    def __init__(self, item: Shape, at_least: int = 0) -> None:
        self.item = item
        self.at_least = at_least
        self.expected = "a list"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        items = node.value
        if type(items) is not list:
            if type(items) in self.item.kinds and type(items) is not dict:
                hint = f"did you mean [{show(node, bare=True)}]?"
            else:
                hint = f"an item of it is {self.item.expected}"
            return self.mismatch(node, path, report, hint)
        if len(items) < self.at_least:
            report.add(path, "the list is empty", f"expected {self.item.expected} in it")
            return FAILED
        read = self.item.read
        values = [read(item, (*path, index), report) for index, item in enumerate(items)]
        return tuple(values)


class Mapping(Shape):
    """Values of one shape under names that the user chooses."""

    kinds = frozenset({dict})
    expected = "a mapping"

    def __init__(self, key: Shape, value: Shape) -> None:
        self.key = key
        self.value = value

    def read(self, node: Node, path: Path, report: Report) -> Any:
        if type(node.value) is not dict:
            return self.mismatch(node, path, report)
        values = {}
        for name, child in node.value.items():
            here = (*path, name)
            if isinstance(self.key, Text):
                name = self.read_key(name, self.key, here, report)
            value = self.value.read(child, here, report)
            if name is not FAILED:
                values[name] = value
        return values

    def read_key(self, name: str, key: Text, path: Path, report: Report) -> Any:
        if len(name) < key.at_least:
            report.add(path, "the name is empty", "expected at least one character", key=True)
            return FAILED
        if key.scalar is None:
            return name
        try:
            return key.scalar.parse(name)
        except ValueError as error:
            report.add_error(path, error, key=True)
            return FAILED


class Anything(Shape):
    """Any value: what a policy's own settings may hold."""

    kinds = frozenset({dict, list, str, int, float, bool, type(None)})
    expected = "a value"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        value = node.value
        if isinstance(value, dict):
            return {key: self.read(child, (*path, key), report) for key, child in value.items()}
        if isinstance(value, list):
            return [self.read(child, (*path, index), report) for index, child in enumerate(value)]
        if type(value) is int and not LEAST_INTEGER <= value <= MOST_INTEGER:
            report.add(path, f"{show(node)} has more than 64 bits", "write it in quotes")
            return FAILED
        return value if type(value) in self.kinds else self.mismatch(node, path, report)


class Field(NamedTuple):
    """A key of a section. `default` is msgspec.NODEFAULT where the key must be given."""

    name: str
    shape: Shape
    default: Any
    description: str


class Section(Shape):
    """A mapping with fixed keys, read into a Struct of `cls`."""

    def __init__(self, cls: type[msgspec.Struct]) -> None:
        self.cls = cls
        self.fields: dict[str, Field] = {}
        self.later: frozenset[str] = getattr(cls, "later", frozenset())
        self.shorthand: str = getattr(cls, "shorthand", "")
        self.kinds = frozenset({dict, str} if self.shorthand else {dict})
        self.required: tuple[str, ...] = ()
        self.expected = "a mapping"

    def complete(self, fields: Iterable[Field]) -> None:
        self.fields = {field.name: field for field in fields}
        self.required = tuple(
            name for name, field in self.fields.items() if field.default is msgspec.NODEFAULT
        )
        if self.shorthand:
            self.expected = self.fields[self.shorthand].shape.expected + ", or a mapping"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        value = node.value
        if type(value) is not dict:
            if self.shorthand and type(value) is str:
                value = self.fields[self.shorthand].shape.read(node, path, report)
                return FAILED if value is FAILED else self.build({self.shorthand: value}, path, report)
            return self.mismatch(node, path, report)
        return self.build(self.read_fields(value, path, report), path, report)

    def read_fields(self, given: dict[str, Node], path: Path, report: Report) -> dict[str, Any]:
        """The values of the keys given, where they could be read."""
        values, fields = {}, self.fields
        for name, child in given.items():
            field = fields.get(name)
            if field is None:
                self.unknown(name, path, report)
                continue
            value = field.shape.read(child, (*path, name), report)
            if value is not FAILED:
                values[name] = value
        for name in self.required:
            if name not in values:
                values[name] = None
                if name not in given and not (report.refused(path) and self.misspelt(name, given)):
                    shape = fields[name].shape
                    report.add(path, f"`{name}` is missing", f"expected {shape.expected}")
        return values

    def build(self, values: dict[str, Any], path: Path, report: Report) -> Any:
        if report.touched(path):
            return self.cls(**values) if not hasattr(self.cls, "__post_init__") else FAILED
        try:
            return self.cls(**values)
        except ValueError as error:  # the Struct's own __post_init__
            report.add_error(path, error)
            return FAILED

    def unknown(self, name: str, path: Path, report: Report) -> None:
        if name in self.later:
            report.add(
                (*path, name), f"`{name}` is not supported by version {VERSION}", "leave it out", key=True
            )
            return
        close = nearest(name, self.fields)
        names = sorted(self.fields)
        hint = (
            f"did you mean `{close}`?"
            if close
            else f"expected one of {', '.join(names)}"
            if names
            else "expected none"
        )
        report.add((*path, name), "unknown key", hint, key=True)

    def misspelt(self, name: str, given: dict[str, Node]) -> bool:
        return any(key not in self.fields and nearest(key, self.fields) == name for key in given)


def parse(scalar: Scalar, node: Node, path: Path, report: Report) -> Any:
    try:
        return scalar.parse(node.value)
    except ValueError as error:
        if node.template is None:
            report.add_error(path, error)
        else:
            report.add(path, f"{show(node)} is not {scalar.name}", f"expected one such as {scalar.example}")
        return FAILED


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` is most likely meant to be, or ""."""
    plain = name.lower().replace("-", "_")
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.lower().replace("-", "_"), candidate)
    if plain in folded:
        return folded[plain]
    for candidate in folded:
        if candidate.replace("_", "") == plain.replace("_", ""):
            return folded[candidate]
    from difflib import get_close_matches

    close = get_close_matches(plain, folded, 1, 0.6)
    return folded[close[0]] if close else ""


_sections: dict[type, Section] = {}


def register(shape: Section) -> None:
    """Makes `shape` the one for its class wherever it occurs; before a section that holds it is derived."""
    _sections[shape.cls] = shape
    info = inspect.type_info(shape.cls)
    assert isinstance(info, inspect.StructType)
    shape.complete(_fields(info))


def section(cls: type[msgspec.Struct]) -> Section:
    """The shape of a Struct, derived once."""
    if cls not in _sections:
        _section(inspect.type_info(cls))  # type: ignore[arg-type]
    return _sections[cls]


def _section(info: inspect.StructType) -> Section:
    if info.cls in _sections:
        return _sections[info.cls]
    shape = _sections[info.cls] = Section(info.cls)
    shape.complete(_fields(info))
    return shape


def _fields(info: inspect.StructType) -> Iterator[Field]:
    for field in info.fields:
        extra, description = _metadata(field.type)
        if extra.get("internal"):
            continue
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        elif not field.required and default is msgspec.NODEFAULT:
            default = msgspec.UNSET
        yield Field(field.encode_name, _shape(field.type, {}), default, description)


def _metadata(info: inspect.Type) -> tuple[dict[str, Any], str]:
    extra: dict[str, Any] = {}
    description = ""
    while isinstance(info, inspect.Metadata):
        extra = (info.extra or {}) | extra
        description = description or (info.extra_json_schema or {}).get("description", "")
        info = info.type
    return extra, description


def _shape(info: inspect.Type, extra: dict[str, Any]) -> Shape:
    match info:
        case inspect.Metadata():
            return _shape(info.type, extra | (info.extra or {}))
        case inspect.StructType():
            return _section(info)
        case inspect.StrType():
            return Text(extra.get("scalar"), info.min_length or 0, secret=extra.get("secret", False))
        case inspect.IntType():
            return Number(int, extra.get("scalar"), info.ge, info.le)
        case inspect.FloatType():
            return Number(float, extra.get("scalar"), info.ge, info.le)
        case inspect.BoolType():
            return Bool()
        case inspect.LiteralType():
            return Choice(info.values, extra.get("later", ()))
        case inspect.VarTupleType() | inspect.ListType() | inspect.SetType() | inspect.FrozenSetType():
            return Items(_shape(info.item_type, {}), info.min_length or 0)
        case inspect.DictType():
            return Mapping(_shape(info.key_type, {}), _shape(info.value_type, {}))
        case inspect.AnyType():
            return Anything()
        case inspect.UnionType():
            return _union(info, extra)
    raise TypeError(f"the config model has no shape for {info}")


def _union(info: inspect.UnionType, extra: dict[str, Any]) -> Shape:
    shapes = [_shape(inner, extra) for inner in info.types if not isinstance(inner, inspect.NoneType)]
    shape = shapes[0] if len(shapes) == 1 else OneOf(shapes)
    if len(shapes) == len(info.types):
        return shape
    # A string that is None was simply not given; elsewhere None is a value of its own: no limit, no log.
    return Optional(shape, nullable=not isinstance(shape, Text))
