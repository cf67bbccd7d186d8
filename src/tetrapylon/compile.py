"""From a checked config to the compiled plane: the one place that knows both.

Read `build` from top to bottom: it is the gateway.
"""

from __future__ import annotations

import asyncio
import os
import re
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from msgspec import UnsetType, convert

from tetrapylon import catalog
from tetrapylon._core.counters import Slab
from tetrapylon._core.downstream import Gateway
from tetrapylon._core.exchange import Plan
from tetrapylon._core.lifetime import Lifetime
from tetrapylon._core.log import AccessLog
from tetrapylon._core.message import Limits
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.respond import Answer
from tetrapylon._core.route import Router
from tetrapylon._core.stages import Snapshot, make_plan
from tetrapylon._core.upstream import Target, Upstream
from tetrapylon._core.wire import Additions, Via
from tetrapylon.config import model
from tetrapylon.config.net import UnixPath, target_address
from tetrapylon.config.template import split
from tetrapylon.events import say
from tetrapylon.resolve import Resolver

T = TypeVar("T")
PARAMETER = re.compile(r"\{(\w+)")

# The name in Via that this gateway knows itself by: drawn before the fork, so that all workers share it.
PSEUDONYM = f"tetrapylon-{os.urandom(4).hex()}"


def build(config: model.Config, loop: asyncio.AbstractEventLoop, slab: Slab) -> Gateway:
    """The gateway of a checked config; it serves nothing until it is given a socket."""
    reactor = Reactor(loop)
    via = Via(PSEUDONYM)
    resolver = Resolver(loop)
    upstreams = {
        name: _upstream(upstream, name, reactor, via, slab, resolver)
        for name, upstream in config.upstreams.items()
    }
    snapshot = _snapshot(config, reactor, upstreams, via, slab)
    return Gateway(
        reactor, snapshot, slab, _access_log(config.log.access), closing=[resolver, *upstreams.values()]
    )


def _access_log(access: model.AccessLog | None) -> AccessLog | None:
    if access is None:
        return None
    where = 1 if access.path == "-" else access.path
    return AccessLog(where, sample=access.sample, on_error=lambda error: say("error", f"access log: {error}"))


def _snapshot(
    config: model.Config, reactor: Reactor, upstreams: dict[str, Upstream], via: Via, slab: Slab
) -> Snapshot:
    server = config.server
    router: Router[Plan] = Router()
    for index, route in enumerate(config.routes):
        plan = _plan(config, route, index, reactor, upstreams, slab)
        router.add(
            route.path, plan, methods=route.methods, host=route.host, headers=route.headers, name=route.name
        )
    router.freeze()
    return Snapshot(
        reactor,
        router,
        limits=Limits(
            head=server.limits.header_bytes, headers=server.limits.headers, target=server.limits.target_bytes
        ),
        via=via,
        header=server.timeouts.header,
        body_idle=server.timeouts.body_idle,
        keepalive=server.timeouts.keepalive,
        max_connections=server.limits.connections,
        max_connections_per_client=server.limits.connections_per_client or 0,
        lifetime=Lifetime(age=server.timeouts.connection_age, messages=server.limits.requests_per_connection),
        trusts=_trusts(server.trusted_proxies),
    )


def _plan(
    config: model.Config,
    route: model.Route,
    index: int,
    reactor: Reactor,
    upstreams: dict[str, Upstream],
    slab: Slab,
) -> Plan:
    server = config.server
    timeouts = (
        config.upstreams[route.upstream].timeouts if route.upstream is not None else model.UpstreamTimeouts()
    )
    parameters = PARAMETER.findall(route.path)
    return make_plan(
        reactor,
        route.name or route.path,
        upstreams[route.upstream] if route.upstream is not None else _answer(route, parameters),
        slab,
        index,
        body_limit=_first(route.limits.body, server.limits.body),
        body_idle=_first(route.timeouts.body_idle, server.timeouts.body_idle),
        response=_first(route.timeouts.response, timeouts.response),
        idle=_first(route.timeouts.idle, timeouts.idle),
        total=_first(route.timeouts.total, timeouts.total),
        tunnel=_first(route.timeouts.tunnel, timeouts.tunnel),
        rewrite=None if route.rewrite is None else _template(route.rewrite, parameters),
        policies=tuple(_policy(use) for use in (*config.policies, *route.policies)),
    )


def _answer(route: model.Route, parameters: list[str]) -> Answer:
    if route.redirect is not None:
        return Answer(route.redirect.status, location=_template(route.redirect.to, parameters))
    respond = route.respond or model.Respond()
    body = respond.body.encode()
    headers = [(name.encode(), value.encode()) for name, value in respond.headers.items()]
    if body and not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"Content-Type", respond.content_type.encode()))
    return Answer(respond.status, headers=headers, body=body)


def _upstream(
    upstream: model.Upstream, name: str, reactor: Reactor, via: Via, slab: Slab, resolver: Resolver
) -> Upstream:
    targets = []
    for each in upstream.targets:
        where = target_address(each.url)
        # A Unix socket has no authority of its own (RFC 9112 section 3.2).
        host = b"localhost" if isinstance(where, UnixPath) else str(where).removesuffix(":80").encode()
        target = Target(str(where), host=host, weight=each.weight)
        resolver.give(target, where)
        targets.append(target)
    return Upstream(
        reactor,
        name,
        targets,
        via,
        slab=slab,
        host={"preserve": None, "target": b""}.get(upstream.host, upstream.host.encode()),
        connect=upstream.timeouts.connect,
        wait=upstream.pool.max_wait,
        idle=upstream.pool.idle,
        max_connections=upstream.pool.max_connections,
        max_pending=upstream.pool.max_pending,
        additions=_additions(upstream),
        lifetime=Lifetime(age=upstream.pool.max_age, messages=upstream.pool.max_requests),
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


def _policy(use: model.PolicyUse) -> object:
    kind = catalog.policy(use.use)
    return kind(convert(use.settings, kind.Settings))


def _template(text: str, parameters: list[str]) -> list[bytes | int]:
    return [parameters.index(piece) if named else piece.encode() for piece, named in split(text)]


def _first(own: T | UnsetType, general: T) -> T:
    return general if isinstance(own, UnsetType) else own


def _trusts(networks: tuple[str, ...]) -> Callable[[str], bool] | None:
    """Whether an address is that of a proxy whose X-Forwarded-* are believed; None if none is."""
    if not networks:
        return None
    from ipaddress import ip_address, ip_network

    trusted = [ip_network(network) for network in networks]

    @lru_cache(4096)
    def trusts(address: str) -> bool:
        if address.startswith("unix:"):
            return False
        client = ip_address(address)
        return any(client in network for network in trusted)

    return trusts
