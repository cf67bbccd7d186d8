"""The targets of one upstream, as they come and go: what stays keeps its connections and health."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, Protocol

from tetrapylon._core.net.address import Address
from tetrapylon._core.net.tls import Tls
from tetrapylon._core.upstreams.target import Target
from tetrapylon.config import model
from tetrapylon.config.net import HostPort, UnixPath, target_address
from tetrapylon.upstreams.resolve import Resolver

__all__ = ["Closes", "Fleet", "Member"]


class Closes(Protocol):
    def close(self) -> None: ...


class Member(NamedTuple):
    target: Target
    closing: list[Closes]
    """What ends with it."""


def host_of(url: str) -> bytes:
    """What `Host` says where it is to name the target; a Unix socket has no authority (RFC 9112, 3.2)."""
    where = target_address(url)
    if isinstance(where, UnixPath):
        return b"localhost"
    return str(where).removesuffix(":443" if url.startswith("https:") else ":80").encode()


class Fleet:
    def __init__(
        self, resolver: Resolver, secure: Callable[[str, list[Closes]], Tls], known_as: str = ""
    ) -> None:
        """`secure` makes the TLS towards a host. `known_as` is what targets with an address are called."""
        self._resolver = resolver
        self._secure = secure
        self._known_as = known_as
        self._members: dict[tuple[str, int, str], Member] = {}

    @property
    def targets(self) -> list[Target]:
        return [member.target for member in self._members.values()]

    def add(self, settings: model.Target, target: Target, closing: list[Closes]) -> None:
        """One that is there from the start."""
        self._members[_key(settings)] = Member(target, closing)

    def update(self, wanted: Iterable[model.Target]) -> list[Target]:
        """These from now on. Never waits: a name that is new is looked up in the background."""
        members = {}
        looking = False
        for settings in wanted:
            key = _key(settings)
            member = self._members.pop(key, None)
            if member is None:
                member = self._make(settings)
                looking |= not member.target.addresses
            member.target.weight = settings.weight
            members[key] = member
        for gone in self._members.values():
            for each in gone.closing:
                each.close()
        self._members = members
        if looking:
            self._resolver.soon()
        return self.targets

    def close(self) -> None:
        self.update(())

    def _make(self, settings: model.Target) -> Member:
        where = target_address(settings.url)
        closing: list[Closes] = []
        tls = None
        host = host_of(settings.url)
        addresses = []
        if isinstance(where, HostPort):
            known_as = self._known_as or where.host
            if self._known_as:
                host = host_of(f"{settings.url.partition(':')[0]}://{HostPort(known_as, where.port)}")
            if settings.url.startswith("https:"):
                tls = self._secure(known_as, closing)
            with suppress(ValueError):  # a name
                addresses = [Address.ip(where.host, where.port)]
        else:
            addresses = [Address.unix(where.path)]
        target = Target(
            settings.name or str(where),
            host=host,
            weight=settings.weight,
            addresses=addresses,
            tls=tls,
            priority=settings.priority,
            zone=settings.zone,
        )
        if isinstance(where, HostPort):
            closing.extend(self._resolver.refresh(target, where))
        return Member(target, closing)


def _key(settings: model.Target) -> tuple[str, int, str]:
    """What makes it another target: its weight can be changed."""
    return settings.url, settings.priority, settings.zone
