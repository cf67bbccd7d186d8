"""TOML -> Document. `tomllib` gives the values, a second pass over the text, valid by then, the places."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Any

from tetrapylon.config.tree import DEEPEST, Document, Mark, Node
from tetrapylon.errors import ConfigError, Problem

__all__ = ["parse"]

GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BLANKS = re.compile(r"[ \t]*")
BARE = re.compile(r"[A-Za-z0-9_-]+")
STRING = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3,5}(?!\")|'{3}.*?'{3,5}(?!')|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""", re.DOTALL
)
# A date and its time may be parted by a blank, so that only these end a value.
OTHER = re.compile(r"[^,\]}#\n]+")


def parse(text: str, file: str) -> Document:
    """Raises ConfigError, with one problem: nothing after a mistake of syntax can be relied upon."""
    text = text.replace("\r\n", "\n")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line, column = _where(str(error), text)
        raise ConfigError([Problem(file, f"not TOML: {message}", line=line, column=column)]) from None
    except RecursionError:
        raise ConfigError(
            [Problem(file, f"nested deeper than {DEEPEST} levels", hint="flatten it")]
        ) from None
    if not values:
        raise ConfigError([Problem(file, "the file is empty", hint="`tetrapylon init` writes a first one")])
    root = _tree(values, file, 0)
    root.mark = (1, 1)
    _Places(text).mark_all(root)
    return Document(file, root)


def _where(text: str, source: str) -> tuple[str, int, int]:
    found = re.fullmatch(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", text, re.DOTALL)
    if found is None:
        return text, 1, 1
    message = found[1][:1].lower() + found[1][1:]
    if found[2] is None:
        return f"{message} at the end of the file", source.count("\n") + 1, len(source) - source.rfind("\n")
    return message, int(found[2]), int(found[3])


def _tree(value: Any, file: str, depth: int) -> Node:
    if depth > DEEPEST:
        raise ConfigError([Problem(file, f"nested deeper than {DEEPEST} levels", hint="flatten it")])
    if isinstance(value, dict):
        return Node({key: _tree(child, file, depth + 1) for key, child in value.items()}, None, {})
    if isinstance(value, list):
        return Node([_tree(child, file, depth + 1) for child in value], None)
    return Node(value, None)


class _Places:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self.tables: dict[int, int] = {}
        """How many tables of each array of tables were met, by the array's identity."""

    def mark(self) -> Mark:
        line = bisect_right(self.lines, self.at)
        return line, self.at - self.lines[line - 1] + 1

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise AssertionError(f"tomllib took what this pass does not know, at offset {self.at}")
        self.at = found.end()

    def char(self) -> str:
        self.skip(GAP)
        return self.text[self.at : self.at + 1]

    def mark_all(self, root: Node) -> None:
        table = root
        while char := self.char():
            if char == "[":
                table = self.header(root)
            else:
                self.pair(table)

    def header(self, root: Node) -> Node:
        start = self.mark()
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        *parents, (last, mark) = self.key()
        self.at += 2 if array else 1
        table = self.descend(root, parents)
        assert table.keys is not None
        table.keys.setdefault(last, mark)
        node: Node = table.value[last]
        if node.mark is None:
            node.mark = start
        if array:
            index = self.tables[id(node)] = self.tables.get(id(node), 0) + 1
            node = node.value[index - 1]
            node.mark = start
        return node

    def descend(self, table: Node, parents: list[tuple[str, Mark]]) -> Node:
        for part, mark in parents:
            assert table.keys is not None
            table.keys.setdefault(part, mark)
            table = table.value[part]
            if table.mark is None:
                table.mark = mark
            if isinstance(table.value, list):
                table = table.value[self.tables[id(table)] - 1]
        return table

    def key(self) -> list[tuple[str, Mark]]:
        parts = []
        while True:
            self.skip(BLANKS)
            mark, start = self.mark(), self.at
            if self.text[start] in "\"'":
                self.skip(STRING)
                raw = self.text[start : self.at]
                part = tomllib.loads(f"k = {raw}")["k"] if "\\" in raw else raw[1:-1]
            else:
                self.skip(BARE)
                part = self.text[start : self.at]
            parts.append((part, mark))
            self.skip(BLANKS)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def pair(self, table: Node) -> None:
        *parents, (last, mark) = self.key()
        self.at += 1  # the equals sign
        table = self.descend(table, parents)
        assert table.keys is not None
        table.keys[last] = mark
        self.value(table.value[last])

    def value(self, node: Node) -> None:
        char = self.char()
        node.mark = self.mark()
        if char == "[":
            self.at += 1
            for child in node.value:
                self.value(child)
                if self.char() == ",":
                    self.at += 1
            self.char()
            self.at += 1
        elif char == "{":
            self.at += 1
            while self.char() != "}":
                self.pair(node)
                if self.char() == ",":
                    self.at += 1
            self.at += 1
        elif char in "\"'":
            self.skip(STRING)
        else:
            self.skip(OTHER)
