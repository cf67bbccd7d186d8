"""A set of keys that somebody publishes: fetched, refreshed, and fetched again for a key not yet known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tetrapylon.telemetry.events import say

__all__ = ["Published"]

RETRY = 1.0
"""Seconds after which a first fetch that failed is tried again."""


class Published:
    """Keys that are fetched.

    `fetch` gives the bytes or raises; `take` makes keys of them or raises ValueError. What it took last stays
    while the place cannot be reached. A request for a key that is not known leads to a fetch at most once per
    `cooldown`, however many ask: all wait for the same one.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Awaitable[bytes]],
        take: Callable[[bytes], None],
        *,
        loop: asyncio.AbstractEventLoop,
        cooldown: float,
        refresh: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._take = take
        self._loop = loop
        self._cooldown = cooldown
        self._refresh = refresh
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._failing = ""
        self._fetched = -float("inf")
        self._waiting: list[Callable[[], None]] = []
        self.ready = False
        """Whether there are keys at all."""

    def start(self) -> None:
        """Fetches as soon as the loop runs."""
        self._timer = self._loop.call_later(0, self._begin)

    def close(self) -> None:
        self._closed = True
        for each in (self._timer, self._task):
            if each is not None:
                each.cancel()
        self._waiting.clear()

    def ask(self, then: Callable[[], None]) -> bool:
        """A key is not known. True: `then` is called once a fetch has ended; False: there is none now."""
        if self._closed:
            return False
        if self._task is None:
            pause = self._cooldown if self.ready else RETRY
            if self._clock() - self._fetched < pause:
                return False
            self._begin()
        self._waiting.append(then)
        return True

    def _begin(self) -> None:
        if self._closed or self._task is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            self._take(await self._fetch())
        except (OSError, ValueError) as error:
            text = f"{self._name}: {error}"
            if text != self._failing:
                kept = "; the keys fetched before stay in use" if self.ready else ""
                say("error", text + kept)
            self._failing = text
        else:
            self.ready, self._failing = True, ""
        finally:
            self._task = None
            self._fetched = self._clock()
        if self._closed:
            return
        self._timer = self._loop.call_later(self._refresh if self.ready else RETRY, self._begin)
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()
