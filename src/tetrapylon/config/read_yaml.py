"""YAML -> Document. PyYAML's libyaml parser gives the events; values follow YAML 1.2.

The events are read instead of composed: composing recurses in C, so a line of brackets would overflow
the stack, it lets duplicate keys pass, and it takes five times as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import yaml

from tetrapylon.config.tree import DEEPEST, LARGEST, Document, Mark, Node, scalar
from tetrapylon.errors import ConfigError, Problem

__all__ = ["parse"]

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

TAG = "tag:yaml.org,2002:"
SCALAR_TAGS = {f"{TAG}{name}" for name in ("str", "int", "float", "bool", "null")}


def parse(text: str, file: str) -> Document:
    """Raises ConfigError, with one problem: nothing after a mistake of syntax can be relied upon."""
    return Document(file, _Composer(text, file).document())


class _Anchor(NamedTuple):
    node: Node
    size: int
    height: int


class _Composer:
    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        self.anchors: dict[str, _Anchor | None] = {}
        self.seen = 0
        self.depth = 0
        self.peak = 0
        try:
            self.next = Loader(text).get_event
        except yaml.YAMLError as error:
            self.syntax(error)

    def document(self) -> Node:
        try:
            self.next()  # the stream's start
            event = self.next()
            if type(event) is yaml.StreamEndEvent:
                raise ConfigError(
                    [Problem(self.file, "the file is empty", hint="`tetrapylon init` writes a first one")]
                )
            root = self.node(self.next())
            self.next()  # the document's end
            event = self.next()
            if type(event) is not yaml.StreamEndEvent:
                self.fail("a second document begins here", "keep the config in one", _mark(event))
        except yaml.YAMLError as error:
            self.syntax(error)
        return root

    def node(self, event: Any) -> Node:
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self.alias(event)
        self.seen += 1
        start = event.start_mark
        mark = (start.line + 1, start.column + 1)
        if kind is yaml.ScalarEvent and event.anchor is None:
            return Node(self.scalar(event, mark), mark)
        if event.anchor is not None:
            self.anchors[event.anchor] = None  # unfinished: an alias to it from inside would never end
        before, peak, self.peak = self.seen, self.peak, self.depth
        if kind is yaml.ScalarEvent:
            node = Node(self.scalar(event, mark), mark)
        else:
            if event.tag not in (None, f"{TAG}map", f"{TAG}seq"):
                self.fail(f"the tag {event.tag} is not supported", "leave it out", mark)
            self.depth += 1
            self.reach(self.depth, mark)
            node = self.sequence(mark) if kind is yaml.SequenceStartEvent else self.mapping(mark)
            self.depth -= 1
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(node, self.seen - before + 1, self.peak - self.depth)
        self.peak = max(self.peak, peak)
        return node

    def reach(self, depth: int, mark: Mark) -> None:
        self.peak = max(self.peak, depth)
        if depth > DEEPEST:
            self.too_deep(mark)

    def too_deep(self, mark: Mark) -> NoReturn:
        self.fail(f"nested deeper than {DEEPEST} levels", "flatten it", mark)

    def alias(self, event: Any) -> Node:
        if event.anchor not in self.anchors:
            self.fail(
                f"the alias *{event.anchor} has no anchor",
                f"put &{event.anchor} before a value above",
                _mark(event),
            )
        anchor = self.anchors[event.anchor]
        if anchor is None:
            self.fail(f"the alias *{event.anchor} stands within its own anchor", "leave it out", _mark(event))
        self.reach(self.depth + anchor.height, _mark(event))
        self.seen += anchor.size
        if self.seen > LARGEST:
            self.fail(f"aliases expand to more than {LARGEST} values", "repeat less", _mark(event))
        return anchor.node

    def scalar(self, event: Any, mark: Mark) -> Any:
        tag = event.tag
        if tag is None:
            return event.value if event.implicit[1] else scalar(event.value)
        if tag in ("!", f"{TAG}str"):
            return event.value
        if tag not in SCALAR_TAGS:
            self.fail(f"the tag {tag} is not supported", "leave it out", mark)
        value = scalar(event.value)
        wanted = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}[tag.removeprefix(TAG)]
        if not isinstance(value, wanted):  # type: ignore[arg-type]
            self.fail(f"{event.value!r} does not fit its tag {tag}", "leave the tag out", mark)
        return value

    def sequence(self, mark: Mark) -> Node:
        items = []
        while type(event := self.next()) is not yaml.SequenceEndEvent:
            items.append(self.node(event))
        return Node(items, mark)

    def mapping(self, mark: Mark) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        merged: list[Node] = []
        while type(event := self.next()) is not yaml.MappingEndEvent:
            where = _mark(event)
            if (
                type(event) is yaml.ScalarEvent
                and event.tag is None
                and event.implicit[0]
                and event.value == "<<"
            ):
                merged += self.merge(self.node(self.next()), where)
                continue
            key = self.node(event).value
            if type(key) is not str:
                shown = event.value if type(event) is yaml.ScalarEvent else "this"
                self.fail(f"the key {shown} is not a string", "put it in quotes", where)
            if key in keys:
                line, column = keys[key]
                self.fail(
                    f"the key {key!r} stands here twice",
                    f"the first is at line {line}, column {column}",
                    where,
                )
            keys[key] = where
            values[key] = self.node(self.next())
        # Merge keys (YAML 1.1): what the mapping itself says wins, then the first source that has the key.
        for source in merged:
            for key, value in source.value.items():
                if key not in values:
                    values[key] = value
                    keys[key] = source.keys[key] if source.keys else mark
        return Node(values, mark, keys)

    def merge(self, node: Node, where: Mark) -> list[Node]:
        sources = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(source.value, dict) for source in sources):
            self.fail("`<<` merges mappings alone", "give it an alias of a mapping, or a list of them", where)
        return sources

    def syntax(self, error: yaml.YAMLError) -> NoReturn:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if mark is not None:
            context = getattr(error, "context", None)
            problem = getattr(error, "problem", None) or "this is not YAML"
            if "nesting depth" in problem:  # libyaml's own limit, met while it looks ahead of the events
                self.too_deep((mark.line + 1, mark.column + 1))
            here = "".join(self.text.split("\n")[mark.line : mark.line + 1])  # none, at the end of the text
            if here.startswith("\t", mark.column) and "token" in problem:
                self.fail("not YAML: a tab", "indent by spaces", (mark.line + 1, mark.column + 1))
            message = f"{problem} {context}" if context and context.startswith("while") else problem
            self.fail(f"not YAML: {message}", _remedy(error, message), (mark.line + 1, mark.column + 1))
        position = getattr(error, "position", None)
        if isinstance(position, int):
            before = self.text.encode()[:position].decode(errors="ignore")
            line = before.count("\n") + 1
            self.fail(
                f"not YAML: {getattr(error, 'reason', error)}", "", (line, len(before) - before.rfind("\n"))
            )
        raise ConfigError([Problem(self.file, f"not YAML: {error}")])

    def fail(self, message: str, hint: str, mark: Mark) -> NoReturn:
        raise ConfigError([Problem(self.file, message, line=mark[0], column=mark[1], hint=hint)])


def _remedy(error: yaml.YAMLError, message: str) -> str:
    """What to do about a mistake of syntax."""
    if "cannot start any token" in message:
        return "put the text in quotes"
    if "mapping values are not allowed" in message:
        return "put a text with `: ` in it in quotes, and begin each key on a line of its own"
    began = getattr(error, "context_mark", None)
    if began is None:
        return ""
    place = f"it begins at line {began.line + 1}, column {began.column + 1}"
    if "flow" in message:
        return f"{place}: close it, and put a text with any of {{ }} [ ] , in quotes"
    return f"{place}: indent all that belongs to it alike" if "block" in message else ""


def _mark(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1
