"""How many people know the code: from a year of its history."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from secrets import token_hex
from typing import NamedTuple

from tetrapylon.assess.repository import git
from tetrapylon.assess.repository.languages import language_of
from tetrapylon.assess.result import Language, Team
from tetrapylon.assess.wording import readable

__all__ = ["team_of"]

YEAR = 365 * 86_400
ROBOTS = ("[bot]", "dependabot", "renovate", "github-actions", "pre-commit-ci")
LEAST = 0.01
"""The share of bytes below which a language is not told."""


class Commit(NamedTuple):
    name: str
    address: str
    languages: frozenset[str]


def team_of(repositories: list[str], now: float | None = None) -> Team:
    """Raises UsageError for what is no repository, TetrapylonError where git fails."""
    since = (time.time() if now is None else now) - YEAR
    commits: list[Commit] = []
    sizes: Counter[str] = Counter()
    notes: list[str] = []
    for repository in repositories:
        git.check(repository)
        if git.text(repository, "rev-parse", "--is-shallow-repository") == "true":
            notes.append(f"{readable(repository)} is a shallow clone: who came before its cut is not known")
        commits += _commits(repository, since)
        sizes.update(_sizes(repository))
    people = _people(commits)
    robots = [commit for commit in commits if _is_robot(commit)]
    commits = [commit for commit in commits if not _is_robot(commit)]
    by = Counter(people[commit.name, commit.address] for commit in commits)
    first, most = by.most_common(1)[0] if by else ("", 0)
    whole = sum(sizes.values())
    return Team(
        repositories=[readable(each) for each in repositories],
        since=since,
        commits=len(commits),
        authors=len(by),
        first=most / len(commits) if commits else 0.0,
        first_name=first,
        robots=len(robots),
        languages=[
            _language(name, size / whole, commits, people)
            for name, size in sizes.most_common()
            if size >= LEAST * whole
        ],
        notes=notes,
    )


def _language(name: str, share: float, commits: list[Commit], people: dict[tuple[str, str], str]) -> Language:
    by = Counter(people[each.name, each.address] for each in commits if name in each.languages)
    first = max(by.values(), default=0)
    return Language(name=name, share=share, authors=len(by), first=first / by.total() if by else 0.0)


def _is_robot(commit: Commit) -> bool:
    return any(mark in f"{commit.name} {commit.address}".lower() for mark in ROBOTS)


def _people(commits: Iterable[Commit]) -> dict[tuple[str, str], str]:
    """Who each name with an address is: the same person where either is the same."""
    known: dict[str, str] = {}

    def root(key: str) -> str:
        while known.setdefault(key, key) != key:
            key = known[key]
        return key

    pairs = {(commit.name, commit.address) for commit in commits}
    for name, address in sorted(pairs):
        if address:
            known[root(f"<{address.lower()}>")] = root(name.casefold())
    shown: dict[str, str] = {}
    for name, _ in sorted(pairs):
        shown.setdefault(root(name.casefold()), name)
    return {(name, address): shown[root(name.casefold())] for name, address in pairs}


def _commits(repository: str, since: float) -> Iterator[Commit]:
    """Of the branch that is checked out; in a folder of a repository, those that changed something below it.

    Fields end with NUL, which no name, address or path can hold; no path begins with a mark that is made up
    each time.
    """
    mark = f"{token_hex(8)}:"
    below = git.text(repository, "rev-parse", "--show-prefix")
    found = git.fields(
        repository,
        "log",
        f"--since=@{int(since)}",
        "--no-merges",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-show-signature",
        "--no-color",
        f"--format={mark}%aN%x00%aE%x00",
        "--name-only",
        "-z",
        # Else what two branches changed alike would count for one of them alone.
        "--full-history",
        "HEAD",
        "--",
        *(["."] if below else []),
    )
    name = address = state = ""
    languages: set[str] = set()
    for field in found:
        if field.startswith(mark):
            if state:
                yield Commit(name, address, frozenset(languages))
            name, state, languages = field.removeprefix(mark), "address", set()
        elif state == "address":
            address, state = field, "paths"
        elif language := language_of(field.lstrip("\n")):
            languages.add(language)
    if state:
        yield Commit(name, address, frozenset(languages))


def _sizes(repository: str) -> Counter[str]:
    """Bytes of each language in what is committed."""
    sizes: Counter[str] = Counter()
    for entry in git.fields(repository, "ls-tree", "-r", "-l", "-z", "HEAD"):
        what, _, path = entry.partition("\t")
        language, size = language_of(path), what.split()[-1] if what else "-"
        if language and size.isdigit():
            sizes[language] += int(size)
    return sizes
