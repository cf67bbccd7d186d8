"""One tree of exceptions: everything Tetrapylon raises on purpose is a `TetrapylonError`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ConfigError",
    "ExchangeOver",
    "HTTPError",
    "LoadError",
    "Problem",
    "TetrapylonError",
    "UsageError",
]


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
        return _visible(": ".join(parts) + (f"; {self.hint}" if self.hint else ""))

    def __repr__(self) -> str:
        return f"<Problem {self}>"


def _visible(text: str) -> str:
    """On one line, with what cannot be seen spelt out: it may be just what is wrong."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class ConfigError(TetrapylonError):
    """A config that cannot be served. `problems` holds all of them, file by file, each in its order.

    `files` are those that it was read from, as far as that is known, `patterns` those by which it finds more.
    """

    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def __init__(self, problems: Iterable[Problem]) -> None:
        found = list(problems)
        files = list(dict.fromkeys(problem.file for problem in found))
        self.problems = sorted(
            found, key=lambda each: (files.index(each.file), each.line or 0, each.column or 0)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ExchangeOver(TetrapylonError):
    """A request or response was used after its exchange had ended: by then its memory serves another one."""


class HTTPError(TetrapylonError):
    """Raised by a handler or plugin, it is the answer: a problem (RFC 9457) with this status.

    `errors` are further details, each a mapping, such as `{"in": "query", "field": "page", "detail": "..."}`.
    Raises ValueError for a status that is not 400 to 599.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"{status} is the status of no error; expected 400 to 599")
        super().__init__(f"{status} {detail}".rstrip())
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = [dict(error) for error in errors]


class LoadError(TetrapylonError):
    """Python of the user's that the config names and that cannot be used.

    Its text is what is wrong; `hint` what to do instead, and `where` the place in the source, or "".
    """

    def __init__(self, message: str, hint: str = "", where: str = "") -> None:
        self.message = message
        self.hint = hint
        self.where = where
        place = f" ({where})" if where else ""
        super().__init__(f"{message}{place}" + (f"; {hint}" if hint else ""))
