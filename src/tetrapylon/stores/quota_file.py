"""What quotas have counted, in an SQLite file: read at the start, written within a second of a change.

Counts are written whole, and only ever raised: so workers may write side by side, none undoes another's, and
what a killed worker had not written yet is written by the next one that counts the same key.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tetrapylon.errors import TetrapylonError
from tetrapylon.telemetry.events import say

WRITE_AFTER = 0.5
"""Seconds from a change to its writing."""
PATIENCE = 5.0
"""Seconds that a write waits for those of other workers."""

TABLE = """
CREATE TABLE IF NOT EXISTS quota (
  "limit" BLOB NOT NULL, key BLOB NOT NULL, over INTEGER NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY ("limit", key, over)
) WITHOUT ROWID
"""
WRITE = """
INSERT INTO quota VALUES (?, ?, ?, ?)
ON CONFLICT ("limit", key, over) DO UPDATE SET used = max(used, excluded.used)
"""
READ = 'SELECT key, over, used FROM quota WHERE "limit" = ? AND over > ?'

Place = tuple[bytes, bytes, int]


class QuotaFile:
    """Raises TetrapylonError where the file cannot be used."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: str) -> None:
        self._loop = loop
        self._path = path
        self._changed: dict[Place, int] = {}
        self._due: asyncio.TimerHandle | None = None
        self._failed = False
        try:
            self._file = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute(TABLE)
        except sqlite3.Error as error:
            raise TetrapylonError(f"the quota file {path!r} cannot be used: {error}") from error
        # One thread: SQLite never sees two writes of this worker at once.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="quota")

    def read(self, limit: int, today: int) -> Iterator[tuple[bytes, int, int]]:
        """Key, day of the period's end and count of what is not over yet. What is over is taken out."""
        self._file.execute("DELETE FROM quota WHERE over <= ?", (today,))
        yield from self._file.execute(READ, (_blob(limit), today))

    def note(self, key: bytes, limit: int, over: int, used: int) -> None:
        """This many were used; to be written soon."""
        self._changed[_blob(limit), key, over] = used
        if self._due is None:
            self._due = self._loop.call_later(WRITE_AFTER, self._begin)

    def _begin(self) -> None:
        changed, self._changed = self._changed, {}
        self._loop.run_in_executor(self._writer, self._write, changed).add_done_callback(
            lambda done: self._done(changed, done)
        )

    def _write(self, changed: dict[Place, int]) -> None:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany(WRITE, [(*place, used) for place, used in changed.items()])
            self._file.execute("COMMIT")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise

    def _done(self, changed: dict[Place, int], done: asyncio.Future[None]) -> None:
        self._due = None
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._tell(error)
            self._changed = changed | self._changed
        elif self._failed:
            self._failed = False
            say("warning", f"the quota file {self._path!r} can be written again")
        if self._changed:
            self._due = self._loop.call_later(WRITE_AFTER, self._begin)

    def _tell(self, error: BaseException) -> None:
        if not self._failed:
            self._failed = True
            say("error", f"the quota file {self._path!r} cannot be written, its counts wait: {error}")

    def close(self) -> None:
        """Writes what is left."""
        if self._due is not None:
            self._due.cancel()
        self._writer.shutdown()
        try:
            if self._changed:
                self._write(self._changed)
            self._file.close()
        except sqlite3.Error as error:
            self._tell(error)


def _blob(limit: int) -> bytes:
    return limit.to_bytes(8, "little")
