"""How JSON is rewritten (leaf)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from tetrapylon.config.json_path import JsonPath
from tetrapylon.config.model.base import Section, Text, doc

__all__ = ["Change"]


class Change(Section, frozen=True, kw_only=True):
    """What becomes of a JSON body, in this order. Paths go through arrays into each item."""

    pick: Annotated[tuple[JsonPath, ...], doc("The fields that stay, by path; all when left out.")] = ()
    drop: Annotated[tuple[JsonPath, ...], doc("Fields that go.")] = ()
    rename: Annotated[dict[JsonPath, Text], doc("New names of fields, by path.")] = {}  # noqa: RUF012
    default: Annotated[
        dict[JsonPath, Any], doc("Values of fields that are missing, by path, after they were renamed.")
    ] = {}  # noqa: RUF012
    template: Annotated[
        Any | UnsetType,
        doc(
            "The body, made anew: `{path}` as a whole string is the value there, or null; within a string its"
            " text. Braces are written `{{` and `}}`."
        ),
    ] = UNSET
    wrap: Annotated[Text | None, doc("The name of a member of a new object that it all goes into.")] = None
