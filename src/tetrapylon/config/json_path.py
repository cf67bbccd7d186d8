"""Paths into JSON as a config writes them: `address.city` (leaf)."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from tetrapylon.config.units import Scalar

__all__ = ["JsonPath", "names"]

DOT = re.compile(r"(?<!\\)\.")


def names(path: str) -> list[str]:
    """The names that a path consists of; a dot in a name is written `\\.`."""
    return [step.replace("\\.", ".") for step in DOT.split(path)]


def _json_path(text: str) -> str:
    if not all(names(text)):
        raise ValueError(f"{text!r} has an empty name; expected one such as address.city")
    if text.startswith("$") or "[" in text:
        raise ValueError(
            f"{text!r} is no path here; expected names with dots between, such as address.city; a path goes"
            " through arrays by itself"
        )
    return text


JsonPath = Annotated[str, Meta(extra={"scalar": Scalar("a path", _json_path, str, "address.city")})]
