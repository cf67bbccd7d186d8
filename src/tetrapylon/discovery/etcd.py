"""Targets in etcd: a key each, below a prefix, read once and then watched (etcd v3, its JSON gateway)."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from tetrapylon.config import model
from tetrapylon.config.read_json import parse
from tetrapylon.config.tree import Document, Node
from tetrapylon.discovery.http import Refused, Reply, post
from tetrapylon.discovery.read import read_targets
from tetrapylon.errors import ConfigError

if TYPE_CHECKING:
    import ssl

__all__ = ["EtcdRegistry"]

UNAUTHENTICATED = (401, 400)
"""etcd 3.3 and 3.4 say 400 for a token that is no longer valid."""


class EtcdRegistry:
    def __init__(self, settings: model.Etcd) -> None:
        self._settings = settings
        self._endpoints = list(settings.endpoints)
        self._token: str | None = None
        self._context: ssl.SSLContext | None = None
        if any(each.startswith("https:") for each in self._endpoints):
            import ssl

            self._context = ssl.create_default_context(cafile=settings.ca)
        begin = settings.prefix.encode()
        self._range = {"key": _text(begin), "range_end": _text(after(begin))}

    async def targets(self) -> AsyncIterator[tuple[model.Target, ...] | ConfigError]:
        failed = 0
        while True:
            try:
                revision, pairs = await self._read()
                failed = 0
                yield self._parse(pairs)
                await self._changed(revision + 1)
            except OSError:
                self._endpoints.append(self._endpoints.pop(0))  # another member is asked
                failed += 1
                if failed >= len(self._endpoints):
                    raise
            except Refused as refused:
                if self._token is None or refused.status not in UNAUTHENTICATED:
                    raise
                self._token = None  # it has expired: a new one is asked for

    def _parse(self, pairs: list[tuple[str, str]]) -> tuple[model.Target, ...] | ConfigError:
        """An error names the keys."""
        targets: dict[str, model.Target] = {}
        problems = []
        for key, value in pairs:
            source = f"etcd:{key}"
            try:
                if value.lstrip().startswith("{"):
                    root = parse(value, source).root
                else:
                    root = Node(value.strip(), (1, 1))
                document = Document(source, Node([root], (1, 1)))
                for target in read_targets(document):
                    targets.setdefault(target.url, target)  # two keys may name one server
            except ConfigError as error:
                problems += error.problems
        if problems:
            return ConfigError(problems)
        return tuple(targets.values())

    async def _read(self) -> tuple[int, list[tuple[str, str]]]:
        """The revision, and all pairs."""
        answer = await self._ask("/v3/kv/range", self._range)
        pairs = [
            (
                _bytes(pair["key"]).decode("utf-8", "replace"),
                _bytes(pair.get("value", "")).decode("utf-8", "replace"),
            )
            for pair in answer.get("kvs", ())
        ]
        return int(answer["header"]["revision"]), sorted(pairs)

    async def _changed(self, revision: int) -> None:
        """Returns when something has, from that revision on, or when it is time to look."""
        create = {**self._range, "start_revision": str(revision)}
        try:
            async with asyncio.timeout(self._settings.refresh or None):
                async with self._post("/v3/watch", {"create_request": create}) as reply:
                    await _first_event(reply)
        except TimeoutError:
            return

    async def _ask(self, path: str, value: Any) -> dict[str, Any]:
        async with self._post(path, value) as reply, asyncio.timeout(self._settings.timeout):
            answer: dict[str, Any] = msgspec.json.decode(await reply.body())
            return answer

    @asynccontextmanager
    async def _post(self, path: str, value: Any) -> AsyncIterator[Reply]:
        user = self._settings.user
        if user is not None and self._token is None:
            account = {"name": user, "password": self._settings.password}
            async with self._posted("/v3/auth/authenticate", account, {}) as reply:
                self._token = str(msgspec.json.decode(await reply.body())["token"])
        headers = {} if self._token is None else {"Authorization": self._token}
        async with self._posted(path, value, headers) as reply:
            yield reply

    def _posted(self, path: str, value: Any, headers: dict[str, str]) -> AbstractAsyncContextManager[Reply]:
        return post(
            self._endpoints[0] + path,
            value,
            headers=headers,
            context=self._context,
            within=self._settings.timeout,
        )


async def _first_event(reply: Reply) -> None:
    """One JSON value a line, each a WatchResponse: one is told of the watch itself, then the events."""
    left = b""
    async for piece in reply.pieces():
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            if not line.strip():
                continue
            told = msgspec.json.decode(line)
            if "error" in told:
                raise ConnectionError(f"the watch ended: {told['error']}")
            result = told.get("result", {})
            # Cancelled: the revision has been compacted meanwhile, so all keys are read again.
            if result.get("events") or result.get("canceled"):
                return


def after(prefix: bytes) -> bytes:
    """The first key beyond those with the prefix: its last byte that can be larger, larger by one."""
    cut = prefix.rstrip(b"\xff")
    return cut[:-1] + bytes([cut[-1] + 1]) if cut else b"\0"


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text)
