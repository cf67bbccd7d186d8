"""From the name of a config to a checked `Config`."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

import msgspec

from tetrapylon.config import formats
from tetrapylon.config.fill import Filler, templates
from tetrapylon.config.formats import FORMATS
from tetrapylon.config.include import included
from tetrapylon.config.model import Config, Listener
from tetrapylon.config.tree import Document, Node, Report
from tetrapylon.errors import ConfigError, LoadError, Problem

__all__ = ["load", "loads", "override", "validate"]

EXPECTED = "expected a .yaml, .toml or .json file, or MODULE:ATTRIBUTE"
EXPECTED_VALUE = "expected a tetrapylon.Config or tetrapylon.Tetrapylon"
ATTRIBUTE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# A config of 100,000 routes takes about 10 MiB.
LARGEST_FILE = 256 * 2**20


def load(source: str) -> Config:
    """The config that `source` names, complete and checked.

    `source` is a `.yaml`, `.toml` or `.json` file, or `module:attribute` naming a `Config`. Raises
    ConfigError with all that is wrong with it.
    """
    return load_document(source)[0]


def load_document(source: str) -> tuple[Config, Document]:
    """As `load`, with the places of what was read."""
    if FilePath(source).suffix not in FORMATS and ATTRIBUTE.fullmatch(source):
        return _validate(_attribute(source), source)
    return _read_text(_text(source), source)


def loads(text: str, source: str) -> Config:
    """As `load`, of the text of a file called `source`, whose ending names its format."""
    return _read_text(text, source)[0]


def _read_text(text: str, source: str) -> tuple[Config, Document]:
    referring: set[str] = set()

    def parse(text: str, file: str) -> Document:
        if "${" in text:
            referring.add(file)
        return formats.parse(text, file)

    with _uncollected():
        report = Report(parse(text, source))
        with report.document.named():
            filler = Filler(report, os.environ)
            top = report.document.root
            if referring:
                filler.fill(top, ())
            if isinstance(top.value, dict) and "include" in top.value:
                for node, path in included(report, lambda file: parse(_text(file), file)):
                    if node.file in referring:
                        filler.fill(node, path)
            return _read(report), report.document


def from_values(values: Mapping[str, Any], source: str) -> tuple[Config, Document]:
    """A config of plain values, as a file would have them; None is a key that is left out."""
    with _uncollected():
        report = Report(Document(source, _native(_without_none(values)), native=True))
        return _read(report), report.document


def validate(config: Config, source: str = "config") -> Config:
    """A config built in Python, checked as a file is: its numbers may do without units."""
    return _validate(config, source)[0]


def _validate(config: Config, source: str) -> tuple[Config, Document]:
    try:
        values = msgspec.to_builtins(config)
    except (TypeError, ValueError) as error:
        raise ConfigError([Problem(source, f"a value has no place in a config: {error}")]) from None
    for name in ("files", "patterns", "filled"):
        values.pop(name, None)
    for route in values.get("routes", ()):
        route.pop("at", None)
    if config.apps:
        from tetrapylon.config.apps import without_apps

        without_apps(values, config)
    with _uncollected():
        report = Report(Document(source, _native(values), native=True))
        checked = msgspec.structs.replace(
            _read(report), files=config.files, patterns=config.patterns, filled=config.filled
        )
    return checked, report.document


def override(config: Config, *, listen: Sequence[str] = (), workers: int | None = None) -> Config:
    """A checked config with what the command line says in place of its own, where that is not empty.

    Raises ConfigError.
    """
    if not listen and workers is None:
        return config
    server = config.server
    if listen:
        server = msgspec.structs.replace(
            server, listen=tuple(Listener(address=address) for address in listen)
        )
    if workers is not None:
        server = msgspec.structs.replace(server, workers=workers)
    # The routes were checked already; only what was replaced, and what it may clash with, needs a look.
    checked = validate(Config(server=server, admin=config.admin), "the command line")
    return msgspec.structs.replace(config, server=checked.server)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keeps the garbage collector off a large tree without cycles: its passes take a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(report: Report) -> Config:
    import tetrapylon.config.policies  # noqa: F401 (registers how a policy's entry is read)
    from tetrapylon.config.check import check
    from tetrapylon.config.shape import section

    document = report.document
    if not isinstance(document.root.value, dict):
        report.add((), "expected a mapping at the top", "begin with a key such as `routes:`")
        raise ConfigError(report.problems)
    config: Config = section(Config).read(document.root, (), report)
    routes = tuple(
        msgspec.structs.replace(route, at=_at(document, index))
        if isinstance(route, msgspec.Struct)
        else route
        for index, route in enumerate(config.routes)
    )
    filled = templates(document.root) if report.filled else {}
    config = msgspec.structs.replace(
        config,
        routes=routes,
        files=tuple(document.files),
        patterns=tuple(document.patterns),
        filled=filled,
    )
    if config.apis:
        from tetrapylon.config.apis import with_apis

        config = with_apis(config, report)
    if config.apps or any(getattr(route, "app", None) is not None for route in config.routes):
        from tetrapylon.config.apps import with_apps

        config = with_apps(config, report)
    check(config, report)
    report.raise_if_any()
    if config.docs is not None:
        from tetrapylon.config.code import with_docs

        config = with_docs(config)
        check(config, report)
        report.raise_if_any()
    # What was included is there; what is loaded once more, as by `embed`, has nothing left to include.
    return msgspec.structs.replace(config, include=())


def _at(document: Document, index: int) -> str:
    place = document.place(("routes", index))
    return str(place) if place.mark else f"{place.file}:routes[{index}]"


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, (list, tuple)) else value


def _native(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Node({str(key): _native(child) for key, child in value.items()}, None)
    if isinstance(value, (list, tuple)):
        return Node([_native(child) for child in value], None)
    return Node(value, None)


def _text(source: str) -> str:
    path = FilePath(source)
    if path.suffix not in FORMATS:
        raise ConfigError([Problem(source, "the name does not say its format", hint=EXPECTED)])
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        hint = "check the name, or write a first one with `tetrapylon init`"
        raise ConfigError([Problem(source, "no such file", hint=hint)]) from None
    except IsADirectoryError:
        raise ConfigError([Problem(source, "this is a directory", hint=EXPECTED)]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError([Problem(source, f"cannot be read: {reason}")]) from None
    if len(data) > LARGEST_FILE:
        raise ConfigError([Problem(source, f"larger than {LARGEST_FILE // 2**20}MiB")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        problem = Problem(source, "not UTF-8", line=line, column=column, hint="save the file as UTF-8 text")
        raise ConfigError([problem]) from None


def _attribute(source: str) -> Config:
    from tetrapylon.code.load import load_object

    try:
        value = load_object(source)
    except LoadError as error:
        if isinstance(error.__cause__, ConfigError):
            raise error.__cause__ from None
        message = error.message + (f" ({error.where})" if error.where else "")
        raise ConfigError([Problem(source, message, hint=error.hint)]) from error.__cause__
    if hasattr(value, "__tetrapylon_config__"):
        value = value.__tetrapylon_config__(source)
    if not isinstance(value, Config):
        kind = type(value).__name__
        raise ConfigError([Problem(source, f"this is of type {kind}", hint=EXPECTED_VALUE)])
    return value
