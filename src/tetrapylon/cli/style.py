"""How the command line looks: colour where a person reads it, aligned tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from tetrapylon.errors import Problem

__all__ = ["harmless", "paint", "print_problems", "print_table"]

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def paint(text: str, style: str, stream: TextIO) -> str:
    """`text` in colour if `stream` is a terminal and `NO_COLOR` is unset or empty (no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{CODES[style]}m{text}\x1b[0m"


def harmless(text: str) -> str:
    """Without what does something to a terminal: file names and other programs' words may hold it."""
    return "".join(
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text
    )


def print_problems(problems: Sequence[Problem]) -> None:
    """One problem a line, on standard error, then how many there are."""
    err = sys.stderr
    for problem in problems:
        where = problem.file if problem.line is None else f"{problem.file}:{problem.line}:{problem.column}"
        rest = str(problem).removeprefix(where)
        print(paint(where, "bold", err) + rest, file=err)
    if len(problems) > 1:
        print(paint(f"{len(problems)} problems", "red", err), file=err)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell, the last one unpadded."""
    out = sys.stdout
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        text = "  ".join(cells).rstrip()
        print(paint(text, "bold", out) if number == 0 else text, file=out)
