"""Follows the registries of a config's upstreams: each good set is passed on, all else is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec

from tetrapylon.config import model
from tetrapylon.discovery.read import checked
from tetrapylon.discovery.registry import make, name_of
from tetrapylon.errors import ConfigError
from tetrapylon.telemetry.events import say

__all__ = ["Follower", "Publish", "fingerprint"]

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds before a registry that failed is asked again: doubled each time, up to this."""

Publish = Callable[[str, bytes, tuple[model.Target, ...]], None]
"""Is given an upstream's name, the fingerprint of its `discover`, and the whole set of its targets."""


def fingerprint(discover: model.Discover) -> bytes:
    """Equal for equal settings, and for no others."""
    return msgspec.msgpack.encode(discover)


class Follower:
    def __init__(self, loop: asyncio.AbstractEventLoop, publish: Publish) -> None:
        self._loop = loop
        self._publish = publish
        self._following: dict[str, _Following] = {}

    def follow(self, upstreams: Mapping[str, model.Upstream]) -> None:
        """These from now on; what has not changed goes on as it is."""
        wanted = {
            name: upstream.discover for name, upstream in upstreams.items() if upstream.discover is not None
        }
        for name in list(self._following):
            if wanted.get(name) != self._following[name].discover:
                self._following.pop(name).task.cancel()
        for name, discover in wanted.items():
            if name not in self._following:
                self._following[name] = _Following(self._loop, name, discover, self._publish)

    def close(self) -> None:
        for each in self._following.values():
            each.task.cancel()
        self._following.clear()


class _Following:
    """One upstream's registry."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, name: str, discover: model.Discover, publish: Publish
    ) -> None:
        self.discover = discover
        self._name = name
        self._publish = publish
        self._print = fingerprint(discover)
        self._source = name_of(discover)
        self._known: tuple[model.Target, ...] | None = None
        self._trouble = ""
        self._pause = FIRST_PAUSE
        self.task = loop.create_task(self._run())

    async def _run(self) -> None:
        registry = None
        while True:
            try:
                registry = registry or make(self.discover)
                async for found in registry.targets():
                    self._pause = FIRST_PAUSE
                    try:
                        self._take(found)
                    except ConfigError as error:
                        self._tell("; ".join(map(str, error.problems)))
                trouble = "it ended"
            except Exception as error:  # noqa: BLE001 - whatever it is, what is known stays and this is told
                trouble = str(error) or type(error).__name__
                if not isinstance(error, OSError):
                    trouble = f"{type(error).__name__}: {trouble}"
            self._tell(trouble)
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _take(self, found: Iterable[str | model.Target] | ConfigError) -> None:
        """Raises ConfigError."""
        if isinstance(found, ConfigError):
            raise found
        targets = tuple(sorted(checked(found, self._source), key=lambda target: target.url))
        if not targets:
            # A registry that lost its content says the same as one whose servers are all gone.
            self._tell("it names no target")
            return
        if self._trouble:
            self._trouble = ""
            say("info", f"upstream {self._name}: {self._source} is well again")
        if targets != self._known:
            before = {target.url for target in self._known or ()}
            now = {target.url for target in targets}
            changes = f"{len(now - before)} new, {len(before - now)} gone"
            say("info", f"upstream {self._name}: {len(targets)} targets from {self._source}: {changes}")
            self._known = targets
            self._publish(self._name, self._print, targets)

    def _tell(self, trouble: str) -> None:
        if trouble == self._trouble:
            return
        self._trouble = trouble
        known = "the config's targets" if self._known is None else f"the last {len(self._known)} targets"
        say("warning", f"upstream {self._name}: {self._source}: {trouble}; {known} stay in use")
