"""`run --watch`: a process that orders a reload when a file of the config has another content.

It also watches the code of hosted apps: see `apps.code`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tetrapylon.config.include import matching
from tetrapylon.config.model import ErrorLog
from tetrapylon.config.wire import Encoded
from tetrapylon.processes.channel import Channel, News, Reload, content_of
from tetrapylon.processes.fork import Context
from tetrapylon.processes.reading import Sought
from tetrapylon.telemetry import events, logs
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.apps.code import Code

__all__ = ["main"]

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
    first = known_of(context.config, Sought())
    os.close(context.config)
    watched, errors = first.watched, first.errors
    code: Code | None = None
    if first.apps:
        code = followed(context.channel, first.apps, code)
    seen = watched.digest()
    order(context.channel)  # what has changed since the config was read
    while True:
        for _ in looks(watched):
            # By content: a mounted ConfigMap swaps a symlink that none of its files shows, and much that is
            # told of as a change is none.
            found = watched.digest()
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
                code = followed(context.channel, fresh[-1].apps, code)
            if fresh[-1].watched != watched:
                watched = fresh[-1].watched
                seen = watched.digest()
                order(context.channel)  # what has changed since it was read
                break


def looks(watched: Watched) -> Iterator[object]:
    """Gives whenever there may be something new, to be read or to be heard."""
    import watchfiles

    while True:
        # None for a config that the command line is; one that is being replaced may be away for a moment.
        there = watched.folders()
        if there:
            with suppress(FileNotFoundError):
                yield from watchfiles.watch(
                    *there, recursive=False, debounce=DEBOUNCE, rust_timeout=LOOK, yield_on_timeout=True
                )
        time.sleep(LOOK / 1000)
        yield None


def followed(channel: Channel, apps: Mapping[str, str], code: Code | None) -> Code:
    from tetrapylon.apps.code import Code

    code = code or Code(channel)
    code.follow(apps)
    return code


def order(channel: Channel) -> None:
    if not channel.send(Reload(0, "watch")):
        say("warning", "watch: the supervisor does not listen")


class Watched(NamedTuple):
    """Of which files a change is one of the config."""

    files: frozenset[str]
    """Those that it was read from."""
    patterns: frozenset[str]
    """By which there may be others."""

    def names(self) -> list[str]:
        """Of all of them, as it is now."""
        return sorted(self.files.union(str(file) for pattern in self.patterns for file in matching(pattern)))

    def folders(self) -> list[str]:
        """Where they are or may come to be, as far as it is there."""
        found = {os.path.dirname(name) for name in (*self.names(), *self.patterns)}
        return sorted(folder for folder in found if os.path.isdir(folder))

    def digest(self) -> bytes:
        """Of what is in them."""
        found = hashlib.sha256()
        for name in self.names():
            try:
                # A pipe can be read once, by who reads the config.
                content = Path(name).read_bytes() if os.path.isfile(name) else b""
            except OSError as error:
                content = str(error.errno).encode()  # that it cannot be read is a change, too
            there = os.path.exists(name)
            found.update(b"%d %b %d %d " % (len(name), os.fsencode(name), there, len(content)))
            found.update(content)
        return found.digest()


class Known(NamedTuple):
    """What this process needs to know of a config."""

    watched: Watched
    errors: ErrorLog
    apps: dict[str, str]
    """Where the code of each hosted app is."""


def known_of(config: int, sought: Sought) -> Known:
    """Of an encoded config, and of where it was looked for since."""
    head = Encoded(content_of(config)).head
    apps = {}
    if head.apps:
        from tetrapylon.apps.code import folders_of

        apps = folders_of(head.apps)
    files = frozenset(map(os.path.abspath, {*head.files, *sought.files}))
    patterns = frozenset(map(os.path.abspath, {*head.patterns, *sought.patterns}))
    return Known(Watched(files, patterns), head.log.errors, apps)


def news(channel: Channel) -> list[Known] | None:
    """Of the configs that have come into force since the last look; None once the supervisor is gone."""
    known: list[Known] = []
    while True:
        try:
            heard = channel.receive()
        except BlockingIOError:
            return known
        if heard is None:
            return None
        message, files = heard
        if isinstance(message, News):
            known.append(known_of(files[0], msgspec.msgpack.decode(content_of(files[2]), type=Sought)))
        for file in files:
            os.close(file)
