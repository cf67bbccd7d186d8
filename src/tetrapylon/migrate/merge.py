"""A further run: new routes into a file that people have edited, of which all else stays to the byte."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from tetrapylon.errors import ConfigError, Problem, UsageError
from tetrapylon.migrate.inventory import Inventory
from tetrapylon.migrate.propose import flow
from tetrapylon.migrate.render import REST, Entry, block, marked, shape

__all__ = ["Merged", "merge"]

MARK = re.compile(
    r" *# \[(?P<state>legacy|shadow|canary|moved|vanished)\] (?P<methods>\S+) (?P<rule>.+?) -> .*"
)


@dataclass
class Merged:
    text: str
    added: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)


@dataclass
class _Mark:
    line: int
    methods: set[str]
    rule: str
    state: str


def merge(
    text: str, file: str, target: str, app: str, inventory: Inventory, found: list[Entry], root: str
) -> Merged:
    """Raises ConfigError for a file that is no config with routes one below the other."""
    try:
        tree = yaml.compose(text, Loader=yaml.CSafeLoader)
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark
        raise ConfigError(
            [
                Problem(
                    file,
                    str(error.problem),
                    line=at.line + 1 if at else None,
                    column=at.column + 1 if at else None,
                )
            ]
        ) from None
    routes = _member(tree, "routes")
    if not isinstance(routes, yaml.SequenceNode) or routes.flow_style or not routes.value:
        mark = routes.start_mark if routes is not None else None
        raise ConfigError(
            [
                Problem(
                    file,
                    "there are no routes one below the other to add to",
                    path="routes",
                    line=mark.line + 1 if mark else None,
                    column=mark.column + 1 if mark else None,
                    hint="write them as a list, `- {path: ..., app: ...}` each on a line of its own",
                )
            ]
        )
    lines = text.split("\n")
    marks = [
        _Mark(number, set(match["methods"].split(",")), match["rule"], match["state"])
        for number, line in enumerate(lines)
        if (match := MARK.fullmatch(line.rstrip("\r")))
    ]
    app, declared = _app(tree, data, file, target, app, inventory)
    items = [(node.start_mark.line, raw) for node, raw in zip(routes.value, data["routes"], strict=True)]
    result = Merged(text)
    changed: dict[int, str] = {}
    for mark in marks:
        raw = next(
            (
                raw
                for line, raw in items
                if line > mark.line and not any(mark.line < other.line < line for other in marks)
            ),
            None,
        )
        entry = next(
            (each for each in found if mark.rule in each.rules and _overlap(mark.methods, each.methods)),
            None,
        )
        if entry is None:
            state = "vanished"
            result.vanished.append(f"{','.join(sorted(mark.methods))} {mark.rule}")
        else:
            state = _state(raw) if raw is not None else mark.state
        result.states[state] = result.states.get(state, 0) + 1
        line = lines[mark.line]
        if entry is None:
            changed[mark.line] = line.replace(f"[{mark.state}]", f"[{state}]", 1)
        elif mark.rule == entry.rule:
            new = marked(entry, state, root).partition(" -> ")[2]
            known = line.partition(" -> ")[0].replace(f"[{mark.state}]", f"[{state}]", 1)
            changed[mark.line] = f"{known} -> {new}"
        else:
            changed[mark.line] = line.replace(f"[{mark.state}]", f"[{state}]", 1)
    new_lines: list[str] = []
    indent = " " * routes.start_mark.column
    for entry in found:
        missing = _missing(entry, marks, [raw for _, raw in items])
        if missing is None:
            continue
        entry.methods = missing
        result.added.append(f"{','.join(missing) or 'any'} {entry.rule}")
        result.states["legacy"] = result.states.get("legacy", 0) + 1
        new_lines += block(entry, app, root, indent)
    for number, line in changed.items():
        lines[number] = line + ("\r" if lines[number].endswith("\r") and not line.endswith("\r") else "")
    if new_lines:
        line_of_new = _insert_at(lines, items)
        lines[line_of_new:line_of_new] = new_lines
    out = "\n".join(lines)
    if not declared:
        out = out.rstrip("\n") + f"\n\napps:\n  {app}: {flow({inventory.interface: target})}\n"
    result.text = out
    _same(data, out)
    return result


def _member(tree: Any, name: str) -> Any:
    if not isinstance(tree, yaml.MappingNode):
        return None
    return next((value for key, value in tree.value if key.value == name), None)


def _app(tree: Any, data: Any, file: str, target: str, app: str, inventory: Inventory) -> tuple[str, bool]:
    """The app's name in the file, and whether it is declared there."""
    apps = data.get("apps")
    if apps is None:
        return app, False
    for name, each in apps.items():
        if isinstance(each, dict) and each.get(inventory.interface) == target:
            return str(name), True
    mark = _member(tree, "apps").start_mark
    raise ConfigError(
        [
            Problem(
                file,
                f"none of the apps is {target}",
                line=mark.line + 1,
                column=mark.column + 1,
                path="apps",
                hint=f"add `{app}: {flow({inventory.interface: target})}` there",
            )
        ]
    )


def _state(route: Any) -> str:
    """By what the route says."""
    if not isinstance(route, dict):
        return "legacy"
    if "move" in route or "split" in route:
        return "canary"
    if "app" in route:
        return "shadow" if "shadow" in route else "legacy"
    return "moved"


def _overlap(marked_methods: set[str], methods: list[str]) -> bool:
    return "any" in marked_methods or not methods or bool(marked_methods & set(methods))


def _missing(entry: Entry, marks: list[_Mark], routes: list[Any]) -> list[str] | None:
    """The methods of an entry that the file does not know; None when it knows all."""
    known: set[str] = set()
    rules = entry.rules
    for mark in marks:
        if mark.rule in rules:
            known |= mark.methods
    for raw in routes:
        if (
            isinstance(raw, dict)
            and shape(str(raw.get("path"))) == shape(entry.path)
            and raw.get("host") == entry.host
        ):
            known |= set(raw.get("methods") or ["any"])
    if "any" in known or (known and not entry.methods):
        return None
    missing = [method for method in entry.methods if method not in known]
    if not entry.methods:
        return []
    return missing if set(missing) - {"HEAD", "OPTIONS"} or (missing and not known) else None


def _insert_at(lines: list[str], items: list[tuple[int, Any]]) -> int:
    """Before the route for all the rest and its comments, or after the last route."""
    for number, (start, raw) in enumerate(items):
        if (
            number
            and isinstance(raw, dict)
            and shape(str(raw.get("path"))) == shape(REST)
            and not raw.get("methods")
        ):
            while lines[start - 1].lstrip().startswith("#"):
                start -= 1
            return start
    last = items[-1][0]
    indent = len(lines[last]) - len(lines[last].lstrip())
    at = last + 1
    while at < len(lines) and lines[at].strip() and len(lines[at]) - len(lines[at].lstrip()) > indent:
        at += 1
    return at


def _same(before: Any, text: str) -> None:
    """What is written says what was there, and more: held against the file before it is replaced."""
    after = yaml.load(text, Loader=yaml.CSafeLoader)
    kept = [each for each in after["routes"] if each in before["routes"]]
    rest = {key: value for key, value in after.items() if key not in ("routes", "apps")}
    if len(kept) < len(before["routes"]) or rest != {
        key: value for key, value in before.items() if key not in ("routes", "apps")
    }:
        raise UsageError("the routes cannot be added without changing others; nothing was written")
