"""From `shop.handlers:quote` to the object of that name, with the place in the source where it cannot be."""

from __future__ import annotations

import inspect
import os
import re
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from tetrapylon.errors import LoadError

__all__ = ["REFERENCE", "load_object", "place_of"]

REFERENCE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
EXPECTED = "expected MODULE:NAME, such as shop.handlers:quote"


def load_object(reference: str) -> Any:
    """What `module:attribute` names; the working directory is searched first, as `python -m` does.

    Raises LoadError.
    """
    if REFERENCE.fullmatch(reference) is None:
        raise LoadError(f"{reference!r} names no Python object", EXPECTED)
    name, _, attribute = reference.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        value: Any = import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = "is it installed, or is this the wrong folder?"
            raise LoadError(f"there is no module {error.name}", hint) from None
        raise _raised(name, error) from error
    except (Exception, SystemExit) as error:  # whatever the user's module raises is a problem of the config
        raise _raised(name, error) from error
    seen = name
    for part in attribute.split("."):
        if not hasattr(value, part):
            close = get_close_matches(part, [each for each in dir(value) if not each.startswith("_")], 1)
            hint = f"did you mean {close[0]}?" if close else ""
            raise LoadError(f"{seen} has no attribute {part!r}", hint, place_of(value))
        value = getattr(value, part)
        seen = f"{seen}:{part}" if ":" not in seen else f"{seen}.{part}"
    return value


def place_of(value: object) -> str:
    """`FILE:LINE` of a function, class or module; empty where nothing tells it."""
    found: Any = inspect.unwrap(value) if callable(value) else value
    found = getattr(found, "__func__", found)
    code = getattr(found, "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    if not inspect.isclass(found) and not inspect.ismodule(found):
        found = type(found)
    try:
        file = inspect.getsourcefile(found)
        line = inspect.getsourcelines(found)[1]
    except (OSError, TypeError):
        return ""
    return f"{file}:{max(line, 1)}" if file else ""


def _raised(name: str, error: BaseException) -> LoadError:
    frames = traceback.extract_tb(error.__traceback__)
    at = frames[-1]
    if isinstance(error, SyntaxError) and error.filename is not None:
        return LoadError(
            f"importing {name} raised SyntaxError: {error.msg}", "", f"{error.filename}:{error.lineno}"
        )
    return LoadError(
        f"importing {name} raised {type(error).__name__}: {error}", "", f"{at.filename}:{at.lineno}"
    )
