"""What is ignored on purpose: comments in YAML and TOML, and `audit.ignore` in any format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tetrapylon.audit.rule import RULES
from tetrapylon.config.model import Config
from tetrapylon.config.shape import nearest
from tetrapylon.config.tree import Document, Path, render_path

__all__ = ["Ignore", "ignores", "mistakes"]

COMMENT = re.compile(r"(?:^|\s)#\s*audit:\s*ignore\b(?P<rest>.*)$")
WORDS = re.compile(r"\s*(?P<rules>[\w,\s-]*?)\s*(?:\bbecause\b\s*:?\s*(?P<reason>.*))?$")
ONLY_COMMENT = re.compile(r"\s*#")


class Ignore:
    """One rule, ignored at a place and below it; `used` once it has kept a finding back."""

    def __init__(
        self, rule: str, reason: str, *, at: str = "", file: str = "", line: int = 0, own: int = 0
    ) -> None:
        self.rule = rule
        self.reason = reason
        self.at = at
        """A path; "" for the whole config, or where `line` says it."""
        self.file = file
        self.line = line
        """The line that it is about; 0: `at` says it."""
        self.own = own or line
        """The line that it stands at itself."""
        self.used = False

    def covers(self, path: Path, lines: Iterable[tuple[str, int]]) -> bool:
        """Whether it is about what stands at `path`; `lines` are its own and those of what it is within."""
        if self.line:
            return (self.file, self.line) in lines
        return not self.at or any(render_path(path[:end]) == self.at for end in range(len(path) + 1))

    def mistake(self) -> str:
        """What keeps it from having an effect, or ""."""
        if self.rule not in RULES:
            close = nearest(self.rule, RULES)
            return f"there is no rule {self.rule!r}" + (f"; did you mean {close}?" if close else "")
        return "" if self.reason else f"{self.rule} is ignored without a reason"


def ignores(config: Config, document: Document) -> list[Ignore]:
    """All that the files and the config itself say."""
    found = [Ignore(each.rule, each.because, at=each.at) for each in config.audit.ignore]
    for file in document.files:
        if file.endswith((".yaml", ".yml", ".toml")):
            with open(file, encoding="utf-8-sig") as text:
                found += _comments(file, text.read().splitlines())
    return found


def _comments(file: str, lines: list[str]) -> Iterator[Ignore]:
    for number, line in enumerate(lines, 1):
        if "audit" not in line or (comment := COMMENT.search(line)) is None:
            continue
        words = WORDS.match(comment["rest"])
        assert words is not None
        rules = words["rules"].replace(",", " ").split() or [""]
        about = number
        if ONLY_COMMENT.match(line):
            about += 1
            while about <= len(lines) and (
                ONLY_COMMENT.match(lines[about - 1]) or not lines[about - 1].strip()
            ):
                about += 1
        for rule in rules:
            yield Ignore(rule, (words["reason"] or "").strip(), file=file, line=about, own=number)


def mistakes(found: Iterable[Ignore]) -> Iterator[tuple[str, Ignore, str]]:
    """(rule, ignore, what is wrong with it): what was ignored wrongly, or for nothing."""
    for each in found:
        if message := each.mistake():
            yield "bad-ignore", each, message
        elif not each.used:
            yield "unused-ignore", each, f"{each.rule} has nothing to object to here"
