"""Findings in an SQLite file of bounded size: read at the start, written by whoever compares.

A file that cannot be read, or that is full, is moved aside, said, and begun anew; also one that is damaged
while it is in use, which is looked for. One that cannot be used just now, because another process holds it or
the disk is full, is left where it is and tried again; until then the findings stay in memory. Traffic knows
nothing of it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time

import msgspec

from tetrapylon.diff.findings import Findings, Route
from tetrapylon.stores.sqlite_file import (
    Signature,
    is_broken,
    is_full,
    move_aside,
    read_through,
    signature,
    why,
)
from tetrapylon.telemetry.events import say

__all__ = ["FindingsFile"]

PAGE = 4096
TABLE = "CREATE TABLE IF NOT EXISTS routes (name TEXT PRIMARY KEY, findings BLOB NOT NULL) WITHOUT ROWID"
WRITE = "INSERT INTO routes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET findings = excluded.findings"
VERSION = 1
AGAIN = 10.0
"""Seconds after which a file that could not be used is tried again."""
EXAMINED = 300.0
"""Seconds after which a file is read through in which nobody seems to have written: disks fail, too."""


class FindingsFile:
    """`findings` is what it keeps; `lock` guards them. `size` is in bytes."""

    def __init__(self, path: str, size: int, lock: threading.Lock | None = None) -> None:
        self.path = path
        self.findings = Findings()
        self.lock = threading.Lock() if lock is None else lock
        self._pages = max(16, size // PAGE)
        self._base: sqlite3.Connection | None = None
        self._known: Signature = (0, 0, 0)
        """The file that is open, as it was left."""
        self._examine_at = 0.0
        self._again = 0.0
        """When a file that cannot be used is tried again; 0 while it can."""
        self._open()

    def write(self) -> None:
        """What has changed. Never raises for what is the file's fault, and holds the lock for no disk."""
        if time.monotonic() < self._again:
            return
        if self._base is not None:
            self._look_after(self._base)
        if self._base is None and not self._open():
            return
        with self.lock:
            changed, self.findings.changed = self.findings.changed, set()
            rows = [
                (name, None if route is None else msgspec.msgpack.encode(route))
                for name in changed
                for route in [self.findings.routes.get(name)]
            ]
        try:
            self._store(rows)
        except sqlite3.Error as error:
            with self.lock:
                self.findings.changed |= changed
            self._failed(error)
        else:
            self._known = signature(self.path)
            self._usable()

    def close(self) -> None:
        self.write()
        self._close()

    def _store(self, rows: list[tuple[str, bytes | None]]) -> None:
        assert self._base is not None
        with self._base:
            for name, blob in rows:
                if blob is None:
                    self._base.execute("DELETE FROM routes WHERE name = ?", (name,))
                else:
                    self._base.execute(WRITE, (name, blob))

    def _look_after(self, base: sqlite3.Connection) -> None:
        """What others have done to it: the lock keeps those away who use SQLite, and nobody else."""
        seen, now = signature(self.path), time.monotonic()
        if seen[0] != self._known[0]:
            say("error", f"the diff file {self.path!r} is not there any more; it is begun anew")
            self._close()
        elif seen != self._known or now >= self._examine_at:
            self._examine_at = now + EXAMINED
            try:
                read_through(base)
                for (blob,) in base.execute("SELECT findings FROM routes"):
                    msgspec.msgpack.decode(blob, type=Route)
            except (sqlite3.Error, msgspec.DecodeError) as error:
                self._failed(error)
            else:
                if seen != self._known:
                    with self.lock:
                        self.findings.changed |= self.findings.routes.keys()

    def _close(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    def _open(self) -> bool:
        for _ in range(2):
            try:
                self._base = self._connect()
            except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
                if not is_broken(error):
                    self._wait(why(error))
                    return False
                if not self._moved(str(error)):
                    return False
            else:
                self._known = signature(self.path)
                self._examine_at = time.monotonic() + EXAMINED
                self._usable()
                return True
        return False

    def _usable(self) -> None:
        if self._again:
            say("warning", f"the diff file {self.path!r} can be used again")
        self._again = 0.0

    def _connect(self) -> sqlite3.Connection:
        """Held until it is closed: two processes that write the same counts would undo each other's."""
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # samples are of people's requests
        base = sqlite3.connect(self.path, timeout=0.0, check_same_thread=False)
        try:
            base.execute("PRAGMA locking_mode = EXCLUSIVE")
            base.execute(f"PRAGMA max_page_count = {self._pages}")
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"it was written by another version ({version}, not {VERSION})")
            with base:
                base.execute("BEGIN EXCLUSIVE")
                base.execute(TABLE)
                base.execute(f"PRAGMA user_version = {VERSION}")
                rows = base.execute("SELECT name, findings FROM routes").fetchall()
            kept = {name: msgspec.msgpack.decode(blob, type=Route) for name, blob in rows}
        except BaseException:
            base.close()
            raise
        with self.lock:
            # What was found while the file could not be used is added to what it has.
            self.findings.changed |= self.findings.routes.keys()
            for name, route in kept.items():
                if name in self.findings.routes or name not in self.findings.changed:  # or it was forgotten
                    self.findings.route(name).absorb(route)
        return base

    def _failed(self, error: Exception) -> None:
        full = is_full(error, self.path)
        if not (full or is_broken(error)):
            self._wait(why(error))  # it stays open: what it has is part of what is in memory
            return
        self._close()
        if full:
            # What is in memory is what filled it: begun anew, that is empty too.
            with self.lock:
                self.findings.forget()
                self.findings.changed.clear()
        if self._moved(f"it is full, with {self._pages * PAGE >> 10} KiB" if full else str(error)):
            self._open()

    def _moved(self, told: str) -> bool:
        try:
            aside = move_aside(self.path)
        except OSError as error:
            self._wait(f"{told}; and it cannot be moved aside: {error.strerror}")
            return False
        say("error", f"the diff file {self.path!r} cannot be used: {told}; moved to {aside!r}, begun anew")
        return True

    def _wait(self, told: str) -> None:
        if not self._again:
            say("error", f"the diff file {self.path!r} cannot be used: {told}; findings stay in memory")
        self._again = time.monotonic() + AGAIN
