"""The reference of all keys, in Markdown, from the shapes that read them: what `docs/reference.md` holds."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from tetrapylon import catalog
from tetrapylon.config import shape
from tetrapylon.config.model import Config
from tetrapylon.config.policies import PolicySection, settings_section
from tetrapylon.config.schema import description, written
from tetrapylon.config.shape import Field, Shape

__all__ = ["about", "reference", "tables"]

HEAD = """\
# Config reference

One file, `.yaml`, `.toml` or `.json`, or a `tetrapylon.Config` built in Python and named `module:attribute`.
`tetrapylon schema --format markdown` prints this page, `tetrapylon schema` the JSON Schema for editors.

- Unknown keys, unknown names and routes that can never match are errors, reported all at once by
  `tetrapylon check`.
- YAML is read as version 1.2: `no`, `off` and `1:30` are strings. Anchors, aliases and `<<` work.
- Durations are written `250ms`, `2s`, `5m`, `1h`, `1h30m`, `7d`; sizes `512B`, `64KiB`, `1MiB`, `10MB`; rates
  `100/s`, `6000/m`; shares `20%` or `0.2`. In Python they are plain numbers: seconds, bytes, events a second,
  a fraction.
- In strings, `${NAME}` is filled in from the environment, `${NAME:-default}` has a default, `${file:PATH}` is
  the content of a file without its last newline; relative paths start at the config's folder. `$${` is `${`.
"""


def reference() -> str:
    """The whole page."""
    lines = [HEAD, *_page("", shape.section(Config))]
    for name in sorted(catalog.POLICIES):
        lines += ["", f"## Policy `{name}`", "", about(name).split("\n\n")[0].replace("\n", " ")]
        for path, rows in tables(settings_section(name)):
            lines += ["", *([f"In `{path}`:", ""] if path else []), *(rows or ["It has no settings."])]
    return "\n".join(lines) + "\n"


def about(name: str) -> str:
    """What a policy does, as its settings say or, where they do not, its class."""
    kind = catalog.policy(name)
    settings = getattr(kind, "Settings", kind)
    # A Struct without a docstring inherits msgspec's own.
    return inspect.cleandoc(vars(settings).get("__doc__") or kind.__doc__ or "")


def _page(path: str, section: shape.Section) -> Iterator[str]:
    yield f"## `{path}`" if path else "## The whole file"
    yield ""
    yield description(section.cls)
    yield ""
    yield from table(section)
    if section.later:
        yield ""
        keys = ", ".join(f"`{key}`" for key in sorted(section.later))
        yield f"Not supported by this version: {keys}."
    for name, field in section.fields.items():
        for suffix, inner in _sections(field.shape):
            yield ""
            yield from _page(f"{path}.{name}{suffix}" if path else name + suffix, inner)


def _sections(place: Shape) -> Iterator[tuple[str, shape.Section]]:
    match place:
        case PolicySection():
            return
        case shape.Section():
            yield "", place
        case shape.Optional():
            yield from _sections(place.inner)
        case shape.OneOf():
            for one in place.shapes:
                yield from _sections(one)
        case shape.Items():
            for suffix, inner in _sections(place.item):
                yield f"[]{suffix}", inner
        case shape.Mapping():
            for suffix, inner in _sections(place.value):
                yield f".NAME{suffix}", inner


def tables(section: shape.Section, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """The tables of a section, whose path is "", and of those in it."""
    yield path, table(section)
    for name, field in section.fields.items():
        for suffix, inner in _sections(field.shape):
            yield from tables(inner, f"{path}.{name}{suffix}" if path else name + suffix)


def table(section: shape.Section) -> list[str]:
    """A section's keys as a table in Markdown; empty without any."""
    if not section.fields:
        return []
    rows = [_row(field) for field in section.fields.values()]
    return ["| key | takes | default | |", "| --- | --- | --- | --- |", *rows]


def _row(field: Field) -> str:
    cells = [f"`{field.name}`", _takes(field.shape), _default(field), field.description]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: Field) -> str:
    if field.default is msgspec.NODEFAULT:
        return "required"
    if field.default is msgspec.UNSET or (field.default is None and not _says_none(field)):
        return ""
    if isinstance(field.default, msgspec.Struct):
        return ""
    value = written(field.shape, field.default)
    return f"`{_show(value)}`"


def _says_none(field: Field) -> bool:
    return isinstance(field.shape, shape.Optional) and isinstance(field.shape.inner, shape.Number)


def _show(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_show(item) for item in value) + "]"
    return value or '""' if isinstance(value, str) else json.dumps(value)


def _takes(place: Shape) -> str:
    match place:
        case PolicySection():
            return "`{use: NAME}` with the policy's settings"
        case shape.Section():
            return (
                f"{_takes(place.fields[place.shorthand].shape)}, or a mapping"
                if place.shorthand
                else "a mapping"
            )
        case shape.Optional():
            return f"{_takes(place.inner)}, or `none`" if place.nullable else _takes(place.inner)
        case shape.OneOf():
            return ", or ".join(_takes(one) for one in place.shapes)
        case shape.Choice():
            return ", ".join(f"`{value}`" for value in place.values)
        case shape.Items():
            return f"a list: {_takes(place.item)}"
        case shape.Mapping():
            return f"a mapping: {_takes(place.value)}"
        case shape.Number():
            bounds = place.range()
            if place.scalar and place.most == place.scalar.most:
                bounds = f"at least {place.scalar.format(place.least)}" if place.least else ""
            named = place.scalar.name if place.scalar else place.expected
            return f"{named}, {bounds}" if bounds else named
        case shape.Text() if place.scalar is not None:
            return place.scalar.name
    return place.expected
