"""What data is agreed to be: a type of the user's or a JSON Schema (leaf)."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from tetrapylon.config.model.base import Section, Text, doc
from tetrapylon.config.units import Scalar

__all__ = ["Agreed", "StatusKey"]

STATUS = re.compile(r"[1-5](?:\d\d|XX)|default")


class Agreed(Section, frozen=True, kw_only=True):
    """What data is: one of `type` and `schema`. A bare string is its `type`."""

    shorthand: ClassVar[str] = "type"

    type: Annotated[
        Text | None,
        doc("A type of yours, as `module:Name`: a Struct, a dataclass or another that msgspec knows."),
    ] = None
    schema: Annotated[
        Text | dict[str, Any] | None,
        doc("A JSON Schema, or the file of one, YAML or JSON, from the working directory."),
    ] = None


def _status(text: str) -> str:
    if STATUS.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no status; expected one such as 200, 4XX or default")
    return text


StatusKey = Annotated[str, Meta(extra={"scalar": Scalar("a status", _status, str, "200")})]
