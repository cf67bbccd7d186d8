"""From a checked config to the compiled plane: the one place that knows both.

Read `editions` from top to bottom: it is the gateway. What outlives a config is made and kept in `works`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from msgspec import UnsetType, convert, json

from tetrapylon import catalog
from tetrapylon._core.downstream import Gateway
from tetrapylon._core.exchange import Destination, Plan
from tetrapylon._core.http.message import Limits
from tetrapylon._core.http.pages import Page, Pages
from tetrapylon._core.http.respond import Answer
from tetrapylon._core.lifetime import Lifetime
from tetrapylon._core.routing.route import Router
from tetrapylon._core.stages import Snapshot, make_plan
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.upstreams.call import CallStages
from tetrapylon.config import model
from tetrapylon.config.template import split
from tetrapylon.destinations.answers import fixed_answer
from tetrapylon.destinations.moves import moving, watch
from tetrapylon.destinations.shadows import shadow
from tetrapylon.net.trusts import trusts
from tetrapylon.upstreams.fleet import Closes
from tetrapylon.works import Kept, Steps, Works, finish

if TYPE_CHECKING:
    from tetrapylon.code.usercode import UserCode
    from tetrapylon.stores.redis import Redis
    from tetrapylon.telemetry.tracing import Spans

T = TypeVar("T")
PRIORITIES = {"high": 0, "normal": 1, "low": 2}
PARAMETER = re.compile(r"\{(\w+)")
WHOLE_BODY = 2**20
"""Bytes of a body that is wanted whole, by a handler or a part, where neither route nor server says."""


class Source(Protocol):
    """A checked config as `config.Encoded` gives it: the routes apart, each with its counters' place."""

    @property
    def head(self) -> model.Config: ...
    def routes(self) -> Iterator[tuple[model.Route, int]]: ...


class _Whole(NamedTuple):
    """A config that is in memory already."""

    head: model.Config

    def routes(self) -> Iterator[tuple[model.Route, int]]:
        return zip(self.head.routes, range(len(self.head.routes)), strict=True)


class Edition(NamedTuple):
    """One config, compiled: what a gateway takes on at once."""

    head: model.Config
    snapshot: Snapshot
    kept: Kept


EVERYWHERE = "policies"


class Scope:
    """What a policy's `build` is given: the gateway around the route that uses it."""

    def __init__(
        self,
        config: model.Config,
        works: Works,
        upstreams: Mapping[str, Destination],
        spans: Spans | None = None,
    ) -> None:
        self._spans = spans
        self.config = config
        """All but the routes."""
        self.loop = works.loop
        self.reactor = works.reactor
        self.slab = works.slab
        self.upstreams = upstreams
        self.closing: list[Closes] = []
        """What ends with the route, by its `close()`: after the last exchange that was begun by it."""
        self.via = works.via
        self.calls = CallStages(works.reactor, works.via)
        """For requests of the policy's own: `Call(scope.calls, scope.plan(...), ...)`."""
        self.parameters: list[str] = []
        """Of the route's path, in order."""
        self.upstream: str | None = None
        """Where the route leads to; None: no upstream."""
        self.title = ""
        """What the route is called."""
        self.place = EVERYWHERE
        """Whose policies are being built: a route's own, or those of all. State is kept by it."""
        self.where = ""
        """The requests that the route takes, whatever their method: what is stored of them is kept by it."""
        self.outbox = works.outbox
        self.cache = works.cache
        """The store of that name and size, for answers to be given again."""
        self.redis: Callable[[str], Redis] = works.redis
        """The Redis at a URL, one for all who name it."""
        self.reserved = _subject_headers(config.server)
        self.lease = works.lease
        self.shared: dict[tuple[str, bytes], _Shared] = {}
        self.user_code = works.user_code
        """What handlers and plugins stand on."""

    def at(self, route: model.Route) -> Scope:
        """As it is around that route."""
        scope = copy(self)
        scope.parameters = PARAMETER.findall(route.path)
        scope.upstream = route.upstream
        scope.title = route.title
        scope.where = f"{route.path} {route.host} {route.headers}"
        scope.closing = []
        return scope

    def spans(self) -> Callable[[Any], object] | None:
        """What takes the span of a sampled request; None: the config exports none."""
        return self._spans.put if self._spans is not None else None

    def plan(
        self,
        upstream: str,
        *,
        total: float | None = None,
        name: str | None = None,
        policies: tuple[object, ...] = (),
        priority: int = 1,
    ) -> Plan:
        """Where a Call goes: an upstream under its own timeouts, and perhaps one for all of it (seconds)."""
        timeouts = self.config.upstreams[upstream].timeouts
        return make_plan(
            self.reactor,
            name or upstream,
            self.upstreams[upstream],
            self.slab,
            -1,
            response=timeouts.response,
            idle=timeouts.idle,
            total=total if total is not None else timeouts.total,
            policies=policies,
            priority=priority,
        )


