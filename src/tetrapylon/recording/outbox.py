"""What a worker has sampled, on its way to the control process in batches: answers, and requests."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec

from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.processes.channel import Channel, Pairs, file_of

__all__ = ["Outbox"]

EVERY = 0.25
"""Seconds between two batches."""
MOST = 1 << 20
"""Bytes of answers that wait for the next batch, and of requests."""
OVERHEAD = 1000
"""Bytes of a pair or a request beside its bodies, about."""
SHADOW, RECORD = "tetrapylon_shadow_dropped_total", "tetrapylon_record_dropped_total"


class Outbox:
    """Bounded: what has no room, or nobody takes, is dropped and counted. All calls in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slab: Slab, channel: Channel | None) -> None:
        """`channel` None: nobody takes anything, and all is dropped."""
        self._loop = loop
        self._slab = slab
        self._channel = channel
        self._same: dict[str, int] = {}
        self._pairs = _Waiting()
        self._requests = _Waiting()
        self._due: asyncio.TimerHandle | None = None

    def same(self, route: str, count: int) -> None:
        """Of so many pairs the answers were equal to the last byte."""
        self._same[route] = self._same.get(route, 0) + count
        self._soon()

    def put(self, pair: tuple[Any, ...]) -> None:
        """Two answers that are to be compared, or three."""
        if self._pairs.take(pair, sum(len(answer[2]) for answer in pair[3:] if answer is not None)):
            self._soon()
        else:
            self._drop(SHADOW, pair[0], 1)

    def record(self, request: tuple[Any, ...]) -> None:
        """A request, as `recorded.Taken` has it."""
        fields = sum(len(name) + len(value) for name, value in request[4])
        if self._requests.take(request, fields + len(request[5] or b"")):
            self._soon()
        else:
            self._drop(RECORD, request[0], 1)

    def close(self) -> None:
        """Sends what is left."""
        if self._due is not None:
            self._due.cancel()
            self._send()

    def _soon(self) -> None:
        if self._due is None:
            self._due = self._loop.call_later(EVERY, self._send)

    def _send(self) -> None:
        self._due = None
        same, self._same = self._same, {}
        pairs, requests = self._pairs.empty(), self._requests.empty()
        if (same or pairs) and not self._sent((same, pairs), "answers"):
            for route, count in same.items():
                self._drop(SHADOW, route, count)
            for pair in pairs:
                self._drop(SHADOW, pair[0], 1)
        if requests and not self._sent(requests, "requests"):
            for request in requests:
                self._drop(RECORD, request[0], 1)

    def _sent(self, batch: object, of: str) -> bool:
        if self._channel is None:
            return False
        file = file_of(msgspec.msgpack.encode(batch), of)
        try:
            return self._channel.send(Pairs(of), [file])
        finally:
            os.close(file)

    def _drop(self, family: str, route: str, count: int) -> None:
        self._slab.count(family, {"route": route}, count)


class _Waiting:
    """For the next batch."""

    def __init__(self) -> None:
        self._items: list[tuple[Any, ...]] = []
        self._size = 0

    def take(self, item: tuple[Any, ...], size: int) -> bool:
        """Whether there is room for it; `size` in bytes, of its bodies."""
        if self._size + size + OVERHEAD > MOST:
            return False
        self._size += size + OVERHEAD
        self._items.append(item)
        return True

    def empty(self) -> list[tuple[Any, ...]]:
        """What waits, which waits no longer."""
        items, self._items, self._size = self._items, [], 0
        return items
