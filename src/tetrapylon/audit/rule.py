"""What a rule is, and the table of them (leaf)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from tetrapylon.config.model import Config
    from tetrapylon.config.tree import Path

__all__ = ["RULES", "SEVERITIES", "Found", "Rule", "Severity", "rule"]

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""

Found = Iterator[tuple["Path", str]]
"""The path of what is objected to, and what is the matter with it."""

Look = Callable[["Config"], Found]


class Rule(NamedTuple):
    """`id` is what comments and reports call it; `look` finds what it objects to."""

    id: str
    severity: Severity
    title: str
    why: str
    fix: str
    look: Look


RULES: dict[str, Rule] = {}
"""By id, in the order in which they are documented."""


def rule(id: str, severity: Severity, *, why: str, fix: str) -> Callable[[Look], Look]:
    """Puts a function into the table; its docstring is the rule's title."""

    def register(look: Look) -> Look:
        assert id not in RULES, f"two rules are called {id}"
        title = (look.__doc__ or "").strip().removesuffix(".")
        RULES[id] = Rule(id, severity, title, why, fix, look)
        return look

    return register
