"""A config as written: values with the places they stand at, whatever the format (leaf)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from tetrapylon.errors import ConfigError, Problem

__all__ = [
    "DEEPEST",
    "LARGEST",
    "UNKNOWN",
    "Document",
    "Mark",
    "Node",
    "Path",
    "Place",
    "Report",
    "halved",
    "render_path",
    "scalar",
    "show",
]

Mark = tuple[int, int]
"""Line and column, both from 1."""

Path = tuple[str | int, ...]
"""Keys and list indexes from the root to a value."""

DEEPEST = 64
"""Levels of nesting a document may have; far more than any config needs, far fewer than a stack holds."""

LARGEST = 2_000_000
"""Values a document may have once its aliases are followed, so that a few lines cannot fill the memory."""


SHORTEST_VEILED = 3
"""A text that was filled in and is shorter than this stays in messages: replacing it would garble them."""

UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda self: "UNKNOWN"})()
"""The value of a Node that could not be filled in; the problem is in the report already."""


class Node:
    """A value and its place.

    `value` is a scalar, a list of Nodes, or a dict of them; `keys` then has the place of each key. `template`
    is the text with its `${...}` where the value was filled in from elsewhere, which messages must not show.
    `file` is the file that it and all below it stand in, where that is not the document's own.
    """

    __slots__ = ("file", "keys", "mark", "template", "value")

    def __init__(self, value: Any, mark: Mark | None, keys: dict[str, Mark] | None = None) -> None:
        self.value = value
        self.mark = mark
        self.keys = keys
        self.template: str | None = None
        self.file: str | None = None


class Place(NamedTuple):
    """Where something stands; `mark` is None in what was built in Python."""

    file: str
    mark: Mark | None

    def __str__(self) -> str:
        return f"{self.file}:{self.mark[0]}" if self.mark else self.file


class Document:
    """A whole tree, and the name of its source in messages. `native` says it was built in Python.

    `files` are all that were read for it; `patterns` are for those that may come, each as `glob` takes it.
    """

    __slots__ = ("file", "files", "native", "patterns", "root")

    def __init__(self, file: str, root: Node, *, native: bool = False) -> None:
        self.file = file
        self.root = root
        self.native = native
        self.files: list[str] = [] if native else [file]
        self.patterns: list[str] = []

    @contextmanager
    def named(self) -> Iterator[None]:
        """A ConfigError that is raised meanwhile says which files it is about."""
        try:
            yield
        except ConfigError as error:
            error.files, error.patterns = tuple(self.files), tuple(self.patterns)
            raise

    def find(self, path: Path) -> Node:
        """The Node at `path`, or the nearest one above that exists."""
        return self._walk(path)[0]

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where `path` stands: its value, or with `key` its key."""
        node, file = self._walk(path)
        if key and path:
            keys = self.find(path[:-1]).keys
            if keys is not None and path[-1] in keys:
                return Place(file, keys[str(path[-1])])
        return Place(file, node.mark)

    def _walk(self, path: Path) -> tuple[Node, str]:
        node, file = self.root, self.file
        for step in path:
            value = node.value
            steps = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
            if step not in steps:
                break
            node = value[step]
            file = node.file or file
        return node, file


class Report:
    """Collects the problems of one document.

    `filled` has what was filled in from elsewhere, and the template of each: messages show the latter.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.filled: dict[str, str] = {}
        self._touched: set[Path] = set()
        self._refused: set[Path] = set()

    def add(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Notes that the value (or with `key`, the key) at `path` is wrong."""
        file, mark = self.document.place(path, key=key)
        line, column = mark or (None, None)
        if self.filled:
            message, hint = self._veil(message), self._veil(hint)
        self.problems.append(
            Problem(file, message, line=line, column=column, path=render_path(path), hint=hint)
        )
        if key and path:
            self._refused.add(path[:-1])
        self._touched.update(path[:end] for end in range(len(path) + 1))

    def _veil(self, text: str) -> str:
        for value in sorted(self.filled, key=len, reverse=True):
            if len(value) >= SHORTEST_VEILED:
                text = text.replace(value, self.filled[value])
        return text

    def add_error(self, path: Path, error: ValueError, *, key: bool = False) -> None:
        """Notes an error whose text is `what is wrong; what to write instead`."""
        message, _, hint = str(error).partition("; ")
        self.add(path, message, hint, key=key)

    def touched(self, path: Path) -> bool:
        """Whether a problem was found at `path` or below it."""
        return path in self._touched

    def refused(self, path: Path) -> bool:
        """Whether a key of the mapping at `path` was refused, so that what seems to lack may be there."""
        return path in self._refused

    def raise_if_any(self) -> None:
        if self.problems:
            raise ConfigError(self.problems)


SURROGATE = re.compile("[\ud800-\udfff]")


def halved(text: str) -> bool:
    """Whether it holds half of a UTF-16 pair, or a byte that was no UTF-8: what cannot be encoded."""
    return not text.isascii() and SURROGATE.search(text) is not None


PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def render_path(path: Path) -> str:
    """`routes[3].upstream`, `upstreams["a b"].targets[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
WORDS: Mapping[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
FIRST = frozenset("+-.0123456789")
# Python refuses to read an integer of more digits (sys.set_int_max_str_digits).
LONGEST_INTEGER = 4000


def scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar by YAML 1.2's core schema (10.3.2)."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in FIRST:
        return text
    if INTEGER.fullmatch(text) and len(text) < LONGEST_INTEGER:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base) if base != 10 else int(text)
    if FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def show(node: Node, *, bare: bool = False) -> str:
    """A node's value for a message; what was filled in from elsewhere may be secret and is not shown."""
    value = node.value
    if node.template is not None:
        return f"the value of {node.template}"
    if isinstance(value, str):
        short = value if len(value) <= 60 else value[:57] + "..."
        return short if bare else repr(short)
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
