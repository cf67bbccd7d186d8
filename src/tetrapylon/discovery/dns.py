"""Targets by DNS: the addresses of a name, or the hosts of a service, for as long as their TTL says."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import aiodns
import pycares

from tetrapylon.config import model

__all__ = ["DnsRegistry"]

TRIES = 3
NOTHING = (pycares.errno.ARES_ENODATA, pycares.errno.ARES_ENOTFOUND)
MOST_WEIGHT = 1000
MOST_PRIORITY = 100


class Service(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    host: str
    port: int


class DnsRegistry:
    def __init__(self, settings: model.Dns) -> None:
        self._settings = settings

    async def targets(self) -> AsyncIterator[list[model.Target]]:
        settings = self._settings
        while True:
            found, ttl = await self._look_up()
            yield found
            await asyncio.sleep(min(max(ttl, settings.least), settings.most))

    async def _look_up(self) -> tuple[list[model.Target], float]:
        """All there are, and how long they hold. Raises DNSError."""
        settings = self._settings
        # One for each look-up: what c-ares remembers of an empty answer it believes for an hour, however
        # short the SOA says that it holds (RFC 2308, 5; c-ares issue 1293).
        resolver = aiodns.DNSResolver(
            settings.servers or None,
            loop=asyncio.get_running_loop(),
            timeout=settings.timeout,
            tries=TRIES,
        )
        try:
            if settings.srv:
                return await self._services(resolver)
            assert settings.port is not None
            addresses, ttl = await _addresses(resolver, settings.name)
            return [self._target(address, settings.port) for address in addresses], ttl
        finally:
            await resolver.close()

    def _target(self, address: str, port: int, weight: int = 1, priority: int = 0) -> model.Target:
        host = f"[{address}]" if ":" in address else address
        return model.Target(url=f"{self._settings.scheme}://{host}:{port}", weight=weight, priority=priority)

    async def _services(self, resolver: aiodns.DNSResolver) -> tuple[list[model.Target], float]:
        """Of all hosts that resolve; raises DNSError where none does."""
        answer = await resolver.query_dns(self._settings.name, "SRV")
        ttls: list[float] = []
        services: list[Service] = []
        for record in answer.answer:
            data = record.data
            if isinstance(data, pycares.SRVRecordData):
                services.append(Service(data.priority, data.weight, data.target, data.port))
                ttls.append(float(record.ttl))
        services.sort()
        found: dict[str, model.Target] = {}
        failed: aiodns.error.DNSError | None = None
        weights = scaled([service.weight for service in services])
        ranks = {rank: at for at, rank in enumerate(sorted({service.priority for service in services}))}
        for service, weight in zip(services, weights, strict=True):
            try:
                addresses, ttl = await _addresses(resolver, service.host)
            except aiodns.error.DNSError as error:
                failed = error
                continue
            ttls.append(ttl)
            for address in addresses:
                target = self._target(
                    address, service.port, weight, min(ranks[service.priority], MOST_PRIORITY)
                )
                found.setdefault(target.url, target)
        if failed is not None and not found:
            raise failed
        return list(found.values()), min(ttls, default=0.0)


def scaled(weights: Iterable[int]) -> list[int]:
    """As `targets` has them. A weight of 0 (RFC 2782: a very small chance) is the smallest there is."""
    given = list(weights)
    most = max(given, default=0)
    ratio = MOST_WEIGHT / most if most > MOST_WEIGHT else 1.0
    return [max(1, round(weight * ratio)) for weight in given]


async def _addresses(resolver: aiodns.DNSResolver, host: str) -> tuple[list[str], float]:
    """IPv4 and IPv6, and how long they hold. Raises DNSError where there are none, or one is not known."""
    try:
        literal = str(ipaddress.ip_address(host))
    except ValueError:
        pass
    else:
        return [literal], float("inf")
    answers = await asyncio.gather(
        resolver.query_dns(host, "A"), resolver.query_dns(host, "AAAA"), return_exceptions=True
    )
    addresses: list[str] = []
    ttls: list[float] = []
    missing: BaseException | None = None
    for answer in answers:
        if isinstance(answer, aiodns.error.DNSError) and answer.args[0] in NOTHING:
            missing = answer  # of this family: the other may have some
        elif isinstance(answer, BaseException):
            raise answer
        else:
            for record in answer.answer:
                ttls.append(float(record.ttl))  # of a CNAME on the way, too
                if isinstance(record.data, (pycares.ARecordData, pycares.AAAARecordData)):
                    addresses.append(record.data.addr)
    if not addresses:
        raise missing or aiodns.error.DNSError(pycares.errno.ARES_ENODATA, f"{host} has no address")
    return sorted(set(addresses)), min(ttls)
