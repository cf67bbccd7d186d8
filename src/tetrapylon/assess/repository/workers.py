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
CONNECTIONS = 1000
"""Of a worker that is an event loop: gunicorn's default."""
MOST_FILES = 200
LARGEST = 256 * 1024
MOST_DIGITS = 4
"""Of a number of workers or threads that is one."""


class Workers(NamedTuple):
    """`threads`: requests that one of them takes at once, be it by threads or by an event loop."""

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
        target.id: str(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    workers = _count(told.get("workers", ""))
    names = ("worker_class", "threads", "worker_connections")
    return [(workers, _at_once(*(told.get(name, "") for name in names)))] if workers else []


def _at_once(kind: str, threads: str, connections: str) -> int:
    """Requests that a worker takes at once."""
    if kind in ("", "sync", "gthread"):
        return _count(threads) or 1
    return _count(connections) or CONNECTIONS


def _count(text: str) -> int | None:
    return int(text) or None if text.isdecimal() and len(text) <= MOST_DIGITS else None


def _of_commands(text: str) -> list[tuple[int, int]]:
    """Of shell commands, and of lists as in a Dockerfile's CMD."""
    found = []
    for command in COMMAND.findall(text.replace("\\\n", " ")):
        try:
            words = shlex.split(re.sub(r"""["'],\s*["']|["']\]""", " ", command).replace('"', ""))
        except ValueError:
            continue
        workers = _count(_option(words, "-w", "--workers"))
        if workers:
            kind = _option(words, "-k", "--worker-class")
            threads, connections = (
                _option(words, "", f"--{name}") for name in ("threads", "worker-connections")
            )
            found.append((workers, _at_once(kind, threads, connections)))
    return found


def _option(words: list[str], short: str, long: str) -> str:
    """Its value; empty where it is not there."""
    for index, word in enumerate(words):
        if word in (short, long) and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(f"{long}="):
            return word.partition("=")[2]
        if short and word.startswith(short) and word != short:
            return word.removeprefix(short)
    return ""
