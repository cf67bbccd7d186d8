"""The folder of the sockets of hosted apps, which nobody but this user can open."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
from contextlib import suppress

from tetrapylon.errors import TetrapylonError
from tetrapylon.telemetry.events import say

__all__ = ["Folder"]

PREFIX = "tetrapylon-apps-"
FRESH = 60.0
"""Seconds within which a folder without a lock may be one that is just being made."""


class Folder:
    """Locked as long as it is in use, which tells it from what a killed gateway has left behind.

    Its name is short enough for sockets in it (108 bytes, unix(7)). Raises TetrapylonError.
    """

    def __init__(self) -> None:
        base = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_RUNTIME_DIR")
        base = base or "/tmp"
        self.path = f"{base}/{PREFIX}{os.urandom(4).hex()}"
        try:
            os.mkdir(self.path, 0o700)
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = "set RUNTIME_DIRECTORY to a directory that it may write to"
            what = f"apps need a folder for their sockets, and {self.path} cannot be made"
            raise TetrapylonError(f"{what}: {error.strerror}; {hint}") from None
        if len(self.path) > 70:
            self.close()
            raise TetrapylonError(f"{base} is too long a name for sockets in it; set RUNTIME_DIRECTORY")
        _clean(base)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _clean(base: str) -> None:
    """Removes what gateways have left behind that had no time to. Where it cannot look, that is said: its own
    folder does without."""
    try:
        with os.scandir(base) as entries:
            left = [entry for entry in entries if entry.name.startswith(PREFIX)]
    except OSError as error:
        what = f"{base} cannot be looked through for the sockets of apps that killed gateways have left"
        say("warning", f"{what}: {error.strerror}; those stay there")
        return
    for entry in left:
        with suppress(OSError):  # it is another user's, or it is in use, or has just gone
            found = entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            if time.time() - found.st_ctime < FRESH:
                continue
            lock = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry.path)
            finally:
                os.close(lock)
