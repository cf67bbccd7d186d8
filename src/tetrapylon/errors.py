"""One tree of exceptions: everything Tetrapylon raises on purpose is a `TetrapylonError`."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ConfigError", "Problem", "TetrapylonError", "UsageError"]


class TetrapylonError(Exception):
    """The root of the tree; its text is fit to be shown to a user as it stands."""


class UsageError(TetrapylonError):
    """The command line asks for what cannot be done."""


class Problem:
    """One thing wrong with a config: where it is, what it is, and what to write instead.

    `line` and `column` count from 1; both are None where there is no text to point into, as for a
    config built in Python or a file that cannot be read.
    """

    __slots__ = ("column", "file", "hint", "line", "message", "path")

    def __init__(
        self,
        file: str,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        path: str = "",
        hint: str = "",
    ) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        parts = [where, self.path, self.message] if self.path else [where, self.message]
        return ": ".join(parts) + (f"; {self.hint}" if self.hint else "")

    def __repr__(self) -> str:
        return f"<Problem {self}>"


class ConfigError(TetrapylonError):
    """A config that cannot be served. `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))
        super().__init__("\n".join(str(problem) for problem in self.problems))
