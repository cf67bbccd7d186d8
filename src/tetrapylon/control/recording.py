"""Requests that workers have sampled are redacted and written here, in a thread of the control process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from tetrapylon.config.wire import Encoded
from tetrapylon.control.aside import Aside
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.recording.recorded import Taken

__all__ = ["Recording", "RequestsFile"]

PIECE = 65536


class Recording:
    """What the policy `record` takes. Begins when the first config uses it."""

    def __init__(self, config: bytes, lost: Callable[[int], None]) -> None:
        """`lost` is told of how many requests were sampled and not written."""
        self._lost = lost
        self._file: RequestsFile | None = None
        self._aside: Aside | None = None
        self.follow(config)

    def follow(self, config: bytes) -> None:
        """From now on by this config."""
        if "record" not in Encoded(config).policies():
            return
        settings = Encoded(config).head.record
        if self._file is None:
            self._file = RequestsFile(settings.file, settings.size)
            self._aside = Aside("recording", self._write)
        elif (self._file.path, self._file.size) != (settings.file, settings.size):
            self._file.move(settings.file, settings.size)

    def take(self, batch: bytes) -> None:
        """As `Outbox` made it. From the loop's thread; it never waits."""
        if self._aside is not None and not self._aside.take(batch):
            say("warning", "record: more requests come than can be written; some are dropped, and counted")
            self._lost(len(msgspec.msgpack.decode(batch, type=list[Raw])))

    def told(self) -> dict[str, Any] | None:
        """None where nothing is recorded."""
        return None if self._file is None else self._file.told()

    def lines(self) -> Iterator[bytes]:
        """The files' content, the oldest first."""
        if self._file is not None:
            yield from self._file.lines()

    def forget(self) -> None:
        if self._file is not None:
            self._file.forget()

    async def close(self) -> None:
        """Writes what has come."""
        if self._aside is not None and self._file is not None:
            await self._aside.close()
            self._file.close()

    # -- the thread

    def _write(self, batch: bytes) -> None:
        from tetrapylon.recording.recorded import Taken, recorded

        assert self._file is not None
        taken: list[Taken] = msgspec.msgpack.decode(batch, type=list[Taken])
        lines: list[bytes] = []
        for each in taken:
            try:
                lines.append(msgspec.json.encode(recorded(each)) + b"\n")
            except Exception as error:  # noqa: BLE001 - one request must not end it for all others
                say("error", f"record: a request of {each.route} could not be redacted", error=error)
        written = self._file.write(lines)
        if written < len(taken):
            self._lost(len(taken) - written)


class RequestsFile:
    """Lines in `path`, and in `path.1` those before them: both together of bounded size.

    Only its owner can read them. A file that cannot be written is said, and tried again with the next lines.
    """

    def __init__(self, path: str, size: int) -> None:
        """`size` in bytes."""
        self.path = path
        self.size = size
        self._lock = threading.RLock()
        self._file: int | None = None
        self._failing = False

    def write(self, lines: list[bytes]) -> int:
        """How many of them are in the file now. Never raises for what is the file's fault."""
        written = 0
        with self._lock:
            for line in lines:
                if len(line) > self.size // 2:
                    continue
                try:
                    self._append(line)
                except OSError as error:
                    if not self._failing:
                        say("error", f"the record {self.path!r} cannot be written: {error.strerror}")
                    self._failing = True
                    self.close()
                    break
                written += 1
                self._failing = False
        return written

    def move(self, path: str, size: int) -> None:
        """From now on there; what was written stays where it is."""
        with self._lock:
            self.close()
            self.path, self.size = path, size

    def told(self) -> dict[str, Any]:
        with self._lock:
            return {
                "file": self.path,
                "size": self.size,
                "bytes": sum(os.path.getsize(each) for each in self._files()),
            }

    def lines(self) -> Iterator[bytes]:
        for path in self._files():
            try:
                with open(path, "rb") as file:
                    while piece := file.read(PIECE):
                        yield piece
            except FileNotFoundError:
                continue  # it was forgotten meanwhile

    def forget(self) -> None:
        with self._lock:
            self.close()
            for path in self._files():
                os.unlink(path)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _files(self) -> list[str]:
        return [each for each in (f"{self.path}.1", self.path) if os.path.exists(each)]

    def _append(self, line: bytes) -> None:
        """Whole or not at all. Raises OSError."""
        file = self._open() if self._file is None else self._file
        end = os.fstat(file).st_size
        if end + len(line) > self.size // 2:
            self.close()
            os.replace(self.path, f"{self.path}.1")
            file, end = self._open(), 0
        try:
            written = 0
            while written < len(line):
                written += os.write(file, line[written:])
        except OSError:
            os.ftruncate(file, end)
            raise

    def _open(self) -> int:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return self._file
