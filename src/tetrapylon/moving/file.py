"""Where moves stand, with each of their steps and its evidence, in an SQLite file: over restarts.

A file that cannot be used is moved aside, said, and begun anew; where that is not possible either, moves
begin at the old side, and are known as long as the process lives.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping

import msgspec

from tetrapylon.moving.state import Move
from tetrapylon.stores.sqlite_file import is_broken, is_full, move_aside, why
from tetrapylon.telemetry.events import say

__all__ = ["MovesFile"]

PAGE = 4096
PAGES = 16384
"""64 MiB: a thousand routes with all the steps that are told of each."""
TABLE = "CREATE TABLE IF NOT EXISTS moves (route TEXT PRIMARY KEY, move BLOB NOT NULL) WITHOUT ROWID"
WRITE = "INSERT INTO moves VALUES (?, ?) ON CONFLICT (route) DO UPDATE SET move = excluded.move"
VERSION = 1


class MovesFile:
    """`moves` is what was read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.moves: dict[str, Move] = {}
        self._base: sqlite3.Connection | None = None
        self._behind = False
        """It lacks what could not be written."""
        self._open()

    def write(self, move: Move, moves: Mapping[str, Move]) -> None:
        """`moves` are all of them, for a file that has to be begun anew. Never raises for what is the file's
        fault."""
        if self._base is None and not self._open():
            return
        error = self._put(list(moves.values()) if self._behind else [move])
        self._behind = error is not None
        if error is None or not (is_broken(error) or is_full(error, self.path)):
            return  # just now it cannot be written: another process holds it, or the disk is full
        self.close()
        if self._moved_aside(str(error)) and self._open():
            self._behind = self._put(list(moves.values())) is not None

    def close(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    def _put(self, moves: list[Move]) -> sqlite3.Error | None:
        assert self._base is not None
        try:
            with self._base:
                self._base.executemany(WRITE, [(move.route, msgspec.msgpack.encode(move)) for move in moves])
        except sqlite3.Error as error:
            say("error", f"the file of moves {self.path!r} cannot be written: {why(error)}")
            return error
        return None

    def _open(self) -> bool:
        for _ in range(2):
            try:
                self._base = self._connect()
                return True
            except (sqlite3.Error, msgspec.DecodeError) as error:
                self._base = None
                if not os.path.exists(self.path) or not is_broken(error):
                    told = why(error)
                    say("error", f"the file of moves {self.path!r} cannot be used: {told}; they are not kept")
                    self._behind = True
                    return False
                if not self._moved_aside(str(error)):
                    return False
        return False

    def _connect(self) -> sqlite3.Connection:
        base = sqlite3.connect(self.path, timeout=1.0)
        try:
            base.execute(f"PRAGMA max_page_count = {PAGES}")
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"it was written by another version ({version})")
            base.execute(TABLE)
            base.execute(f"PRAGMA user_version = {VERSION}")
            for name, blob in base.execute("SELECT route, move FROM moves"):
                self.moves.setdefault(name, msgspec.msgpack.decode(blob, type=Move))
        except BaseException:
            base.close()
            raise
        return base

    def _moved_aside(self, told: str) -> bool:
        try:
            aside = move_aside(self.path)
        except OSError as error:
            say("error", f"the file of moves {self.path!r} cannot be moved aside: {error.strerror}")
            return False
        say(
            "error", f"the file of moves {self.path!r} cannot be used: {told}; moved to {aside!r}, begun anew"
        )
        return True
