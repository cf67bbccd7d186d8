"""Stored answers that machines share, in Redis (or Valkey): how they are asked for, stored and ended.

Nobody waits longer for Redis than the config says: what it does not answer in time is a miss.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from tetrapylon.stores.redis_records import CHANGE, FIELDS, HEAD, KEEP, LOOK, VARY, Answer, Head, read_answer
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.config.model import Config
    from tetrapylon.stores.redis import Redis

__all__ = ["How", "SharedAnswers", "purge"]

How = Literal["path", "prefix", "tag", "uri"]

BATCH = 64
"""Answers asked for, or stored, by one command: a script blocks Redis for all its clients while it runs."""
REPLY = 2**20
"""Bytes of bodies in one reply, from which on the next ones have to be asked for again."""
WRITING = 16 * 2**20
"""Bytes of bodies that wait to be stored; beyond, answers are not shared."""
WRITE_TIME = 2.0
"""Seconds that storing a batch may take: nobody waits for it."""
PENDING = 4096
"""Changes kept while Redis is away; with more, all that is stored there ends."""
AGAIN = 1.0
"""Seconds until changes are told again that Redis has refused."""
VALIDATED = 3600
"""Seconds that an answer which can be asked about is kept beyond its time."""
LONGEST = 30 * 86400
"""Seconds that any answer is kept."""


class Asking(Protocol):
    """Who is told: the policy `cache`."""

    def resumed(self, question: Any, mark: bytes | None, same: bool, record: Answer | None) -> None: ...
    def varies(self, question: Any, vary: bytes) -> None: ...


class Waiting(Protocol):
    def resume(self) -> None: ...


class _Asked:
    """One key, and all who wait for it."""

    def __init__(self, known: bytes | None) -> None:
        self.known = known or b""
        self.who: list[tuple[Any, Asking]] = []


class _Write:
    """One answer on its way, or one that goes (`ttl` 0)."""

    def __init__(self, key: bytes, id: bytes, said: dict[str, Any] | None) -> None:
        self.key = key
        self.id = id
        self.said = said
        self.since = time.monotonic()
        self.size = len(said["body"]) if said is not None else 0

    def arguments(self) -> tuple[tuple[bytes, bytes], list[Any]]:
        if self.said is None:
            return (self.key, self.key), [0, self.id, *[b""] * 8]
        said = self.said
        age = said["age"] + int((time.monotonic() - self.since) * 1e6)
        kept = max(0, said["lifetime"] - age) + max(said["late"], said["faulty"])
        kept = min(LONGEST * 10**6, kept + (VALIDATED * 10**6 if said["validated"] else 0))
        names = Head.__struct_fields__
        head = msgspec.msgpack.encode(Head(**{**{each: said[each] for each in names}, "age": age}))
        epoch, n = said["mark"].split()
        vary = said["vary"]
        pointer = said["pointer"] if vary is not None else self.key
        return (self.key, pointer), [
            *(max(1, kept // 1000), self.id, epoch, n, said["uri"], said["path"], b" ".join(said["tags"])),
            *(head, said["body"], vary or b""),
        ]


class SharedAnswers:
    """Those of the stores of one name, in one Redis. All calls come from the loop's thread."""

    def __init__(
        self,
        redis: Redis,
        name: str,
        largest: int,
        timeout: float,
        count: Callable[[str, int], None],
    ) -> None:
        """`largest` body (bytes), `timeout` (seconds) of what is asked for; `count` is told what is done."""
        self._redis = redis
        self._loop = redis.loop
        self._name = name
        self._prefix = prefix(name)
        self._state = self._prefix[:-1]
        self._largest = largest
        self._timeout = timeout
        self._count = count
        self._asked: dict[bytes, _Asked] = {}
        self._writes: deque[_Write] = deque()
        self._writing = 0
        self._changes: dict[tuple[str, bytes], None] = {}
        self._behind = False
        """Changes that came while it was away have still to be told."""
        self._refused: set[str] = set()
        """Scripts that it has refused last, and has said so."""
        self._again: asyncio.TimerHandle | None = None
        """Until when nothing is told, for Redis has refused it."""
        self._told: list[Waiting] = []
        self._under_way: dict[str, asyncio.Task[None]] = {}
        redis.told.add(self)

    @property
    def ready(self) -> bool:
        """Whether it can be asked, and nothing that it has to be told first is left."""
        if self._redis.ready and not self._behind:
            return True
        self._count("away", 1)
        return False

    # What is asked

    def look(self, key: bytes, known: bytes | None, question: Any, policy: Asking) -> None:
        """Tells `policy` what lies under the key, where that is not what is `known`."""
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = _Asked(known)
        asked.who.append((question, policy))
        self._begin("look", self._look)

    async def _look(self) -> None:
        asked = {key: self._asked.pop(key) for key in list(self._asked)[:BATCH]}
        keys = [self._state, *(self._prefix + key for key in asked)]
        known = [each.known for each in asked.values()]
        try:
            mark, *found = await self._run(LOOK, keys, [self._largest, REPLY, *known], self._timeout)
        except Exception as error:  # noqa: BLE001 - of any kind: it is a miss then
            self._failed(error, LOOK)
            missed = [*asked.values(), *self._asked.values()]
            self._asked.clear()
            self._count("failed", len(missed))
            for each in missed:
                for question, policy in each.who:
                    policy.resumed(question, None, False, None)
            return
        done: Counter[str] = Counter()
        for (key, each), there in zip(asked.items(), found, strict=True):
            if there == 2:
                again = self._asked.setdefault(key, each)
                if again is not each:
                    again.who.extend(each.who)
                continue
            done[self._tell(each, mark, there)] += 1
        for what, count in done.items():
            self._count(what, count)

    def _tell(self, asked: _Asked, mark: bytes, there: Any) -> str:
        record: Answer | None = None
        what = (
            {0: "absent", 1: "same", 3: "refused"}.get(there, "found") if isinstance(there, int) else "found"
        )
        try:
            if isinstance(there, list) and len(there) == 1:
                if not VARY.fullmatch(there[0]):
                    raise ValueError("a Vary that is none")
                for question, policy in asked.who:
                    policy.varies(question, there[0])
                return "varies"
            if isinstance(there, list):
                record = read_answer(*there)
        except (ValueError, TypeError, msgspec.MsgspecError):
            what = "refused"
        for question, policy in asked.who:
            policy.resumed(question, mark, what == "same", record)
        return what

    def refused(self) -> None:
        """What was found is nothing that this gateway would have stored."""
        self._count("refused", 1)

    # What is stored

    def keep(self, *, key: bytes, id: bytes, **said: Any) -> None:
        """Stores an answer, if nothing has ended it by then. `said` is what `record_of` tells of it."""
        write = _Write(key, id, said)
        if (
            not self._redis.ready
            or self._writing + write.size > WRITING
            or len(said["fields"]) > FIELDS
            or sum(len(name) + len(value) for name, value in said["fields"]) > HEAD // 2
        ):
            self._count("dropped", 1)
            return
        self._write(write)

    def drop(self, key: bytes, id: bytes) -> None:
        """Ends one answer, if it is still there."""
        if self._redis.ready:
            self._write(_Write(key, id, None))

    def _write(self, write: _Write) -> None:
        self._writing += write.size
        self._writes.append(write)
        self._begin("keep", self._keep)

    async def _keep(self) -> None:
        keys, arguments, size = [self._state], [], 0
        batch: list[_Write] = []
        while self._writes and len(batch) < BATCH and (not batch or size + self._writes[0].size <= REPLY):
            batch.append(write := self._writes.popleft())
            size += write.size
            pair, said = write.arguments()
            keys += [self._prefix + key for key in pair]
            arguments += said
        try:
            stored = await self._run(KEEP, keys, arguments, WRITE_TIME)
        except Exception as error:  # noqa: BLE001 - of any kind: it is not stored then
            self._failed(error, KEEP)
            self._count("dropped", len(batch) + len(self._writes))
            self._writes.clear()
            self._writing = 0
            return
        self._writing -= size
        kept = [done for write, done in zip(batch, stored, strict=True) if write.said is not None]
        self._count("kept", sum(kept))
        self._count("ended", len(kept) - sum(kept))

    # What ends

    def change(self, how: How, what: bytes, waiting: Waiting) -> bool:
        """Ends what is stored of it. True: `waiting` is resumed once that is so, or Redis is away."""
        self._changes[how, what] = None
        if len(self._changes) > PENDING:
            self._changes = {("prefix", b"/"): None}
        if not self._redis.ready or self._again is not None:
            self._behind = True
            return False
        self._told.append(waiting)
        self._begin("change", self._change)
        return True

    async def _change(self) -> None:
        changes, self._changes = self._changes, {}
        told, self._told = self._told, []
        try:
            await self._run(
                CHANGE, [self._state], [word for change in changes for word in change], self._timeout
            )
            self._count("changed", len(changes))
            self._behind = False
        except Exception as error:  # noqa: BLE001 - of any kind: it is told once it is back
            self._changes = {**changes, **self._changes}
            told += self._told
            self._told = []
            self._behind = True
            if self._failed(error, CHANGE):
                self._again = self._loop.call_later(AGAIN, self._tell_again)
        for each in told:
            each.resume()

    def _tell_again(self) -> None:
        self._again = None
        self.returned()

    def returned(self) -> None:
        """Redis is back."""
        if self._changes and self._again is None:
            self._begin("change", self._change)

    # One command of a kind at a time

    def _begin(self, kind: str, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if kind not in self._under_way:
            self._under_way[kind] = self._loop.create_task(self._all(kind, step))

    async def _all(self, kind: str, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        waiting: dict[str, Callable[[], object]] = {
            "look": lambda: self._asked,
            "keep": lambda: self._writes,
            "change": lambda: self._changes and self._redis.ready and self._again is None,
        }
        try:
            while waiting[kind]():
                await step()
        finally:
            del self._under_way[kind]

    def _failed(self, error: Exception, script: str) -> bool:
        """Redis is away, or (True) says itself what it does not do: it may have no room, or be a replica."""
        from redis.exceptions import ResponseError

        if not isinstance(error, ResponseError):
            self._redis.failed(error)
            return False
        if script not in self._refused:
            say("error", f"cache {self._name}: Redis refuses: {error}")
        self._refused.add(script)
        return True

    async def _run(self, script: str, keys: list[bytes], arguments: list[Any], within: float) -> Any:
        found = await self._redis.run(script, keys, [token_hex(8), *arguments], within)
        self._refused.discard(script)
        return found


def prefix(name: str) -> bytes:
    """What the keys of a store begin with; in braces, for a cluster keeps them together by it."""
    return f"tetrapylon:cache:{{{name}}}:".encode()


async def purge(config: Config, how: str, what: str) -> list[str]:
    """Ends what all machines share of it, `how` as in `How`.

    Returns the places of those Redis that could not be told.
    """
    silent: list[str] = []
    for url, name in sorted(_stores(config)):
        from redis.asyncio import Redis as Client

        client = Client.from_url(url, protocol=2)
        try:
            async with asyncio.timeout(WRITE_TIME):
                await client.eval(CHANGE, 1, prefix(name)[:-1], token_hex(8), how, what.encode())
        except Exception as error:  # noqa: BLE001 - of any kind: the one who asked is told
            where = url.rpartition("@")[2]
            say("error", f"Redis {where} was not told to forget: {str(error) or type(error).__name__}")
            silent.append(where)
        finally:
            await client.aclose()
    return silent


def _stores(config: Config) -> set[tuple[str, str]]:
    """Redis and name of each store that machines share."""
    uses = [*config.policies, *(use for route in config.routes for use in route.uses)]
    return {
        (use.settings["redis"], use.settings.get("name", "default"))
        for use in uses
        if use.use == "cache" and use.settings.get("store") == "redis"
    }
