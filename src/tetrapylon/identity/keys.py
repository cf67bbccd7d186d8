"""API keys: those of the config, of a file that changes, and of Redis."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from tetrapylon.config.model import Consumer
from tetrapylon.config.model.credentials import GROUP, NAME
from tetrapylon.errors import TetrapylonError
from tetrapylon.identity.consumers import Untellable, by_name, known
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon._core.identity import Known
    from tetrapylon.config.model import Config

__all__ = ["BadKeyFile", "RedisKeys", "of_config", "problems", "read_file", "redis_keys", "watch"]

LINE = re.compile(r"sha256:([0-9a-fA-F]{64})[ \t]+(\S+)((?:[ \t]+\S+)*)")
Entry = tuple[bytes, str, tuple[str, ...]]
"""A key's digest, whose it is, and groups."""


class BadKeyFile(TetrapylonError):
    """A file of keys that cannot be used; says where."""


def of_config(config: Config, settings: Any) -> Iterator[tuple[bytes, Known]]:
    """The keys of all consumers."""
    for consumer in config.consumers:
        if consumer.api_keys:
            who = known(consumer, settings.headers)
            for key in consumer.api_keys:
                yield bytes.fromhex(key.removeprefix("sha256:")), who


# Files


def read_file(name: str) -> list[Entry]:
    """The keys of a file. Raises BadKeyFile, which shows none of its text."""
    try:
        with open(name, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise BadKeyFile(f"{name} cannot be read: {reason}") from None
    found: list[Entry] = []
    at: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise BadKeyFile(f"{name}:{number}: this is no key; expected sha256:HEX NAME [GROUP ...]")
        owner, groups = match[2], tuple(match[3].split())
        if NAME.fullmatch(owner) is None or not all(GROUP.fullmatch(group) for group in groups):
            raise BadKeyFile(f"{name}:{number}: a name or group holds more than printable ASCII; rename it")
        digest = bytes.fromhex(match[1])
        first = at.setdefault(digest, number)
        if first != number:
            raise BadKeyFile(f"{name}:{number}: this key stands on line {first} too; leave one of them out")
        found.append((digest, owner, groups))
    return found


def made_known(
    entries: Iterable[Entry], config: Config, headers: dict[str, str]
) -> list[tuple[bytes, Known]]:
    """Each key with whom it stands for; keys of one consumer share it."""
    named = by_name(config)
    made: dict[tuple[str, tuple[str, ...]], Known] = {}
    keys = []
    for digest, owner, groups in entries:
        who = made.get((owner, groups))
        if who is None:
            who = known(named.get(owner) or Consumer(name=owner), headers, groups=groups)
            made[owner, groups] = who
        keys.append((digest, who))
    return keys


def watch(settings: Any, scope: Any, replace: Callable[[list[tuple[bytes, Known]]], object]) -> None:
    """Gives the file's keys to `replace`, now and whenever it has changed.

    A large file is read beside the loop. Raises BadKeyFile the first time; later the keys read before stay.
    """
    from tetrapylon.net.tls import Watcher

    loop: asyncio.AbstractEventLoop = scope.loop
    reading: list[asyncio.Task[None]] = []

    def read() -> list[tuple[bytes, Known]]:
        return made_known(read_file(settings.file), scope.config, settings.headers)

    async def reread() -> None:
        try:
            replace(await loop.run_in_executor(None, read))
        except BadKeyFile as problem:
            say("error", f"api_key: {problem}; the keys read before stay in use")

    def changed() -> None:
        reading[:] = [loop.create_task(reread())]

    replace(read())
    watcher = next((each for each in scope.closing if isinstance(each, Watcher)), None)
    if watcher is None:
        watcher = Watcher(loop)
        scope.closing.append(watcher)
    watcher.add([settings.file], changed)


def problems(settings: Any, config: Config) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if settings.file is not None:
        try:
            read_file(settings.file)
        except BadKeyFile as problem:
            message, _, hint = str(problem).partition("; ")
            yield ("file",), message, hint
    elif settings.redis is None and not any(
        consumer.api_keys for consumer in config.consumers if consumer.name
    ):
        yield (), "there is no key", "give `api_keys` to consumers, or a `file` or `redis`"
    if settings.redis is not None:
        if find_spec("redis") is None:
            yield ("redis",), "redis is not installed", "`pip install tetrapylon[redis]` brings it"
        elif not settings.redis.url.startswith(("redis://", "rediss://", "unix://")):
            yield ("redis", "url"), "this is no URL of Redis", "expected one such as redis://127.0.0.1:6379/0"


# Redis


class Stored(msgspec.Struct, frozen=True):
    name: str
    groups: tuple[str, ...] = ()
    metadata: dict[str, str] = {}


class RedisKeys:
    """Asks Redis for keys that are not known; `ask` answers on the loop, once for each call."""

    def __init__(self, client: Any, settings: Any, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._prefix = settings.redis.prefix
        self._timeout = settings.redis.timeout
        self._headers = settings.headers
        self._named = by_name(config)
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._failing = False

    def ask(self, digest: bytes, then: Callable[[bytes, Known | bool | None], object]) -> None:
        task = self._loop.create_task(self._ask(digest, then))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, digest: bytes, then: Callable[[bytes, Known | bool | None], object]) -> None:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self._timeout):
                value = await self._client.get(self._prefix + digest.hex())
        except (RedisError, OSError, TimeoutError) as error:
            if not self._failing:
                say("error", f"api_key: Redis does not answer: {type(error).__name__}")
            self._failing = True
            then(digest, None)
            return
        self._failing = False
        then(digest, self._read(value))

    def _read(self, value: bytes | None) -> Known | bool | None:
        if value is None:
            return False
        try:
            text = value.decode()
            stored = (
                msgspec.json.decode(value, type=Stored) if text.startswith("{") else Stored(name=text.strip())
            )
            if NAME.fullmatch(stored.name) is None or not all(map(GROUP.fullmatch, stored.groups)):
                raise ValueError("a name or group that is none")
            consumer = self._named.get(stored.name) or Consumer(name=stored.name, metadata=stored.metadata)
            return known(consumer, self._headers, groups=stored.groups)
        except (ValueError, msgspec.MsgspecError, Untellable):
            say("error", "api_key: what Redis has under a key is neither a name nor a JSON object with one")
            return None

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


def redis_keys(settings: Any, scope: Any) -> RedisKeys:
    from redis.asyncio import Redis

    client = Redis.from_url(
        settings.redis.url,
        socket_timeout=settings.redis.timeout,
        socket_connect_timeout=settings.redis.timeout,
        max_connections=16,
    )
    keys = RedisKeys(client, settings, scope.config, scope.loop)
    scope.closing.append(keys)
    return keys
