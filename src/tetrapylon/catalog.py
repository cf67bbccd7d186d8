"""The policies: one line each, name -> class, imported when a config uses it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["POLICIES", "policy"]

POLICIES: dict[str, str] = {
    "request_id": "tetrapylon._core.policies.request_id:RequestId",
}


def policy(name: str) -> Any:
    """The class of the policy called `name`. Raises KeyError if there is none.

    Its attribute `Settings` is the msgspec Struct of its settings; without it, it has none.
    """
    module, _, attribute = POLICIES[name].partition(":")
    return getattr(import_module(module), attribute)
