"""The config room: the model, the reading of files, and the checks of meaning.

`load`, `loads`, `validate` and `override` bring the readers with them, so they are imported when used: a
worker, which is handed a checked config, gets by with `decode`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tetrapylon.config.wire import Encoded, decode, encode

if TYPE_CHECKING:
    from tetrapylon.config.loading import load, loads, override, validate

__all__ = ["Encoded", "decode", "encode", "load", "loads", "override", "validate"]


def __getattr__(name: str) -> Any:
    if name in ("load", "loads", "override", "validate"):
        from importlib import import_module

        return getattr(import_module("tetrapylon.config.loading"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
