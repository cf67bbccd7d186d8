"""From a checked config to the compiled plane: the one place that knows both.

Read `build` from top to bottom: it is the gateway.
"""

from __future__ import annotations

import asyncio
import os
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

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
from tetrapylon._core.tls import Tls
from tetrapylon._core.upstream import Target, Upstream
from tetrapylon._core.wire import Additions, Via
from tetrapylon.config import model
from tetrapylon.config.net import UnixPath, target_address
from tetrapylon.config.template import split
from tetrapylon.events import say
from tetrapylon.resolve import Resolver

if TYPE_CHECKING:
    import socket
    import ssl

    from tetrapylon.tls import Watcher

T = TypeVar("T")
PARAMETER = re.compile(r"\{(\w+)")

# The name in Via that this gateway knows itself by: drawn before the fork, so that all workers share it.
PSEUDONYM = f"tetrapylon-{os.urandom(4).hex()}"


class Closes(Protocol):
    def close(self) -> None: ...


def build(
    config: model.Config, loop: asyncio.AbstractEventLoop, slab: Slab, closing: list[Closes] | None = None
) -> Gateway:
    """The gateway of a checked config; it serves nothing until it is given a socket.

    `closing` is closed with it.
    """
    closing = [] if closing is None else closing
    reactor = Reactor(loop)
    via = Via(PSEUDONYM)
    resolver = Resolver(loop)
    upstreams = {
        name: _upstream(upstream, name, reactor, via, slab, resolver, lambda: _watcher(loop, closing))
        for name, upstream in config.upstreams.items()
    }
    snapshot = _snapshot(config, reactor, upstreams, via, slab)
    return Gateway(
        reactor,
        snapshot,
        slab,
        _access_log(config.log.access),
        closing=[resolver, *upstreams.values(), *closing],
    )


class Serving:
    """A gateway with the listeners of its config: what a worker serves."""

    def __init__(
        self, gateway: Gateway, entries: Sequence[model.Listener], secure: Sequence[Tls | None]
    ) -> None:
        self._gateway = gateway
        self._entries = entries
        self._secure = secure
        self.drain = gateway.drain
        self.reopen_logs = gateway.reopen_logs
        self.close = gateway.close

    @property
    def active(self) -> int:
        return self._gateway.active

    def listen(self, sock: socket.socket, entry: int) -> None:
        self._gateway.listen(
            sock, tls=self._secure[entry], proxy_protocol=self._entries[entry].proxy_protocol
        )


def serving(
    config: model.Config,
    loop: asyncio.AbstractEventLoop,
    slab: Slab,
    fronts: Sequence[ssl.SSLContext | None],
) -> Serving:
    """As `build`, with the config's listeners; `fronts` as the function of that name made them."""
    closing: list[Closes] = []
    secure = [
        None if listener.tls is None else _server_tls(listener.tls, front, _watcher(loop, closing))
        for listener, front in zip(config.server.listen, fronts, strict=True)
    ]
    return Serving(build(config, loop, slab, closing), config.server.listen, secure)


def fronts(config: model.Config) -> list[ssl.SSLContext | None]:
    """What the TLS of each listener begins with; see `tls.fronts`."""
    listeners = [listener.tls for listener in config.server.listen]
    if not any(listeners):
        return [None] * len(listeners)
    from tetrapylon import tls

    return tls.fronts(listeners)


def _watcher(loop: asyncio.AbstractEventLoop, closing: list[Closes]) -> Watcher:
    """The one watcher of this gateway, made on first use."""
    from tetrapylon.tls import Watcher

    for each in closing:
        if isinstance(each, Watcher):
            return each
    closing.append(watcher := Watcher(loop))
    return watcher


def _server_tls(settings: model.ListenerTls, front: ssl.SSLContext | None, watcher: Watcher) -> Tls:
    from tetrapylon.tls import Identity

    identity = Identity(settings, front)
    header = settings.subject_header.encode() if settings.client_ca is not None else None
    secure = Tls(identity.front, subject_header=header)

    def reload() -> None:
        identity.reload()
        secure.context = identity.front

    watcher.add(identity.files, reload)
    return secure


def _client_tls(settings: model.UpstreamTls, host: str, watcher: Watcher) -> Tls:
    from tetrapylon.tls import client_context, client_files

    secure = Tls(client_context(settings), server_name=settings.server_name or host)

    def reload() -> None:
        secure.context = client_context(settings, datetime.now(UTC))

    watcher.add(client_files(settings), reload)
    return secure


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
        handshake=server.timeouts.handshake,
        reserved=_reserved(server),
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
        body=_first(route.timeouts.body, server.timeouts.body),
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
    upstream: model.Upstream,
    name: str,
    reactor: Reactor,
    via: Via,
    slab: Slab,
    resolver: Resolver,
    watcher: Callable[[], Watcher],
) -> Upstream:
    targets = []
    for each in upstream.targets:
        where = target_address(each.url)
        # A Unix socket has no authority of its own (RFC 9112 section 3.2).
        https = each.url.startswith("https:")
        usual = ":443" if https else ":80"
        host = b"localhost" if isinstance(where, UnixPath) else str(where).removesuffix(usual).encode()
        tls = None
        if https and not isinstance(where, UnixPath):
            tls = _client_tls(upstream.tls, where.host, watcher())
        target = Target(str(where), host=host, weight=each.weight, tls=tls)
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


def _reserved(server: model.Server) -> set[bytes]:
    """Fields in which the gateway vouches for a client."""
    listeners = [listener.tls for listener in server.listen if listener.tls is not None]
    return {tls.subject_header.encode() for tls in listeners if tls.client_ca is not None}


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
