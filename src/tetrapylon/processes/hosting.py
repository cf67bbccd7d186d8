"""What the host of apps says of them, kept by the supervisor: counted, and told to each control process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.processes.channel import Hosting, content_of, file_of

__all__ = ["Hostings"]

PROCESSES = "tetrapylon_app_processes"
RESTARTS = "tetrapylon_app_restarts_total"


class Hostings:
    def __init__(self, slab: Slab) -> None:
        self._slab = slab
        self._apps: dict[str, dict[str, Any]] = {}

    @property
    def serving(self) -> list[str]:
        """Apps of which some process serves."""
        return [name for name, told in self._apps.items() if told["up"]]

    def take(self, file: int) -> None:
        """All apps of a host, by name."""
        self.put(msgspec.json.decode(content_of(file)))

    def lost(self) -> dict[str, dict[str, Any]]:
        """The host has died, and its apps with it: what it said of them."""
        before = self._apps
        self.put({})
        return before

    def tell(self, send: Callable[[Hosting, Sequence[int]], bool]) -> None:
        file = file_of(msgspec.json.encode(self._apps), "apps")
        send(Hosting(), [file])
        os.close(file)

    def put(self, apps: dict[str, dict[str, Any]]) -> None:
        for name in self._apps.keys() | apps.keys():
            was, now = self._apps.get(name, {}), apps.get(name, {})
            up = now.get("up", 0) - was.get("up", 0)
            if up:
                self._slab.count(PROCESSES, {"app": name}, up, gauge=True)
            died = now.get("restarts", 0) - was.get("restarts", 0)
            if died > 0:
                self._slab.count(RESTARTS, {"app": name}, died)
        self._apps = apps
