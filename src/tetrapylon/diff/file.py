"""Findings in an SQLite file of bounded size: read at the start, written by whoever compares.

A file that cannot be used is moved aside, said, and begun anew; where that is not possible either, the
findings stay in memory. Traffic knows nothing of it.
"""

from __future__ import annotations

import os
import sqlite3
import time

import msgspec

from tetrapylon.diff.findings import Findings, Route
from tetrapylon.telemetry.events import say

__all__ = ["FindingsFile"]

PAGE = 4096
TABLE = "CREATE TABLE IF NOT EXISTS routes (name TEXT PRIMARY KEY, findings BLOB NOT NULL) WITHOUT ROWID"
WRITE = "INSERT INTO routes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET findings = excluded.findings"
VERSION = 1
PATIENCE = 5.0
AGAIN = 30.0
"""Seconds after which a file that could not be made is tried again."""


class FindingsFile:
    """`findings` is what it keeps. `size` is in bytes."""

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self._pages = max(16, size // PAGE)
        self._base: sqlite3.Connection | None = None
        self._next = 0.0
        self.findings = Findings()
        self._open()

    def write(self) -> None:
        """What has changed. Never raises for what is the file's fault."""
        if self._base is None and time.monotonic() < self._next:
            return
        if self._base is None:
            self.findings.changed |= self.findings.routes.keys()
            if not self._open():
                return
        assert self._base is not None
        changed = set(self.findings.changed)
        try:
            with self._base:
                for name in changed:
                    route = self.findings.routes.get(name)
                    if route is None:
                        self._base.execute("DELETE FROM routes WHERE name = ?", (name,))
                    else:
                        self._base.execute(WRITE, (name, msgspec.msgpack.encode(route)))
        except sqlite3.Error as error:
            self._move_aside(str(error))
            return
        self.findings.changed -= changed

    def close(self) -> None:
        self.write()
        if self._base is not None:
            self._base.close()
            self._base = None

    def _open(self) -> bool:
        for first in (True, False):
            try:
                self._base = self._connect()
                return True
            except (sqlite3.Error, msgspec.DecodeError) as error:
                self._base = None
                usable = first and os.path.exists(self.path) and self._moved(str(error))
                if not usable:
                    self._give_up(str(error))
                    return False
        return False

    def _connect(self) -> sqlite3.Connection:
        base = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False)
        try:
            base.execute(f"PRAGMA max_page_count = {self._pages}")
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"it was written by another version ({version})")
            base.execute(TABLE)
            base.execute(f"PRAGMA user_version = {VERSION}")
            for name, blob in base.execute("SELECT name, findings FROM routes"):
                self.findings.routes.setdefault(name, msgspec.msgpack.decode(blob, type=Route))
        except BaseException:
            base.close()
            raise
        return base

    def _move_aside(self, why: str) -> None:
        assert self._base is not None
        self._base.close()
        self._base = None
        full = "full" in why
        if full:
            # What is in memory is what filled it: begun anew, that is empty too.
            self.findings.forget()
        if self._moved(why) and self._open():
            self.findings.changed |= self.findings.routes.keys()

    def _moved(self, why: str) -> bool:
        aside = f"{self.path}.aside"
        try:
            os.replace(self.path, aside)
        except OSError as error:
            self._give_up(f"{why}; and it cannot be moved aside: {error.strerror}")
            return False
        say("error", f"the diff file {self.path!r} cannot be used: {why}; moved to {aside!r}, begun anew")
        return True

    def _give_up(self, why: str) -> None:
        if not self._next:
            say(
                "error",
                f"the diff file {self.path!r} cannot be used: {why}; findings stay in memory",
            )
        self._next = time.monotonic() + AGAIN
