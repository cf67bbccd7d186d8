"""Texts with variables of the exchange in them: header values, targets, locations, keys."""

from collections.abc import Collection, Iterable

from typing_extensions import disjoint_base

def pieces(text: str) -> list[tuple[str, None] | tuple[None, str]]:
    """What a template consists of: (text, None) for what stands as it is, (None, name) for a variable.

    `{{` and `}}` are braces. Raises ValueError for a stray brace, and for what can be no name.
    """

def unknown(
    text: str, parameters: Collection[str], groups: Iterable[str] = ...
) -> tuple[str, list[str]] | None:
    """The first name that means nothing on a route with these parameters, and all that would, or None.

    Raises ValueError as `pieces`.
    """

@disjoint_base
class Template:
    """A template, compiled; expanding it is for the compiled plane."""

    def __init__(self, text: str, parameters: Iterable[str] = ..., groups: Iterable[str] = ...) -> None:
        """`parameters` of the route's path and `groups` of a regular expression, in order.

        A variable wins over a parameter of its name, which is then written `{param:NAME}`; a group over both.
        Raises ValueError for what is no template, and for names that mean nothing.
        """
    @property
    def text(self) -> str: ...
    def add(
        self, literal: str | None, name: str | None, parameters: list[str], groups: list[str]
    ) -> None: ...
