"""What goes wrong with an SQLite file, and moving one aside (leaf)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

__all__ = ["Signature", "is_broken", "is_full", "move_aside", "read_through", "signature", "why"]

Signature = tuple[int, int, int]
"""Of a file as it was left: inode, size, and when it was written to; zeros where there is none."""

JOURNALS = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a file, and would apply to another file of that name."""
ROOM = 1 << 20
"""Bytes that a disk has to have left for a file to be what is full."""


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what extended codes add


def is_broken(error: Exception) -> bool:
    """Whether it is the file's content that cannot be used, rather than the file just now."""
    if isinstance(error, OSError):
        return False
    # SQLITE_ERROR: a table of that name which is somebody else's.
    broken = (0, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return not isinstance(error, sqlite3.Error) or _code(error) in broken


def is_full(error: Exception, path: str) -> bool:
    """Whether the file has reached its bound, rather than the disk."""
    if _code(error) != sqlite3.SQLITE_FULL:
        return False
    disk = os.statvfs(os.path.dirname(path) or ".")
    return disk.f_bavail * disk.f_frsize > ROOM


def signature(path: str) -> Signature:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def read_through(base: sqlite3.Connection) -> None:
    """Reads all pages from the disk. Raises sqlite3.Error where they are damaged."""
    base.execute("PRAGMA shrink_memory")  # who has the lock reads no page again that it has
    for (told,) in base.execute("PRAGMA quick_check(1)"):
        if told != "ok":
            raise sqlite3.DatabaseError(" ".join(told.removeprefix("*** in database main ***").split()))


def why(error: Exception) -> str:
    """For people."""
    if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another process holds it"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def move_aside(path: str) -> str:
    """A file and its journals; where it is now. Raises OSError."""
    aside = f"{path}.aside"
    os.replace(path, aside)
    for each in JOURNALS:
        try:
            os.replace(path + each, aside + each)
        except FileNotFoundError:
            with suppress(FileNotFoundError):
                os.unlink(aside + each)  # of what was moved there before
    return aside
