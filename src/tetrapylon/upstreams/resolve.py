"""Host names of targets -> addresses: asked off the request's path, refreshed, the last good answer kept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tetrapylon._core.net.address import Address
from tetrapylon._core.upstreams.target import Target
from tetrapylon.config.net import HostPort, UnixPath, target_address
from tetrapylon.config.tree import Report
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.config.model import Config
    from tetrapylon.config.tree import Document

__all__ = ["REFRESH", "Named", "Resolver", "addresses", "check_names", "look_up"]

REFRESH = 30.0
"""Seconds between two look-ups of a name: getaddrinfo(3) tells no TTL."""
AGAIN = 2.0
"""Likewise while there is a target without addresses."""


def addresses(host: str, port: int) -> list[Address]:
    """A name's addresses, in the resolver's order; an IP address is its own. Blocks. Raises OSError."""
    # As bytes: of a text, Python makes an IDNA name, with a megabyte of tables for it.
    return _unique(socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM))


def check_names(config: Config, document: Document, before: Config | None = None) -> None:
    """Raises ConfigError naming every target whose host name does not exist.

    A resolver in trouble, or a name of `before`, the config in force, that has gone meanwhile, is none of the
    config's mistakes: that target is told, looked up again, and 502 until it is found.
    """
    report = Report(document)
    known = _hosts(before) if before is not None else set()
    for name, upstream in config.upstreams.items():
        for i, target in enumerate(upstream.targets):
            where = target_address(target.url)
            if isinstance(where, UnixPath) or where.host in known:
                continue
            try:
                addresses(where.host, where.port)
            except OSError as error:
                if error.errno == socket.EAI_AGAIN:
                    continue  # told by each worker, which looks it up
                report.add(
                    ("upstreams", name, "targets", i),
                    f"the name {where.host!r} does not resolve: {error.strerror or error}",
                    "expected a name that this machine can look up, or an IP address",
                )
    report.raise_if_any()


def _hosts(config: Config) -> set[str]:
    targets = (target for upstream in config.upstreams.values() for target in upstream.targets)
    return {where.host for each in targets if isinstance(where := target_address(each.url), HostPort)}


def look_up(where: HostPort | UnixPath) -> list[Address]:
    """A target's addresses now; none, and a warning, where its name is not known. Blocks."""
    if isinstance(where, UnixPath):
        return [Address.unix(where.path)]
    try:
        return addresses(where.host, where.port)
    except OSError as error:
        say("warning", f"{where.host} does not resolve: {error}; trying again every {AGAIN:g} s")
        return []


class Named:
    """A target whose addresses are kept fresh until this is closed."""

    def __init__(self, resolver: Resolver, target: Target, where: HostPort) -> None:
        self.target = target
        self.where = where
        self._resolver = resolver

    def close(self) -> None:
        self._resolver.forget(self)


class Resolver:
    """Keeps the addresses of named targets fresh, on the loop but not in its way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._named: dict[Named, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Looks names up now, and then again as usual."""
        if self._timer is not None:
            self._timer.cancel()
        self._start()

    def refresh(self, target: Target, where: HostPort) -> list[Named]:
        """Sets the target's addresses again and again, if it has a name: what is given ends it."""
        try:
            Address.ip(where.host, where.port)
            return []
        except ValueError:
            named = Named(self, target, where)
        self._named[named] = None
        if self._timer is None or not target.addresses:
            self._arm()
        return [named]

    def forget(self, named: Named) -> None:
        self._named.pop(named, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        lacking = not all(named.target.addresses for named in self._named)
        self._timer = self._loop.call_later(AGAIN if lacking else REFRESH, self._start)

    def _start(self) -> None:
        self._arm()
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._refresh())

    async def _refresh(self) -> None:
        for named in list(self._named):
            target, where = named.target, named.where
            try:
                found = await self._loop.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
            except OSError as error:
                kept = "its last addresses stay in use" if target.addresses else "it has none to be asked at"
                say("warning", f"{where.host} does not resolve: {error}; {kept}")
                continue
            fresh = _unique(found)
            if set(fresh) != set(target.addresses):
                target.set_addresses(fresh)


def _unique(found: Iterable[tuple[Any, ...]]) -> list[Address]:
    """`found` as getaddrinfo gives it."""
    made = [Address.ip(where[0], where[1], where[3] if len(where) > 3 else 0) for *_, where in found]
    return list(dict.fromkeys(made))
