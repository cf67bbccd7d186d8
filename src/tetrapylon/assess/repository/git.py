"""git, asked about a repository that nobody vouches for: it runs nothing of it and changes nothing in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO

from tetrapylon.assess.wording import harmless
from tetrapylon.errors import TetrapylonError, UsageError

__all__ = ["check", "fields", "text"]

# A repository's own config may name programs that git runs: to page, to sign, to watch files, to fetch what
# is missing, to show a difference. Environment and options of a call go before it.
SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.quotePath=false",
    "diff.external=",
    "gpg.program=false",
    "log.showSignature=false",
    "log.mailmap=true",
    "protocol.allow=never",
)
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}
SECONDS = 300


def _command(repository: str, arguments: tuple[str, ...]) -> list[str]:
    settings = [part for each in SETTINGS for part in ("-c", each)]
    return ["git", "--no-pager", *settings, "-C", repository, *arguments]


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**inherited, **ENVIRONMENT}


@contextmanager
def _output(repository: str, *arguments: str) -> Iterator[IO[bytes]]:
    """What git prints, once it has ended well. Raises TetrapylonError."""
    with TemporaryFile() as out:
        try:
            done = subprocess.run(
                _command(repository, arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                env=_environment(),
                timeout=SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise TetrapylonError("git is not installed; it is what reads --repo") from None
        except subprocess.TimeoutExpired:
            raise TetrapylonError(f"{repository}: git took longer than {SECONDS} s") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise TetrapylonError(
                f"{repository}: git says: {harmless(said[0], 500) if said else done.returncode}"
            )
        out.seek(0)
        yield out


def text(repository: str, *arguments: str) -> str:
    with _output(repository, *arguments) as out:
        return out.read().decode("utf-8", "replace").strip()


def fields(repository: str, *arguments: str) -> Iterator[str]:
    """What git prints between NULs (`-z`), piece by piece: it may be long."""
    rest = b""
    with _output(repository, *arguments) as out:
        while piece := out.read(1 << 20):
            *whole, rest = (rest + piece).split(b"\0")
            yield from (each.decode("utf-8", "replace") for each in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


def check(repository: str) -> None:
    """Raises UsageError for what is no repository with a commit."""
    if not os.path.isdir(repository):
        raise UsageError(f"--repo: {repository} is no folder")
    try:
        text(repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except TetrapylonError as error:
        detail = str(error).removeprefix(f"{repository}: git says: ")
        why = "no commit in it" if detail == "1" else detail
        raise UsageError(f"--repo: {repository} is no git repository that can be read: {why}") from None
