"""`run --watch`: a process that orders a reload when a file of the config has another content.

It also watches the code of hosted apps: see `apps.code`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tetrapylon.config.model import ErrorLog
from tetrapylon.config.wire import Encoded
from tetrapylon.processes.channel import Channel, News, Reload, content_of
from tetrapylon.processes.fork import Context
from tetrapylon.telemetry import events, logs
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.apps.code import Code

__all__ = ["main"]

SUFFIXES = frozenset({".yaml", ".yml", ".toml", ".json"})
DEBOUNCE = 300
"""Milliseconds without a change before it is acted on: editors write more than once."""
LOOK = 1000
"""Milliseconds between two looks at what the supervisor says."""


def main(context: Context) -> int:
    """Watches until the supervisor is gone. Returns the exit status."""
    assert context.channel is not None
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, lambda *_: os._exit(0))
    signal.signal(signal.SIGUSR1, lambda *_: events.reopen())
    first = seen_in(context.config)
    os.close(context.config)
    folders, errors = first.folders, first.errors
    code: Code | None = None
    if first.apps:
        code = watched(context.channel, first.apps, code)
    seen = digest(folders)
    # What has changed since the config was read, and before now.
    order(context.channel)
    while True:
        for _ in looks(folders):
            # By content: a mounted ConfigMap swaps a symlink that none of its files shows, and much that is
            # told of as a change is none.
            found = digest(folders)
            if found != seen:
                seen = found
                order(context.channel)
            fresh = news(context.channel)
            if fresh is None:
                return 0
            if not fresh:
                continue
            logs.follow(errors, fresh[-1].errors)
            errors = fresh[-1].errors
            if fresh[-1].apps or code is not None:
                code = watched(context.channel, fresh[-1].apps, code)
            if fresh[-1].folders != folders:
                folders = fresh[-1].folders
                seen = digest(folders)
                break


def looks(folders: Sequence[str]) -> Iterator[object]:
    """Gives whenever there may be something new, to be read or to be heard."""
    import watchfiles

    while True:
        # None for a config that the command line is; one that is being replaced may be away for a moment.
        there = [folder for folder in folders if os.path.isdir(folder)]
        if there:
            with suppress(FileNotFoundError):
                yield from watchfiles.watch(
                    *there, recursive=False, debounce=DEBOUNCE, rust_timeout=LOOK, yield_on_timeout=True
                )
        time.sleep(LOOK / 1000)
        yield None


def watched(channel: Channel, apps: Mapping[str, str], code: Code | None) -> Code:
    from tetrapylon.apps.code import Code

    code = code or Code(channel)
    code.follow(apps)
    return code


def order(channel: Channel) -> None:
    if not channel.send(Reload(0, "watch")):
        say("warning", "watch: the supervisor does not listen")


def digest(folders: Iterable[str]) -> bytes:
    """Of all files that may belong to the config: a new one may fit a pattern of `include`."""
    found = hashlib.sha256()
    for folder in folders:
        try:
            paths = sorted(Path(folder).iterdir())
        except OSError as error:
            found.update(str(error.errno).encode())  # that it has gone is a change, too
            continue
        for path in paths:
            if path.suffix in SUFFIXES and not path.is_fifo():
                try:
                    content = path.read_bytes()
                except OSError as error:
                    content = str(error.errno).encode()  # that it cannot be read is a change, too
                found.update(b"%d %b %d " % (len(path.name), os.fsencode(path.name), len(content)))
                found.update(content)
    return found.digest()


class Seen(NamedTuple):
    """What this process needs to know of a config."""

    folders: list[str]
    """Where its files are."""
    errors: ErrorLog
    apps: dict[str, str]
    """Where the code of each hosted app is."""


def seen_in(config: int) -> Seen:
    """Of an encoded config."""
    head = Encoded(content_of(config)).head
    apps = {}
    if head.apps:
        from tetrapylon.apps.code import folders_of

        apps = folders_of(head.apps)
    return Seen(sorted({str(Path(file).absolute().parent) for file in head.files}), head.log.errors, apps)


def news(channel: Channel) -> list[Seen] | None:
    """Of the configs that have come into force since the last look; None once the supervisor is gone."""
    seen: list[Seen] = []
    while True:
        try:
            heard = channel.receive()
        except BlockingIOError:
            return seen
        if heard is None:
            return None
        message, files = heard
        if isinstance(message, News):
            seen.append(seen_in(files[0]))
        for file in files:
            os.close(file)
