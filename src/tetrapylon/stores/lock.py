"""A file that one process at a time may write to (leaf)."""

from __future__ import annotations

import fcntl
import os

__all__ = ["Lock"]


class Lock:
    """Of a file, by another beside it, which names who holds it; the kernel gives it back when that one dies.

    The file itself is not locked: SQLite would lose its own locks on it with the first descriptor that is
    closed (fcntl_locking(2)).
    """

    def __init__(self, path: str) -> None:
        self.path = f"{path}.lock"
        self._descriptor = -1

    @property
    def held(self) -> bool:
        return self._descriptor >= 0

    def take(self) -> bool:
        """Whether it is ours. Raises OSError where there can be no such file."""
        if self.held:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return True

    def holder(self) -> str:
        """Who holds it, as far as it says so."""
        try:
            with open(self.path, "rb") as file:
                pid = file.read(32).strip()
        except OSError:
            pid = b""
        return f"another gateway (pid {int(pid)})" if pid.isdigit() else "another gateway"

    def close(self) -> None:
        """Gives it back. The file stays: who removed it could remove it from under the next one."""
        if self.held:
            os.close(self._descriptor)
            self._descriptor = -1
