"""From a config to findings: the rules run, what is ignored set aside, all in the order of the files."""

from __future__ import annotations

from typing import NamedTuple

import tetrapylon.audit.rules  # noqa: F401 (fills the table)
from tetrapylon.audit.ignore import Ignore, ignores, mistakes
from tetrapylon.audit.rule import RULES, SEVERITIES, Rule, Severity
from tetrapylon.config.model import Config
from tetrapylon.config.tree import Document, Mark, Path, render_path

__all__ = ["Finding", "Report", "audit", "audit_file"]


class Finding(NamedTuple):
    """What a rule objects to. `line` and `column` are None in a config built in Python."""

    rule: Rule
    message: str
    file: str
    line: int | None
    column: int | None
    path: str
    ignored: str = ""
    """The reason given for ignoring it; "" when it counts."""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        path = f"{self.path}: " if self.path else ""
        return f"{where}: {self.rule.severity}: {path}{self.message} [{self.rule.id}]"


class Report(NamedTuple):
    """All findings, the ignored ones too."""

    findings: list[Finding]

    @property
    def open(self) -> list[Finding]:
        """Those that nobody has decided to live with."""
        return [each for each in self.findings if not each.ignored]

    @property
    def ignored(self) -> list[Finding]:
        return [each for each in self.findings if each.ignored]

    def count(self, severity: Severity) -> int:
        return sum(each.rule.severity == severity for each in self.open)

    def fails(self, least: Severity) -> bool:
        """Whether something is open that is as bad as `least`, or worse."""
        counting = SEVERITIES[: SEVERITIES.index(least) + 1]
        return any(each.rule.severity in counting for each in self.open)


def audit_file(source: str) -> Report:
    """The findings about the config that `source` names, as for `load`. Raises ConfigError."""
    from tetrapylon.config.loading import load_document

    return audit(*load_document(source))


def audit(config: Config, document: Document) -> Report:
    """The findings about a checked config; `document` has the places of what it was read from."""
    decided = ignores(config, document)
    findings = []
    for rule in RULES.values():
        for path, message in rule.look(config):
            findings.append(_finding(rule, message, path, document, decided))
    for id, ignore, message in mistakes(decided):
        path = () if ignore.line else ("audit", "ignore", config_index(config, ignore))
        mark = (ignore.own, 1) if ignore.line else document.place(path).mark
        findings.append(_at(RULES[id], message, ignore.file or document.file, mark, path))
    files = [document.file, *document.files]
    findings.sort(key=lambda each: (files.index(each.file), each.line or 0, each.column or 0))
    return Report(findings)


def config_index(config: Config, ignore: Ignore) -> int:
    """Which entry of `audit.ignore` an `Ignore` was made of."""
    return next(
        index
        for index, each in enumerate(config.audit.ignore)
        if (each.rule, each.at, each.because) == (ignore.rule, ignore.at, ignore.reason)
    )


def _finding(rule: Rule, message: str, path: Path, document: Document, decided: list[Ignore]) -> Finding:
    exists = _existing(path, document)
    place = document.place(exists, key=True)
    lines = [(place.file, place.mark[0])] if place.mark else []
    for end in range(1, len(exists)):
        outer = document.place(exists[:end], key=True)
        # In TOML, `[[routes]]` begins both the list and its first item: what is said there is about the item.
        first = document.place((*exists[:end], 0))
        if outer.mark and not (
            isinstance(exists[end], int) and first.mark and first.mark[0] == outer.mark[0]
        ):
            lines.append((outer.file, outer.mark[0]))
    reason = ""
    for ignore in decided:
        if ignore.rule == rule.id and not ignore.mistake() and ignore.covers(path, lines):
            ignore.used = True
            reason = reason or ignore.reason
    return _at(rule, message, place.file, place.mark, path, reason)


def _at(rule: Rule, message: str, file: str, mark: Mark | None, path: Path, reason: str = "") -> Finding:
    line, column = mark or (None, None)
    return Finding(rule, message, file, line, column, render_path(path), reason)


def _existing(path: Path, document: Document) -> Path:
    """As much of `path` as the document has."""
    value = document.root.value
    for index, step in enumerate(path):
        steps = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
        if step not in steps:
            return path[:index]
        value = value[step].value
    return path
