"""Fills `${NAME}`, `${NAME:-default}` and `${file:PATH}` in a document's strings; `$${` stands for `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath

from tetrapylon.config.tree import UNKNOWN, Node, Path, Report, halved, render_path

__all__ = ["Filler", "templates"]

REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\})?")
NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
LARGEST_FILE = 1 << 20


class Unfilled(ValueError):
    """A reference that cannot be filled; the text is `what is wrong; what to write instead`."""


def templates(root: Node) -> dict[str, str]:
    """What was filled in below `root`: the path of each value, and the text that stands there for it."""
    found: dict[str, str] = {}

    def walk(node: Node, path: Path) -> None:
        value = node.value
        if node.template is not None:
            found[render_path(path)] = node.template
        elif isinstance(value, dict):
            for key, child in value.items():
                walk(child, (*path, key))
        elif isinstance(value, list):
            for index, child in enumerate(value):
                walk(child, (*path, index))

    walk(root, ())
    return found


def without_default(found: re.Match[str]) -> str:
    """A reference as messages show it: its default may be as secret as its value."""
    return found[0] if found[2] is None else f"${{{found[1].partition(':-')[0]}}}"


class Filler:
    """Fills all references of a document in place.

    Relative file names start at the folder of the file that names them. Problems go to `report`, and so do
    the texts filled in, for messages to leave out.
    """

    def __init__(self, report: Report, environment: Mapping[str, str]) -> None:
        self.report = report
        self.folder = FilePath()
        self.environment = environment
        self.done: set[int] = set()

    def fill(self, node: Node, path: Path) -> None:
        """Fills the references in what stands at `path`, and below it."""
        file = self.report.document.place(path).file
        self.folder = FilePath(file).parent
        self.walk(node, path)

    def walk(self, node: Node, path: Path) -> None:
        value = node.value
        if isinstance(value, str):
            if "${" in value and id(node) not in self.done:
                self.done.add(id(node))  # an alias shares its anchor's node
                self.fill_text(node, value, path)
        elif isinstance(value, (dict, list)) and id(node) not in self.done:
            self.done.add(id(node))
            for step, child in value.items() if isinstance(value, dict) else enumerate(value):
                self.walk(child, (*path, step))

    def fill_text(self, node: Node, text: str, path: Path) -> None:
        if all(found[0] == "$${" for found in REFERENCE.finditer(text)):
            node.value = text.replace("$${", "${")
            return
        node.template = REFERENCE.sub(without_default, text)
        try:
            node.value = REFERENCE.sub(self.replaced, text)
        except Unfilled as error:
            node.value = UNKNOWN
            self.report.add_error(path, error)
            return
        self.report.filled[node.value] = node.template

    def replaced(self, found: re.Match[str]) -> str:
        value = self.replace(found)
        if found[0] != "$${":
            self.report.filled[value] = without_default(found)
        return value

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
        if value is not None and halved(value):
            raise Unfilled(f"the environment variable {named[1]} is not UTF-8; expected text")
        if named[2] is not None:
            return value or str(named[2])
        if value is None:
            raise Unfilled(
                f"the environment variable {named[1]} is not set; set it, or write ${{{named[1]}:-default}}"
            )
        return value

    def read(self, name: str) -> str:
        path = self.folder / name
        self.report.document.files.append(str(path))
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
