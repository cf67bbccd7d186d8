"""A worker's pairs of answers on their way to the process that compares them, in batches."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec

from tetrapylon._core.counters import Slab
from tetrapylon.channel import Channel, Pairs, file_of

__all__ = ["Outbox"]

EVERY = 0.25
"""Seconds between two batches."""
MOST = 1 << 20
"""Bytes of answers that wait for the next batch."""
OVERHEAD = 1000
"""Bytes of a pair beside its bodies, about."""


class Outbox:
    """Bounded: what has no room, or nobody takes, is dropped and counted. All calls in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slab: Slab, channel: Channel | None) -> None:
        """`channel` None: nobody compares, and all is dropped."""
        self._loop = loop
        self._slab = slab
        self._channel = channel
        self._same: dict[str, int] = {}
        self._pairs: list[tuple[Any, ...]] = []
        self._size = 0
        self._due: asyncio.TimerHandle | None = None

    def same(self, route: str) -> None:
        self._same[route] = self._same.get(route, 0) + 1
        self._soon()

    def put(self, pair: tuple[Any, ...]) -> None:
        size = OVERHEAD + sum(len(answer[2]) for answer in pair[3:] if answer is not None)
        if self._size + size > MOST:
            self._drop(pair[0], 1)
            return
        self._size += size
        self._pairs.append(pair)
        self._soon()

    def close(self) -> None:
        """Sends what is left."""
        if self._due is not None:
            self._due.cancel()
            self._send()

    def _soon(self) -> None:
        if self._due is None:
            self._due = self._loop.call_later(EVERY, self._send)

    def _send(self) -> None:
        same, pairs = self._same, self._pairs
        self._same, self._pairs, self._size, self._due = {}, [], 0, None
        sent = False
        if self._channel is not None:
            file = file_of(msgspec.msgpack.encode((same, pairs)), "pairs")
            sent = self._channel.send(Pairs(), [file])
            os.close(file)
        if not sent:
            for route, count in same.items():
                self._drop(route, count)
            for pair in pairs:
                self._drop(pair[0], 1)

    def _drop(self, route: str, count: int) -> None:
        self._slab.count("tetrapylon_shadow_dropped_total", {"route": route}, count)