class _Shared:
    """A policy for all routes that use it with the same settings. It ends with the last of them."""

    def __init__(self, kind: Any, settings: Any, scope: Scope) -> None:
        self._closing: list[Closes] = []
        routes, scope.closing = scope.closing, self._closing
        try:
            self._policy: object = kind.build(settings, scope)
        finally:
            scope.closing = routes
        self._routes = 0

    def for_route(self, scope: Scope) -> object:
        if self._closing:
            self._routes += 1
            scope.closing.append(self)
        return self._policy

    def close(self) -> None:
        self._routes -= 1
        if not self._routes:
            for each in self._closing:
                each.close()


def build(
    config: model.Config,
    loop: asyncio.AbstractEventLoop,
    slab: Slab,
    *,
    fakes: Mapping[str, Callable[..., Any]] | None = None,
) -> tuple[Gateway, UserCode | None]:
    """The gateway of a checked config, and the user's code in it.

    It serves nothing until it is given a socket. `fakes` are functions in place of upstreams, for tests.
    """
    works = Works(loop, slab)
    works.fakes.update(fakes or {})
    edition = finish(editions(_Whole(config), works))
    works.settle(edition.kept)
    works.follow(config.upstreams)
    return gateway_of(edition, works), works.code


def gateway_of(edition: Edition, works: Works) -> Gateway:
    """That serves nothing until it is given a socket."""
    return Gateway(works.reactor, edition.snapshot, works.slab, edition.kept.access_log, closing=[works])


def editions(config: Source, works: Works) -> Steps[Edition]:
    """Compiles a config in steps (see `works.Steps`); what it has in common with the last one is kept."""
    head = config.head
    kept = yield from works.keep(head)
    upstreams: dict[str, Destination] = {name: made.made for name, made in kept.upstreams.items()}
    upstreams.update({name: works.user_code().fake(name, each) for name, each in works.fakes.items()})
    scope = Scope(head, works, upstreams, kept.spans.made if kept.spans is not None else None)
    if head.lifespan is not None:
        works.user_code().lifespan = head.lifespan
    router: Router[Plan] = Router()
    for route, slot in config.routes():
        plan = _plan(scope, route, slot)
        router.add(
            route.path, plan, methods=route.methods, host=route.host, headers=route.headers, name=route.name
        )
        yield False
    yield from router.freezing()
    return Edition(head, _snapshot(head.server, router, works, scope.reserved), kept)


def _snapshot(server: model.Server, router: Router[Plan], works: Works, reserved: set[bytes]) -> Snapshot:
    return Snapshot(
        works.reactor,
        router,
        limits=Limits(
            head=server.limits.header_bytes, headers=server.limits.headers, target=server.limits.target_bytes
        ),
        via=works.via,
        header=server.timeouts.header,
        body_idle=server.timeouts.body_idle,
        keepalive=server.timeouts.keepalive,
        max_connections=server.limits.connections,
        max_connections_per_client=server.limits.connections_per_client or 0,
        lifetime=Lifetime(age=server.timeouts.connection_age, messages=server.limits.requests_per_connection),
        trusts=trusts(server.trusted_proxies),
        handshake=server.timeouts.handshake,
        pages=_pages(server.errors),
        reserved=reserved,
    )


def _plan(scope: Scope, route: model.Route, slot: int) -> Plan:
    """A route's plan; one for each branch, where it splits."""
    scope = scope.at(route)
    policies: list[object] = [_policy(use, scope) for use in scope.config.policies]
    scope.place = f"{route.name or route.path} {route.methods} {route.host} {route.headers}"
    policies += [_policy(use, scope) for use in route.policies]
    policies += _replay(scope.config, route)
    if route.move is not None:
        policies.append(watch(scope, route))
    if route.shadow is not None:
        policies.append(shadow(scope, route, route.shadow))
    parts = None if route.aggregate is None else _aggregate(scope, route, route.aggregate)
    lease = scope.lease(scope.closing)
    way = partial(_way, scope, route, slot, policies, lease)
    if route.move is not None:
        return way(moving(scope, route, way), None)
    if route.upstream is not None:
        return way(scope.upstreams[route.upstream], route.upstream)
    if route.handler is not None:
        body_limit = _body_limit(scope.config, route)
        handler = scope.user_code().handler(route.handler, scope.parameters, body_limit=body_limit)
        return way(handler, None)
    if parts is not None:
        return way(parts, None)
    if route.split is None:
        answer = _answer(route, scope.parameters)
        return way(answer, None)
    from tetrapylon._core.upstreams.split import Branch, Lot, Split

    branches = [
        Branch(
            way(scope.upstreams[each.upstream], each.upstream),
            weight=each.weight or 0,
            headers=[(name.encode(), value.encode()) for name, value in each.headers.items()],
            cookies=[(name.encode(), value.encode()) for name, value in each.cookies.items()],
            consumers=each.consumers or None,
        )
        for each in route.split.to
        if each.weight != 0
    ]
    return way(Split(branches, Lot(route.split.by, (route.name or route.path).encode())), None)


