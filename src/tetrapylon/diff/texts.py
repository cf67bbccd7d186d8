"""Texts compared exactly, and told by what stands before a difference."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from tetrapylon.diff.answer import Difference
from tetrapylon.diff.forms import shape, tokens

__all__ = ["differences"]

LARGEST = 4000
"""Tokens that are compared one by one; texts of more are compared by lines."""
CONTEXT = 3
"""Tokens before a difference that name its place."""


def differences(left: str, right: str) -> Iterator[Difference]:
    if left == right:
        return
    old, new = tokens(left), tokens(right)
    if max(len(old), len(new)) > LARGEST:
        old, new = left.splitlines(keepends=True), right.splitlines(keepends=True)
    if max(len(old), len(new)) > LARGEST:
        yield Difference("body text", "text", left, right)
        return
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    matcher = SequenceMatcher(None, old[start:], new[start:], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            yield Difference(
                f"body text after {_context(old, start + i1)!r}",
                "text",
                "".join(old[start + i1 : start + i2]),
                "".join(new[start + j1 : start + j2]),
            )


def _context(old: list[str], at: int) -> str:
    before = [token for token in old[max(0, at - 4 * CONTEXT) : at] if not token.isspace()]
    return "".join(_masked(token) for token in before[-CONTEXT:])[-60:]


def _masked(token: str) -> str:
    """Data in the context would make a new place of each answer."""
    form = shape(token)
    return token if form == "text" else f"<{form}>"
