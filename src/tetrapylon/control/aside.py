"""Work that is done beside the admin's answers, in a thread that gives way."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Aside"]

WAITING = 8 << 20
"""Bytes of batches that wait; there is no room for those beyond."""
SETTLE_EVERY = 1.0
"""Seconds between two calls of `settle`."""
DUTY = 0.5
"""The most of its time that the thread is at work: the same process answers the admin."""


class Aside:
    """Takes batches one by one. `work` and `settle` are called in its thread, and must not raise."""

    def __init__(
        self, name: str, work: Callable[[bytes], None], settle: Callable[[], None] = lambda: None
    ) -> None:
        """`settle` is called about once a second, and a last time when it ends."""
        self._work = work
        self._settle = settle
        self._lock = threading.Lock()
        """Of the two below."""
        self._batches: deque[bytes] = deque()
        self._waiting = 0
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def take(self, batch: bytes) -> bool:
        """Whether there is room for it. From the loop's thread; it never waits long."""
        with self._lock:
            if self._waiting + len(batch) > WAITING:
                return False
            self._waiting += len(batch)
            self._batches.append(batch)
        self._wake.set()
        return True

    async def close(self) -> None:
        """Works off what has come."""
        self._ended = True
        self._wake.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 2.0)

    def _run(self) -> None:
        settled = time.monotonic()
        while True:
            ended = self._ended
            began = time.monotonic()
            batch = self._next()
            if batch is not None:
                self._work(batch)
            now = time.monotonic()
            if now - settled >= SETTLE_EVERY or (ended and batch is None):
                self._settle()
                settled = now
            if batch is not None:
                if not ended:
                    time.sleep((now - began) * (1 - DUTY) / DUTY)
            elif ended:
                return
            else:
                self._wake.wait(SETTLE_EVERY)
                self._wake.clear()

    def _next(self) -> bytes | None:
        with self._lock:
            if not self._batches:
                return None
            batch = self._batches.popleft()
            self._waiting -= len(batch)
            return batch
