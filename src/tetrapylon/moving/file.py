"""Where moves stand, with each of their steps and its evidence, in an SQLite file: over restarts.

A file that cannot be used is moved aside, said, and begun anew; one that is damaged or taken away while it is
in use, too, with all that is known. One gateway writes to it at a time: another one reads where moves stand,
keeps its own steps in memory, and adds them once the file is free.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from tetrapylon.moving.state import Move
from tetrapylon.stores.lock import Lock
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

__all__ = ["MovesFile", "recorded"]

PAGE = 4096
PAGES = 16384
"""64 MiB: a thousand routes with all the steps that are told of each."""
TABLE = "CREATE TABLE IF NOT EXISTS moves (route TEXT PRIMARY KEY, move BLOB NOT NULL) WITHOUT ROWID"
READ = "SELECT route, move FROM moves"
WRITE = "INSERT INTO moves VALUES (?, ?) ON CONFLICT (route) DO UPDATE SET move = excluded.move"
VERSION = 1
LOOK_EVERY = 1.0
"""Seconds between two looks at it."""
PATIENCE = 5.0
"""Seconds within which another process may still have it: the one that this one takes over from."""
AGAIN = 10.0
"""Seconds after which a file that cannot be used is tried again."""


def recorded(path: str) -> dict[str, Move]:
    """How moves stand, for who only needs to know: {} where nothing can be read, which its owner says."""
    if not os.path.exists(path):
        return {}
    try:
        base = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=1.0)
        try:
            return _read(base)
        finally:
            base.close()
    except (sqlite3.Error, msgspec.DecodeError):
        return {}


def _read(base: sqlite3.Connection) -> dict[str, Move]:
    version = base.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        raise sqlite3.DatabaseError(f"it was written by another version ({version})")
    return {name: msgspec.msgpack.decode(blob, type=Move) for name, blob in base.execute(READ)}


class MovesFile:
    """`moves` is what was read at first. Never raises for what is the file's fault."""

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.moves: dict[str, Move] = {}
        self._clock = clock
        self._lock = Lock(path)
        self._base: sqlite3.Connection | None = None
        self._known: Signature = (0, 0, 0)
        """As it was left."""
        self._behind = False
        """It lacks what could not be written."""
        self._begun = clock()
        self._look_at = 0.0
        self._said = False
        """That it cannot be used."""
        for move in self.look({}):
            self.moves[move.route] = move
        if self._base is None:
            self.moves = recorded(path)

    def look(self, moves: Mapping[str, Move]) -> list[Move]:
        """To be called now and then: opens what could not be used, and sees what others do to it.

        Those are given that stand otherwise in it than in `moves`, because who had it went on with them.
        """
        now = self._clock()
        if now < self._look_at:
            return []
        self._look_at = now + LOOK_EVERY
        if self._base is not None:
            self._look_after(self._base, moves)
        return self._open(moves, now) if self._base is None else []

    def write(self, move: Move, moves: Mapping[str, Move]) -> None:
        """`moves` are all of them, for a file that has to be begun anew."""
        if self._base is None:
            self._behind = True
            return
        error = self._put(list(moves.values()) if self._behind else [move])
        if error is None or not (is_broken(error) or is_full(error, self.path)):
            return  # or just now it cannot be written: the disk is full
        self._close()
        if self._moved_aside(str(error)):
            self._open(moves, self._clock())

    def close(self) -> None:
        self._close()
        self._lock.close()

    def _close(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    def _look_after(self, base: sqlite3.Connection, moves: Mapping[str, Move]) -> None:
        seen = signature(self.path)
        if seen[0] != self._known[0]:
            say("error", f"the file of moves {self.path!r} is not there any more; it is begun anew")
            self._close()
        elif seen != self._known:
            try:
                read_through(base)
                _read(base)
            except (sqlite3.Error, msgspec.DecodeError) as error:
                if is_broken(error):  # and otherwise it is looked at again
                    self._close()
                    self._moved_aside(str(error))
            else:
                self._known = seen
        elif self._behind:
            self._put(list(moves.values()))

    def _put(self, moves: list[Move]) -> sqlite3.Error | None:
        assert self._base is not None
        try:
            with self._base:
                self._base.executemany(WRITE, [(move.route, msgspec.msgpack.encode(move)) for move in moves])
        except sqlite3.Error as error:
            if not self._behind:
                say("error", f"the file of moves {self.path!r} cannot be written: {why(error)}")
            self._behind = True
            return error
        self._behind = False
        self._known = signature(self.path)
        return None

    def _open(self, moves: Mapping[str, Move], now: float) -> list[Move]:
        try:
            if not self._lock.take():
                if now - self._begun >= PATIENCE:
                    own = "give this gateway one of its own (`diff.moves`), or stop the other one"
                    self._unusable(f"{self._lock.holder()} holds it", f"; {own}")
                return []
        except OSError as error:
            self._unusable(why(error))
            return []
        for _ in range(2):
            try:
                kept = self._connect()
            except (sqlite3.Error, msgspec.DecodeError) as error:
                if not os.path.exists(self.path) or not is_broken(error):
                    self._unusable(why(error))
                    return []
                if not self._moved_aside(str(error)):
                    return []
            else:
                return self._join(kept, moves)
        return []

    def _connect(self) -> dict[str, Move]:
        base = sqlite3.connect(self.path, timeout=1.0)
        try:
            base.execute(f"PRAGMA max_page_count = {PAGES}")
            if base.execute("PRAGMA user_version").fetchone()[0] in (0, VERSION):
                base.execute(TABLE)
            kept = _read(base)
            base.execute(f"PRAGMA user_version = {VERSION}")
        except BaseException:
            base.close()
            raise
        self._base = base
        return kept

    def _join(self, kept: Mapping[str, Move], moves: Mapping[str, Move]) -> list[Move]:
        """Writes what it lacks. Those are given that others went on with."""
        if self._said:
            say("warning", f"the file of moves {self.path!r} can be used again")
            self._said = False
        joined = {name: kept[name].joined(move) if name in kept else move for name, move in moves.items()}
        lacking = [move for name, move in joined.items() if move.steps and move != kept.get(name)]
        self._known = signature(self.path)
        self._behind = False
        if lacking:
            self._put(lacking)
        return [move for name, move in {**kept, **joined}.items() if move != moves.get(name)]

    def _unusable(self, told: str, hint: str = "") -> None:
        if not self._said:
            say("error", f"the file of moves {self.path!r} cannot be used: {told}; steps are not kept{hint}")
        self._said = True
        self._look_at = self._clock() + AGAIN

    def _moved_aside(self, told: str) -> bool:
        try:
            aside = move_aside(self.path)
        except OSError as error:
            self._unusable(f"{told}; and it cannot be moved aside: {error.strerror}")
            return False
        say(
            "error", f"the file of moves {self.path!r} cannot be used: {told}; moved to {aside!r}, begun anew"
        )
        return True
