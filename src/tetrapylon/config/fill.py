"""Fills `${NAME}`, `${NAME:-default}` and `${file:PATH}` in a document's strings; `$${` stands for `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath

from tetrapylon.config.tree import UNKNOWN, Node, Path, Report

__all__ = ["fill"]

REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\})?")
NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
LARGEST_FILE = 1 << 20


class Unfilled(ValueError):
    """A reference that cannot be filled; the text is `what is wrong; what to write instead`."""


def fill(report: Report, folder: FilePath, environment: Mapping[str, str]) -> None:
    """Fills all references of the document in place. Problems go to `report`."""
    _Filler(report, folder, environment).walk(report.document.root, ())


class _Filler:
    def __init__(self, report: Report, folder: FilePath, environment: Mapping[str, str]) -> None:
        self.report = report
        self.folder = folder
        self.environment = environment
        self.done: set[int] = set()

    def walk(self, node: Node, path: Path) -> None:
        value = node.value
        if isinstance(value, str):
            if "${" in value and node.template is None:
                self.fill(node, value, path)
        elif isinstance(value, (dict, list)) and id(node) not in self.done:
            self.done.add(id(node))  # an alias shares its anchor's node
            for step, child in value.items() if isinstance(value, dict) else enumerate(value):
                self.walk(child, (*path, step))

    def fill(self, node: Node, text: str, path: Path) -> None:
        node.template = text
        try:
            node.value = REFERENCE.sub(self.replace, text)
        except Unfilled as error:
            node.value = UNKNOWN
            self.report.add_error(path, error)

    def replace(self, found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        if found[2] is None:
            raise Unfilled("`${` without its `}`; write $${ for a literal ${")
        inner = found[1]
        if inner.startswith("file:"):
            return self.read(inner.removeprefix("file:"))
        named = NAME.fullmatch(inner)
        if named is None:
            raise Unfilled(
                f"`${{{inner}}}` names no variable; expected ${{NAME}}, ${{NAME:-default}} or ${{file:PATH}}"
            )
        value = self.environment.get(named[1])
        if named[2] is not None:
            return value or str(named[2])
        if value is None:
            raise Unfilled(
                f"the environment variable {named[1]} is not set; set it, or write ${{{named[1]}:-default}}"
            )
        return value

    def read(self, name: str) -> str:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST_FILE + 1)
            if len(data) > LARGEST_FILE:
                raise Unfilled(f"the file {name} is larger than 1MiB; expected a short text")
            return data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Unfilled(f"the file {name} is not UTF-8; expected text") from None
        except (OSError, ValueError) as error:
            if isinstance(error, Unfilled):
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            raise Unfilled(f"cannot read the file {name}: {reason}; check `${{file:...}}`") from None
