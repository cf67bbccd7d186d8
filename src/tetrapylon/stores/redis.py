"""Counting in Redis (or Valkey): one script a batch, and what to do when Redis is slow or away.

Whoever asks while a batch is under way waits for the next one, and under load a batch is given a moment to
grow: one command serves all of it. A batch that is not answered in time is given up, and with it Redis, until
it answers a PING again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from weakref import WeakSet

from tetrapylon.telemetry.events import say

PROBE = 0.25
"""Seconds between two PINGs while Redis is away."""
MOST = 512
"""Keys in a batch: a script blocks Redis for all its clients while it runs."""
BUSY = 2000.0
"""Requests a second from which on a batch is given a moment to grow."""
GROWTH = 48.0
"""Requests that a batch grows to, if that takes no longer than LINGER seconds."""
LINGER = 0.005

RATES = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local windows = tonumber(ARGV[1])
local out = {}
for k = 1, #KEYS do
  local wanted = tonumber(ARGV[1 + 2 * windows + k])
  local due, i = {}, 0
  for word in string.gmatch(redis.call('GET', KEYS[k]) or '', '%S+') do
    i = i + 1
    due[i] = tonumber(word)
  end
  local allowed = wanted
  for w = 1, windows do
    if not due[w] or due[w] < now then due[w] = now end
    local fit = math.floor((ARGV[1 + 2 * w] - (due[w] - now) + 0.5) / ARGV[2 * w]) + 1
    if fit < allowed then allowed = fit end
  end
  if allowed < 0 then allowed = 0 end
  local remaining, reset, retry, window, longest, text = -1, 0, 0, 0, 0, {}
  for w = 1, windows do
    due[w] = due[w] + allowed * ARGV[2 * w]
    local ahead = due[w] - now
    local left = math.max(0, math.floor((ARGV[1 + 2 * w] - ahead + 0.5) / ARGV[2 * w]) + 1)
    if remaining < 0 or left < remaining then
      remaining, reset, window = left, ahead, w - 1
    end
    retry = math.max(retry, ahead - ARGV[1 + 2 * w])
    longest = math.max(longest, ahead)
    text[w] = string.format('%.3f', due[w])
  end
  if allowed > 0 then
    redis.call('SET', KEYS[k], table.concat(text, ' '), 'PX', math.ceil(longest / 1000) + 1)
  end
  for _, number in ipairs({allowed, remaining, math.ceil(reset), math.ceil(retry), window}) do
    out[#out + 1] = number
  end
end
return out
"""
"""KEYS; the number of windows, of each its interval and tolerance (us), and how many requests each key has.

Returns per key: how many of them are allowed, how many more would be, when its tightest window is as new
again, when the next one is allowed (us), and which window that is. Half a microsecond is left for the
rounding of doubles.
"""
QUOTAS = """
local limit = tonumber(ARGV[2])
local out = {}
for k = 1, #KEYS do
  local wanted = tonumber(ARGV[3 + k])
  local used = tonumber(redis.call('GET', KEYS[k]) or 0)
  local allowed = math.max(0, math.min(wanted, limit - used))
  if allowed > 0 then
    redis.call('SET', KEYS[k], string.format('%.0f', used + allowed), 'EX', ARGV[3])
  end
  for _, number in ipairs({allowed, math.max(0, limit - used - allowed), 0, 0, 0}) do
    out[#out + 1] = number
  end
end
return out
"""
"""KEYS; a number to be left aside, the limit, how long a period is kept (s), and how many requests each key
has.

Returns per key as RATES does, without times.
"""
ANSWER = 5
"""Numbers that a script returns for each key."""


class Waiting(Protocol):
    """What is handed back with an answer: a Ticket."""


class Returns(Protocol):
    """Who has something to do once Redis is back."""

    def returned(self) -> None: ...


