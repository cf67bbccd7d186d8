"""JSON (RFC 8259) -> Document. The standard library's parser knows no places and lets duplicate keys pass."""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import NoReturn

from tetrapylon.config.tree import DEEPEST, Document, Mark, Node, halved
from tetrapylon.errors import ConfigError, Problem

__all__ = ["parse"]

BLANKS = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]{0,3999}))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
WORDS = {"true": True, "false": False, "null": None}
WORD = re.compile(r"true|false|null")


def parse(text: str, file: str) -> Document:
    """Raises ConfigError, with one problem: nothing after a mistake of syntax can be relied upon."""
    return Document(file, _Parser(text, file).document())


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.depth = 0
        self.lines = [0, *(found.end() for found in re.finditer("\n", text))]

    def document(self) -> Node:
        if not self.peek():
            raise ConfigError(
                [Problem(self.file, "the file is empty", hint="`tetrapylon init` writes a first one")]
            )
        root = self.value()
        if self.peek():
            self.fail("more text after the end of the value", "keep the config in one object")
        return root

    def mark(self) -> Mark:
        line = bisect_right(self.lines, self.at)
        return line, self.at - self.lines[line - 1] + 1

    def peek(self) -> str:
        """The next character that is no blank, or "" at the end."""
        self.at = BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]
        return self.text[self.at : self.at + 1]

    def value(self) -> Node:
        first, mark = self.peek(), self.mark()
        if first == '"':
            return Node(self.string(), mark)
        if first in ("{", "["):
            self.depth += 1
            if self.depth > DEEPEST:
                self.fail(f"nested deeper than {DEEPEST} levels", "flatten it")
            self.at += 1
            node = self.object(mark) if first == "{" else self.array(mark)
            self.depth -= 1
            return node
        if found := NUMBER.match(self.text, self.at):
            self.at = found.end()
            exact = found[2] is None and found[3] is None
            return Node(int(found[0]) if exact else float(found[0]), mark)
        if found := WORD.match(self.text, self.at):
            self.at = found.end()
            return Node(WORDS[found[0]], mark)
        self.fail(
            f"{first!r} begins no value" if first else "the file ends too early", "expected a JSON value"
        )

    def string(self) -> str:
        start = self.at
        try:
            value: str
            value, self.at = scanstring(self.text, start + 1, True)
        except JSONDecodeError as error:
            self.at = error.pos
            self.fail(error.msg[0].lower() + error.msg[1:], "")
        if halved(value):
            self.at = start
            self.fail("half of a surrogate pair (RFC 8259, 8.2)", "write the character itself")
        return value

    def array(self, mark: Mark) -> Node:
        items: list[Node] = []
        if self.peek() == "]":
            self.at += 1
            return Node(items, mark)
        while True:
            items.append(self.value())
            if self.separator("]"):
                return Node(items, mark)
            if self.peek() == "]":
                self.fail("a comma before `]`", "leave it out")

    def object(self, mark: Mark) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        if self.peek() == "}":
            self.at += 1
            return Node(values, mark, keys)
        while True:
            first = self.peek()
            if first != '"':
                self.fail(
                    "a comma before `}`"
                    if first == "}"
                    else f"{first!r} begins no key"
                    if first
                    else "the file ends too early",
                    "expected a key in double quotes",
                )
            where, start = self.mark(), self.at
            key = self.string()
            if key in keys:
                self.at = start
                line, column = keys[key]
                self.fail(
                    f"the key {key!r} stands here twice", f"the first is at line {line}, column {column}"
                )
            if self.peek() != ":":
                self.fail("no colon after the key", "expected `:`")
            self.at += 1
            keys[key] = where
            values[key] = self.value()
            if self.separator("}"):
                return Node(values, mark, keys)

    def separator(self, end: str) -> bool:
        """Whether the list or object ends here, rather than going on after a comma."""
        char = self.peek()
        if char not in (end, ","):
            self.fail(
                f"{char!r} where the value has ended" if char else "the file ends too early",
                f"expected `,` or `{end}`",
            )
        self.at += 1
        return char == end

    def fail(self, message: str, hint: str) -> NoReturn:
        line, column = self.mark()
        raise ConfigError([Problem(self.file, f"not JSON: {message}", line=line, column=column, hint=hint)])
