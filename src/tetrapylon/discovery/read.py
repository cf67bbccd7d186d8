"""What a registry says -> targets, with every mistake told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tetrapylon.config.model import Target
from tetrapylon.config.shape import FAILED, Items, section
from tetrapylon.config.tree import Document, Node, Report
from tetrapylon.errors import ConfigError, Problem

__all__ = ["MOST", "checked", "read_targets"]

MOST = 10_000
"""Targets that a registry may name."""


def checked(found: Iterable[Any], source: str) -> tuple[Target, ...]:
    """Targets as a class of Python's gives them. Raises ConfigError."""
    nodes = []
    for each in found:
        if isinstance(each, str):
            nodes.append(Node(each, None))
        elif isinstance(each, Target):
            fields = msgspec.to_builtins(each)
            nodes.append(Node({name: Node(value, None) for name, value in fields.items()}, None))
        else:
            what = f"a target of type {type(each).__name__}"
            raise ConfigError([Problem(source, what, hint="expected a URL or a tetrapylon.Target")])
    return read_targets(Document(source, Node(nodes, None), native=True))


def read_targets(document: Document) -> tuple[Target, ...]:
    """A list of targets, or a mapping with one under `targets`. Raises ConfigError with places."""
    report = Report(document)
    root, path = document.root, ()
    if isinstance(root.value, dict) and "targets" in root.value:
        unknown = sorted(root.value.keys() - {"targets"})
        if unknown:
            report.add((unknown[0],), "unknown key", "expected targets", key=True)
        root, path = root.value["targets"], ("targets",)  # type: ignore[assignment]
    targets = Items(section(Target)).read(root, path, report)
    if targets is not FAILED and not report.problems:
        seen: set[str] = set()
        for index, target in enumerate(targets):
            if target.url in seen:
                report.add((*path, index), f"{target.url} is listed twice", "give it a weight instead")
            seen.add(target.url)
        if len(targets) > MOST:
            report.add(path, f"{len(targets)} targets", f"expected {MOST} at most")
    report.raise_if_any()
    found: tuple[Target, ...] = targets
    return found
