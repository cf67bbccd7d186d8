"""How many workers and threads the present gateway has, as its repository says: gunicorn's options."""

from __future__ import annotations

import ast
import re
import shlex
from itertools import islice
from typing import NamedTuple

from tetrapylon.assess.repository import git

__all__ = ["Workers", "workers_of"]

PLACES = re.compile(
    r"(?:^|/)(?:Procfile[^/]*|[^/]*Dockerfile[^/]*|[^/]*compose[^/]*\.ya?ml|[^/]*\.service|[^/]*\.sh|Makefile"
    r"|[^/]*gunicorn[^/]*\.(?:py|conf\.py)|[^/]*\.toml)$"
)
CONFIG = re.compile(r"(?:^|/)[^/]*gunicorn[^/]*\.py$")
COMMAND = re.compile(r"\bgunicorn\b[^\n&|;#]*")
MOST_FILES = 200
LARGEST = 256 * 1024
MOST_DIGITS = 4
"""Of a number of workers or threads that is one."""


class Workers(NamedTuple):
    workers: int
    threads: int
    where: str


def workers_of(repositories: list[str]) -> list[Workers]:
    """All that differ, each with its place. What is worked out when gunicorn starts is not known."""
    found: dict[tuple[int, int], Workers] = {}
    for repository in repositories:
        for each in _in_one(repository):
            found.setdefault((each.workers, each.threads), each)
    return list(found.values())


def _in_one(repository: str) -> list[Workers]:
    listed = git.fields(repository, "ls-tree", "-r", "-l", "-z", "HEAD")
    places = (entry for entry in listed if PLACES.search(entry.partition("\t")[2]))
    found = []
    for entry in islice(places, MOST_FILES):
        what, _, path = entry.partition("\t")
        _, kind, name, size = what.split()
        if kind != "blob" or int(size) > LARGEST:
            continue
        text = git.text(repository, "cat-file", "blob", name)
        read = _of_config(text) if CONFIG.search(path) else _of_commands(text)
        found += [Workers(workers, threads, path) for workers, threads in read]
    return found


def _of_config(text: str) -> list[tuple[int, int]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    told = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
        and isinstance(node.value.value, int)
        and 0 < node.value.value < 10**MOST_DIGITS
    }
    return [(told["workers"], told.get("threads", 1))] if "workers" in told else []


def _of_commands(text: str) -> list[tuple[int, int]]:
    """Of shell commands, and of lists as in a Dockerfile's CMD."""
    found = []
    for command in COMMAND.findall(text.replace("\\\n", " ")):
        try:
            words = shlex.split(re.sub(r"""["'],\s*["']|["']\]""", " ", command).replace('"', ""))
        except ValueError:
            continue
        workers, threads = _option(words, "-w", "--workers"), _option(words, "", "--threads")
        if workers:
            found.append((workers, threads or 1))
    return found


def _option(words: list[str], short: str, long: str) -> int | None:
    for index, word in enumerate(words):
        value = words[index + 1] if word in (short, long) and index + 1 < len(words) else ""
        if word.startswith(f"{long}="):
            value = word.partition("=")[2]
        elif short and word.startswith(short) and word[2:].isdigit():
            value = word[2:]
        if value.isdecimal() and len(value) <= MOST_DIGITS and int(value):
            return int(value)
    return None
