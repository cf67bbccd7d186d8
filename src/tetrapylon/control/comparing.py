"""Answers are compared here, in a thread of the control process: far from the workers' loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from tetrapylon.config.wire import Encoded
from tetrapylon.events import say
from tetrapylon.shadows import rules

if TYPE_CHECKING:
    from tetrapylon.config.model import Config, Shadow
    from tetrapylon.diff import Rules
    from tetrapylon.diff.file import FindingsFile

__all__ = ["Comparing"]

WAITING = 8 << 20
"""Bytes of batches that wait to be compared; those beyond are dropped, which is said once."""
WRITE_EVERY = 1.0
"""Seconds between two writes of the file."""
DUTY = 0.5
"""The most of its time that the thread is at work: the same process answers the admin."""


class Comparing:
    """What the shadows of the config in force find. Made when the first config has one."""

    def __init__(self, config: bytes) -> None:
        self.lock = threading.Lock()
        """Of the findings."""
        self._full = False
        """Batches found no room, which was said."""
        self._batches: deque[bytes] = deque()
        self._waiting = 0
        self._wake = threading.Event()
        self._ended = False
        self._rules: dict[str, Rules] = {}
        self._file: FindingsFile | None = None
        self._thread: threading.Thread | None = None
        self.follow(config)

    def follow(self, config: bytes) -> None:
        """From now on by this config."""
        encoded = Encoded(config)
        shadows: dict[str, Shadow] = {
            route.title: route.shadow for route, _ in encoded.routes() if route.shadow is not None
        }
        self._rules = {title: rules(each) for title, each in shadows.items()}
        if shadows and self._file is None:
            self._begin(encoded.head)

    def _begin(self, head: Config) -> None:
        from tetrapylon.diff.file import FindingsFile

        self._file = FindingsFile(head.diff.file, head.diff.size)
        self._thread = threading.Thread(target=self._run, name="comparing", daemon=True)
        self._thread.start()

    def take(self, batch: bytes) -> None:
        """As `Outbox` made it. From the loop's thread; it never waits."""
        if self._waiting + len(batch) > WAITING:
            if not self._full:
                self._full = True
                say("warning", "shadow: more answers come than can be compared; the rest is dropped")
            return
        self._waiting += len(batch)
        self._batches.append(batch)
        self._wake.set()

    def told(self, route: str | None = None) -> list[dict[str, Any]]:
        if self._file is None:
            return []
        with self.lock:
            found = self._file.findings.routes
            return [found[name].told() for name in sorted(found) if route in (None, name)]

    def forget(self, route: str | None) -> bool:
        """Begins anew; whether there was anything."""
        if self._file is None:
            return False
        with self.lock:
            if route is not None and route not in self._file.findings.routes:
                return False
            self._file.findings.forget(route)
            return True

    async def close(self) -> None:
        """Compares what has come, and writes it."""
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 2.0)

    # -- the thread

    def _run(self) -> None:
        assert self._file is not None
        written = time.monotonic()
        while True:
            ended = self._ended
            began = time.monotonic()
            if self._batches:
                batch = self._batches.popleft()
                self._waiting -= len(batch)
                self._compare(batch)
            now = time.monotonic()
            if now - written >= WRITE_EVERY or (ended and not self._batches):
                with self.lock:
                    self._file.write()
                written = now
            if ended and not self._batches:
                with self.lock:
                    self._file.close()
                return
            if self._batches:
                if not ended:
                    time.sleep((now - began) * (1 - DUTY) / DUTY)
                continue
            self._wake.clear()
            if not self._batches and not self._ended:
                self._wake.wait(WRITE_EVERY)

    def _compare(self, batch: bytes) -> None:
        from tetrapylon.diff.findings import Batch, Pair

        assert self._file is not None
        same, pairs = msgspec.msgpack.decode(batch, type=Batch)
        with self.lock:
            for route, count in same.items():
                self._file.findings.same(route, count)
        # What teaches comes first: a batch may hold the first answers of all.
        pairs.sort(key=lambda pair: pair[5] is None)
        for route, method, target, primary, second, again in pairs:
            known = self._rules.get(route)
            if known is None:
                continue  # a reload has taken its shadow away meanwhile
            pair = Pair(route, method.decode("latin-1"), target.decode("latin-1"), primary, second, again)
            try:
                with self.lock:
                    self._file.findings.take(pair, known)
            except Exception as error:  # noqa: BLE001 - one pair must not end it for all others
                say("error", f"shadow: a pair of {route} could not be compared", error=error)