def _aggregate(scope: Scope, route: model.Route, parts: Mapping[str, model.Part]) -> Destination:
    from tetrapylon.destinations.aggregates import aggregate

    name = route.name or route.path
    place = scope.place

    def plan(part: model.Part, own: str) -> Plan:
        inner = copy(scope)
        inner.place = f"{place} {own}"
        inner.where = f"{scope.where} {own}"
        inner.parameters = []
        inner.upstream = part.upstream
        policies = [_policy(use, inner) for use in part.policies]
        return inner.plan(
            part.upstream,
            total=part.timeout,
            name=f"{name} {own}",
            policies=tuple(policies),
            priority=PRIORITIES[route.priority],
        )

    return aggregate(scope, name, parts, plan, _body_limit(scope.config, route))


def _way(
    scope: Scope,
    route: model.Route,
    slot: int,
    policies: Sequence[object],
    lease: object,
    destination: Destination,
    upstream: str | None,
) -> Plan:
    config, server = scope.config, scope.config.server
    timeouts = config.upstreams[upstream].timeouts if upstream is not None else model.UpstreamTimeouts()
    return make_plan(
        scope.reactor,
        route.name or route.path,
        destination,
        scope.slab,
        slot,
        body_limit=_body_limit(config, route),
        body=_first(route.timeouts.body, server.timeouts.body),
        body_idle=_first(route.timeouts.body_idle, server.timeouts.body_idle),
        response=_first(route.timeouts.response, timeouts.response),
        idle=_first(route.timeouts.idle, timeouts.idle),
        total=_first(route.timeouts.total, timeouts.total),
        tunnel=_first(route.timeouts.tunnel, timeouts.tunnel),
        rewrite=None if route.rewrite is None else _template(route.rewrite, scope.parameters),
        policies=tuple(policies),
        parameters=tuple(scope.parameters),
        lease=lease,
        priority=PRIORITIES[route.priority],
        sample=_first(route.log.sample, None),
    )


def _replay(config: model.Config, route: model.Route) -> list[object]:
    """What keeps bodies for a retry."""
    if route.aggregate is not None:
        return []  # its parts have theirs in memory
    retries = [config.upstreams[name].retry for name in route.upstreams]
    kept = [retry for retry in retries if retry is not None and retry.body]
    if not kept:
        return []
    from tetrapylon._core.policies.replay import Replay

    methods = {method.encode() for retry in kept for method in retry.methods}
    return [Replay(max(retry.body for retry in kept), [b"PUT", b"DELETE", *methods])]


def _body_limit(config: model.Config, route: model.Route) -> int | None:
    limit = _first(route.limits.body, config.server.limits.body)
    whole = route.handler is not None or route.aggregate is not None
    if whole and limit is None and isinstance(route.limits.body, UnsetType):
        return WHOLE_BODY
    return limit


def _answer(route: model.Route, parameters: list[str]) -> Answer:
    if route.redirect is not None:
        return Answer(route.redirect.status, location=_template(route.redirect.to, parameters))
    return fixed_answer(route.respond or model.Respond())


def _policy(use: model.PolicyUse, scope: Scope) -> object:
    if ":" in use.use:
        return scope.user_code().plugin(use)
    kind = catalog.policy(use.use)
    settings = convert(use.settings, kind.Settings)
    if hasattr(kind, "vouches"):
        scope.reserved.update(name.encode() for name in kind.vouches(settings))
    if not hasattr(kind, "build"):
        return kind(settings)
    if not getattr(kind, "shared", False):
        return kind.build(settings, scope)
    key = use.use, json.encode(settings, order="sorted")
    if key not in scope.shared:
        scope.shared[key] = _Shared(kind, settings, scope)
    return scope.shared[key].for_route(scope)


def _template(text: str, parameters: list[str]) -> list[bytes | int]:
    return [parameters.index(piece) if named else piece.encode() for piece, named in split(text)]


def _first(own: T | UnsetType, general: T) -> T:
    return general if isinstance(own, UnsetType) else own


def _pages(errors: Sequence[model.ErrorPage]) -> Pages | None:
    return Pages(Page(each.type, each.body, statuses=each.status) for each in errors) if errors else None


def _subject_headers(server: model.Server) -> set[bytes]:
    """Fields in which the gateway vouches for a client."""
    listeners = [listener.tls for listener in server.listen if listener.tls is not None]
    return {tls.subject_header.encode() for tls in listeners if tls.client_ca is not None}