class Redis:
    """One Redis and whether it is there; shared by all policies of a gateway that name it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, url: str) -> None:
        from redis.asyncio import Redis as Client
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self.loop = loop
        self._name = url.rpartition("@")[2]
        self._client: Any = Client.from_url(url, retry=Retry(NoBackoff(), 0), protocol=2)
        self._scripts: dict[str, Any] = {}
        self._probing: asyncio.Task[None] | None = None
        self.ready = True
        self.told: WeakSet[Returns] = WeakSet()
        """Who is told when it is back."""
        self.commands = 0
        """Scripts that were run."""

    async def run(self, script: str, keys: Sequence[bytes], arguments: Sequence[Any], within: float) -> Any:
        """What a script returns. Raises whatever keeps it from being told `within` so many seconds."""
        from redis.exceptions import NoScriptError

        if script not in self._scripts:
            from hashlib import sha1

            self._scripts[script] = sha1(script.encode(), usedforsecurity=False).hexdigest()
        self.commands += 1
        async with asyncio.timeout(within):
            try:
                return await self._client.evalsha(self._scripts[script], len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script, len(keys), *keys, *arguments)

    def failed(self, error: Exception) -> None:
        """Nobody asks it any more until it answers again."""
        if not self.ready:
            return
        self.ready = False
        say("error", f"Redis {self._name} is away: {_reason(error)}")
        self._probing = self.loop.create_task(self._probe())

    async def _probe(self) -> None:
        from redis.exceptions import RedisError

        began = time.monotonic()
        while True:
            await self._client.connection_pool.disconnect()
            try:
                async with asyncio.timeout(PROBE):
                    await self._client.ping()
                break
            except (RedisError, OSError):  # TimeoutError is an OSError
                await asyncio.sleep(PROBE)
        self.ready = True
        say("warning", f"Redis {self._name} is back after {time.monotonic() - began:.1f} s")
        for each in list(self.told):
            each.returned()

    def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
        if not self.loop.is_closed():
            self._closing = self.loop.create_task(self._client.aclose())


class Batch:
    """What one policy asks. `tell` says who is told the answers."""

    def __init__(self, redis: Redis, script: str, arguments: Sequence[Any], timeout: float) -> None:
        self._redis = redis
        self._loop = redis.loop
        self._script = script
        self._arguments = [len(arguments) // 2, *arguments]
        self._timeout = timeout
        self._waiting: dict[bytes, list[Waiting]] = {}
        self._due: asyncio.Handle | None = None
        self._under_way: asyncio.Task[None] | None = None
        self._asked = 0
        self._since = time.monotonic()
        self._rate = 0.0

    def tell(
        self,
        answered: Callable[[list[Waiting], int, int, int, int, int], None],
        unanswered: Callable[[list[Waiting]], None],
    ) -> None:
        self._answered = answered
        self._unanswered = unanswered

    @property
    def ready(self) -> bool:
        """Whether Redis can be asked at all."""
        return self._redis.ready

    def ask(self, key: bytes, waiting: Waiting) -> None:
        """One request of a key; those with the same key are answered together."""
        self._waiting.setdefault(key, []).append(waiting)
        self._asked += 1
        if self._due is None and self._under_way is None:
            self._plan()

    def _plan(self) -> None:
        now = time.monotonic()
        span = now - self._since
        if span >= 0.05:
            self._rate = self._asked / span
            self._asked, self._since = 0, now
        wait = min(LINGER, GROWTH / self._rate) if self._rate > BUSY else 0.0
        self._due = self._loop.call_later(wait, self._begin) if wait else self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._due = None
        self._under_way = self._loop.create_task(self._ask_all())

    async def _ask_all(self) -> None:
        if len(self._waiting) <= MOST:
            batch, self._waiting = self._waiting, {}
        else:
            batch = {key: self._waiting.pop(key) for key in list(self._waiting)[:MOST]}
        keys = [b"tetrapylon:" + key for key in batch]
        counts = [len(waiting) for waiting in batch.values()]
        try:
            found = await self._redis.run(self._script, keys, [*self._arguments, *counts], self._timeout)
            answers = [
                [int(number) for number in found[i : i + ANSWER]] for i in range(0, len(found), ANSWER)
            ]
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - of any kind: the policy says what becomes of the requests
            self._redis.failed(error)
            for waiting in [*batch.values(), *self._waiting.values()]:
                self._unanswered(waiting)
            self._waiting.clear()
        else:
            for waiting, answer in zip(batch.values(), answers, strict=True):
                self._answered(waiting, *answer)
        finally:
            self._under_way = None
            if self._waiting:
                self._plan()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it has not answered in time"
    return str(error) or type(error).__name__
