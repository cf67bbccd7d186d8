"""Texts with `{name}` in them: a parameter of the path, or what another part of an aggregate answered."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tetrapylon._core.http.template import pieces

__all__ = ["expand", "fields", "split"]

PIECE = re.compile(r"([^{}]+)|\{([^{}]*)\}")


def split(text: str) -> tuple[tuple[str, bool], ...]:
    """The pieces of `text` in order, each with whether it names a parameter.

    Raises ValueError for a stray brace and for what is no name.
    """
    pieces, end = [], 0
    while end < len(text):
        found = PIECE.match(text, end)
        if found is None:
            raise ValueError(f"a stray brace in {text!r}; a parameter is written {{name}}")
        if found[1] is None and not found[2].isidentifier():
            raise ValueError(
                f"{found[0]} in {text!r} names no parameter; a parameter is written {{name}}, without a type"
            )
        pieces.append((found[1] or found[2], found[1] is None))
        end = found.end()
    return tuple(pieces)


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with its parameters filled in. Raises KeyError for one that has no value."""
    return "".join(values[piece] if named else piece for piece, named in split(text))


def fields(path: str) -> list[tuple[str, str]]:
    """The fields of other parts that a part's path stands on: the part, and how the path writes them.

    Raises ValueError for what is no template.
    """
    found = (name for _, name in pieces(path) if name is not None and "." in name and ":" not in name)
    return [(name.partition(".")[0], name) for name in dict.fromkeys(found)]
