"""From the name of a config to a checked `Config`."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path as FilePath
from typing import Any

import msgspec

from tetrapylon.config.model import Config, Listener
from tetrapylon.config.tree import Document, Node, Report
from tetrapylon.errors import ConfigError, Problem

__all__ = ["load", "loads", "override", "validate"]

FORMATS = {".yaml": "read_yaml", ".yml": "read_yaml", ".toml": "read_toml", ".json": "read_json"}
EXPECTED = "expected a .yaml, .toml or .json file, or MODULE:ATTRIBUTE"
ATTRIBUTE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# A config of 100,000 routes takes about 10 MiB.
LARGEST_FILE = 256 * 2**20


def load(source: str) -> Config:
    """The config that `source` names, complete and checked.

    `source` is a `.yaml`, `.toml` or `.json` file, or `module:attribute` naming a `Config`. Raises
    ConfigError with all that is wrong with it.
    """
    if FilePath(source).suffix not in FORMATS and ATTRIBUTE.fullmatch(source):
        return validate(_attribute(source), source)
    return loads(_text(source), source)


def loads(text: str, source: str) -> Config:
    """As `load`, of the text of a file called `source`, whose ending names its format."""
    # Each format is imported when met: YAML alone takes 20 ms.
    reader = import_module(f"{__package__}.{FORMATS[FilePath(source).suffix]}")
    with _uncollected():
        report = Report(reader.parse(text, source))
        if "${" in text:
            from tetrapylon.config.fill import fill

            fill(report, FilePath(source).parent, os.environ)
        return _read(report)


def validate(config: Config, source: str = "config") -> Config:
    """A config built in Python, checked as a file is: its numbers may do without units."""
    try:
        values = msgspec.to_builtins(config)
    except (TypeError, ValueError) as error:
        raise ConfigError([Problem(source, f"a value has no place in a config: {error}")]) from None
    with _uncollected():
        return _read(Report(Document(source, _native(values), native=True)))


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
    config = msgspec.structs.replace(config, routes=routes)
    check(config, report)
    report.raise_if_any()
    return config


def _at(document: Document, index: int) -> str:
    mark = document.place(("routes", index))
    return f"{document.file}:{mark[0]}" if mark else f"{document.file}:routes[{index}]"


def _native(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Node({str(key): _native(child) for key, child in value.items() if key != "at"}, None)
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
    import sys

    module, _, attribute = source.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does
    try:
        value: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            hint = "is it installed, or is this the wrong folder?"
            raise ConfigError([Problem(source, f"there is no module {error.name}", hint=hint)]) from None
        raise ConfigError([Problem(source, _raised(module, error))]) from error
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's module raises is a problem of the config
        raise ConfigError([Problem(source, _raised(module, error))]) from error
    for name in attribute.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise ConfigError([Problem(source, f"{module} has no attribute {name!r}")]) from None
    if not isinstance(value, Config):
        kind = type(value).__name__
        raise ConfigError([Problem(source, f"this is of type {kind}", hint="expected a tetrapylon.Config")])
    return value


def _raised(module: str, error: BaseException) -> str:
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"importing {module} raised {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
