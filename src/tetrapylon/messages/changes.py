"""What is wrong with how JSON is to be rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import UNSET

from tetrapylon.config.changes import Change
from tetrapylon.config.edits import edit_problems

__all__ = ["problems"]

Found = tuple[tuple[str | int, ...], str, str]


def problems(change: Change, pieces: Callable[[str], Any]) -> Iterator[Found]:
    """Where, what, and what to do instead; `pieces` reads a string of a template."""
    if change == Change():
        yield (), "nothing is rewritten", "give pick, drop, rename, default, template or wrap"
    yield from edit_problems(change.pick, change.drop, change.rename)
    if change.template is not UNSET:
        yield from _template(change.template, ("template",), pieces)


def _template(value: Any, path: tuple[str | int, ...], pieces: Callable[[str], Any]) -> Iterator[Found]:
    if isinstance(value, str):
        try:
            pieces(value)
        except ValueError as error:
            what, _, hint = str(error).partition("; ")
            yield path, what, hint
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _template(each, (*path, name), pieces)
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _template(each, (*path, index), pieces)
