"""Answers are compared here, in a thread of the control process: far from the workers' loops."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from tetrapylon.config.wire import Encoded
from tetrapylon.control.aside import Aside
from tetrapylon.destinations.shadows import rules
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.config.model import Config, Shadow
    from tetrapylon.diff import Rules
    from tetrapylon.diff.file import FindingsFile

__all__ = ["Comparing"]

Counted = tuple[dict[str, int], list[tuple[str, Raw, Raw, Raw, Raw, Raw]]]
"""A batch whose answers are not looked at."""


class Comparing:
    """What the shadows of the config in force find. Its thread begins when the first config has one."""

    def __init__(self, config: bytes, dropped: Callable[[str, int], None]) -> None:
        """`dropped` is told of which route how many samples had no room."""
        self.lock = threading.Lock()
        """Of the findings."""
        self._dropped = dropped
        self._rules: dict[str, Rules] = {}
        self._file: FindingsFile | None = None
        self._aside: Aside | None = None
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

        self._file = FindingsFile(head.diff.file, head.diff.size, self.lock)
        self._aside = Aside("comparing", self._compare, self._write)

    def take(self, batch: bytes) -> None:
        """As `Outbox` made it. From the loop's thread; it never waits."""
        if self._aside is not None and not self._aside.take(batch):
            say("warning", "shadow: more answers come than can be compared; some are dropped, and counted")
            same, pairs = msgspec.msgpack.decode(batch, type=Counted)
            for route, count in (Counter(same) + Counter(pair[0] for pair in pairs)).items():
                self._dropped(route, count)

    def told(self, route: str | None = None) -> list[dict[str, Any]]:
        if self._file is None:
            return []
        with self.lock:
            found = self._file.findings.routes
            return [found[name].told() for name in sorted(found) if route in (None, name)]

    def counts(self, route: str) -> tuple[int, int]:
        """How many pairs of a route were compared, and how many of them differ."""
        if self._file is None:
            return 0, 0
        with self.lock:
            found = self._file.findings.routes.get(route)
            return (0, 0) if found is None else (found.compared, found.different())

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
        if self._aside is None or self._file is None:
            return
        await self._aside.close()
        self._file.close()

    # -- the thread

    def _write(self) -> None:
        assert self._file is not None
        self._file.write()

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
