"""From an upstream's settings to its compiled half: targets, balancing, health, retries, breakers."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tetrapylon._core.http.wire import Additions, Via
from tetrapylon._core.lifetime import Lifetime
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.upstreams.balance import (
    Balancer,
    ConsistentHash,
    LeastRequests,
    RandomTwo,
    RoundRobin,
    Sticky,
)
from tetrapylon._core.upstreams.health import Breaker, Health
from tetrapylon._core.upstreams.hedge import Hedge
from tetrapylon._core.upstreams.limiter import Limiter
from tetrapylon._core.upstreams.retry import Retry
from tetrapylon._core.upstreams.target import Target
from tetrapylon._core.upstreams.upstream import Upstream
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.config import model

__all__ = ["Presence", "make_upstream", "tell", "told"]

BALANCERS: dict[str, Callable[[], Balancer]] = {
    "round_robin": RoundRobin,
    "least_requests": LeastRequests,
    "random_two": RandomTwo,
}
TOUCH = 5.0
"""Seconds between two words to the board that the targets are there."""


def make_upstream(
    upstream: model.Upstream,
    name: str,
    targets: list[Target],
    reactor: Reactor,
    via: Via,
    slab: Slab,
    zone: str,
) -> Upstream:
    """`zone` is the gateway's own."""
    pool, health, timeouts = upstream.pool, upstream.health, upstream.timeouts
    adaptive = upstream.adaptive_limit
    return Upstream(
        reactor,
        name,
        targets,
        via,
        slab=slab,
        host={"preserve": None, "target": b""}.get(upstream.host, upstream.host.encode()),
        connect=timeouts.connect,
        wait=pool.max_wait,
        idle=pool.idle,
        max_connections=pool.max_connections,
        max_pending=pool.max_pending,
        additions=_additions(upstream),
        lifetime=Lifetime(age=pool.max_age, messages=pool.max_requests),
        balancer=_balancer(upstream.balance),
        health=_health(health.passive),
        breaker=_breaker(upstream.breaker.target),
        main_breaker=_breaker(upstream.breaker.upstream),
        limiter=None
        if adaptive is None
        else Limiter(
            least=adaptive.least,
            most=pool.max_connections,
            initial=adaptive.initial,
            tolerance=adaptive.tolerance,
        ),
        retry=_retry(upstream.retry, reactor),
        hedge=_hedge(upstream.retry, reactor),
        panic=health.panic,
        slow_start=health.slow_start,
        zone=zone,
        deadline_header=None if timeouts.header is None else timeouts.header.encode(),
        tell=lambda target, what, detail: tell(name, target, what, detail),
    )


class Presence:
    """Tells the board, now and then, that an upstream and its targets are there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: Upstream) -> None:
        self._loop = loop
        self._upstream = upstream
        self._timer = loop.call_later(TOUCH, self._touch)

    def close(self) -> None:
        self._timer.cancel()

    def _touch(self) -> None:
        self._upstream.touch()
        self._timer = self._loop.call_later(TOUCH, self._touch)


def told(name: str, upstream: Upstream) -> dict[str, Any]:
    """What an upstream does now in this worker, for operators."""
    return {
        "name": name,
        "connections": upstream.connections,
        "pending": upstream.pending,
        "targets": [
            {
                "url": target.name,
                "weight": target.weight,
                "weight_override": target.override,
                "addresses": [address.text for address in target.addresses],
                "connections": target.connections,
            }
            for target in upstream.targets
        ],
    }


def tell(upstream: str, target: str, what: str, detail: str) -> None:
    """A change of a target's, or with "" the whole upstream's, standing."""
    who = f"target {target}" if target else "all targets"
    verb = f"circuit {what}" if what in ("opened", "closed") else what
    say("warning", f"upstream {upstream}: {who} {verb}: {detail}")


def _balancer(balance: str | model.Balance) -> Balancer:
    if isinstance(balance, str):
        return BALANCERS[balance]()
    if balance.consistent_hash is not None:
        return ConsistentHash(balance.consistent_hash.key, balance.consistent_hash.bound or 0.0)
    sticky = balance.sticky_cookie
    assert sticky is not None
    return Sticky(BALANCERS[sticky.first](), sticky.cookie, sticky.attributes)


def _health(passive: model.PassiveHealth | None) -> Health | None:
    if passive is None:
        return None
    return Health(
        consecutive=passive.consecutive_failures or 0,
        failure_rate=passive.failure_rate or 0.0,
        latency=passive.latency or 0.0,
        least=passive.requests,
        window=passive.window,
        eject=passive.eject,
        longest=passive.longest,
        max_ejected=passive.max_ejected,
    )


def _breaker(breaker: model.Breaker | None) -> Breaker | None:
    if breaker is None:
        return None
    return Breaker(
        failure_rate=breaker.failure_rate or 0.0,
        slow_rate=breaker.slow_rate or 0.0,
        slow=breaker.slow,
        least=breaker.requests,
        window=breaker.window,
        open=breaker.open,
        trials=breaker.trials,
    )


def _retry(retry: model.Retry | None, reactor: Reactor) -> Retry | None:
    if retry is None:
        return None
    return Retry(
        reactor,
        attempts=retry.attempts,
        on=retry.on,
        methods=[method.encode() for method in retry.methods] or None,
        patience=retry.try_timeout,
        backoff=retry.backoff,
        budget=retry.budget,
    )


def _hedge(retry: model.Retry | None, reactor: Reactor) -> Hedge | None:
    if retry is None or retry.hedge is None:
        return None
    return Hedge(
        reactor, percentile=retry.hedge.percentile, floor=retry.hedge.floor, least=retry.hedge.requests
    )


def _additions(upstream: model.Upstream) -> Additions | None:
    headers = [(name.encode(), value.encode()) for name, value in upstream.headers.items()]
    shown = upstream.credentials
    if shown is not None and shown.bearer is not None:
        headers.append((b"Authorization", b"Bearer " + shown.bearer.encode()))
    elif shown is not None:
        pair = f"{shown.user}:{shown.password}".encode()
        headers.append((b"Authorization", b"Basic " + b64encode(pair)))
    return Additions(headers) if headers else None
