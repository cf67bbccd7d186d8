"""Where a view stands in the source."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from tetrapylon.code.load import place_of
from tetrapylon.migrate.inventory import Place

__all__ = ["place"]


def place(view: Any) -> Place:
    """Of a function, method, class or object; decorators that say what they wrap are seen through."""
    while isinstance(view, functools.partial):
        view = view.func
    found: Any = inspect.unwrap(view) if callable(view) else view
    found = getattr(found, "__func__", found)
    if not hasattr(found, "__qualname__"):
        found = type(found)
    file, _, line = place_of(found).rpartition(":")
    ref = f"{found.__module__}:{found.__qualname__}"
    return Place(ref, file, int(line)) if file else Place(ref)
