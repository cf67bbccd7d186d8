"""What outlives a config: upstreams with their pools, TLS with its files, the access log.

Each is kept by name for as long as its settings stay the same, which its fingerprint tells.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar
from weakref import WeakSet, WeakValueDictionary

import msgspec

from tetrapylon._core.http.wire import Via
from tetrapylon._core.net.tls import Tls
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.telemetry.log import AccessLog
from tetrapylon._core.upstreams.target import Target
from tetrapylon._core.upstreams.upstream import Upstream
from tetrapylon.config import model
from tetrapylon.config.net import HostPort, listener_keys, target_address
from tetrapylon.processes.channel import APP
from tetrapylon.recording.outbox import Outbox
from tetrapylon.telemetry.logs import access_log
from tetrapylon.upstreams.fleet import Closes, Fleet, host_of
from tetrapylon.upstreams.make import Presence, make_upstream
from tetrapylon.upstreams.resolve import Resolver, look_up

if TYPE_CHECKING:
    import ssl

    from tetrapylon._core.caching.store import Store
    from tetrapylon.code.usercode import UserCode
    from tetrapylon.discovery.follow import Follower
    from tetrapylon.net.tls import Watcher
    from tetrapylon.processes.channel import Channel
    from tetrapylon.stores.redis import Redis
    from tetrapylon.stores.redis_answers import SharedAnswers
    from tetrapylon.telemetry.tracing import Spans

T = TypeVar("T")
Steps: TypeAlias = Generator[bool, None, T]
"""Work in steps, each done when the next is asked for. It gives whether the step to come may take long, and
keeps its hands off the loop: then it can be taken in a thread."""

# The name in Via that this gateway knows itself by: drawn before the fork, so that all workers share it.
PSEUDONYM = f"tetrapylon-{os.urandom(4).hex()}"


class Lease:
    """What a route's policies want closed: with the route's plan this goes, and then they are."""

    def __init__(self, loop: asyncio.AbstractEventLoop, closing: Iterable[Closes]) -> None:
        self._loop = loop
        self._closing = list(closing)

    def close(self) -> None:
        close_all(self._closing)

    def __del__(self) -> None:
        # A plan may go in the middle of the data plane's work: this waits for the loop's turn.
        if self._closing and not self._loop.is_closed():
            self._loop.call_soon(close_all, self._closing)


def close_all(closing: list[Closes]) -> None:
    while closing:
        closing.pop().close()


class Made(Generic[T]):
    """A thing, what tells it from one of other settings, and what ends with it."""

    def __init__(self, fingerprint: bytes, made: T, closing: Iterable[Closes] = ()) -> None:
        self.fingerprint = fingerprint
        self.made = made
        self._closing = tuple(closing)

    def close(self) -> None:
        for each in self._closing:
            each.close()


class Kept(NamedTuple):
    """What one config uses of the works."""

    upstreams: dict[str, Made[Upstream]]
    fronts: dict[str, Made[Tls]]
    """By address, of the listeners that speak TLS."""
    log: Made[AccessLog] | None
    spans: Made[Spans] | None = None

    @property
    def access_log(self) -> AccessLog | None:
        return self.log.made if self.log is not None else None

    def tls(self, address: str) -> Tls | None:
        front = self.fronts.get(address)
        return front.made if front is not None else None

    def all(self) -> set[Made[Upstream] | Made[Tls] | Made[AccessLog] | Made[Spans]]:
        single = [each for each in (self.log, self.spans) if each is not None]
        return {*self.upstreams.values(), *self.fronts.values(), *single}


def finish(steps: Steps[T]) -> T:
    """Takes all the steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            value: T = done.value
            return value


def fingerprint(settings: msgspec.Struct) -> bytes:
    """Equal for equal settings, and for no others."""
    return msgspec.msgpack.encode(settings)


def found_by(upstream: model.Upstream) -> bytes | None:
    """The fingerprint of where its targets are found; None where the config names them."""
    if upstream.app:
        return APP
    return fingerprint(upstream.discover) if upstream.discover is not None else None


def fronts(listeners: Iterable[model.Listener]) -> dict[bytes, ssl.SSLContext]:
    """What the TLS of each listener begins with, by fingerprint; see `tls.Identity`."""
    settings = [listener.tls for listener in listeners if listener.tls is not None]
    if not settings:
        return {}
    from tetrapylon.net import tls

    return {fingerprint(each): tls.server_context(each) for each in settings}


class Works:
    """Makes, keeps and closes what the configs on one loop have in common."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        slab: Slab,
        fronts: Mapping[bytes, ssl.SSLContext] | None = None,
        channel: Channel | None = None,
    ) -> None:
        """`fronts` as the function of that name made them; `channel` leads to who compares answers."""
        self.outbox = Outbox(loop, slab, channel)
        self.code: UserCode | None = None
        """What handlers and plugins stand on, from one config to the next."""
        self.fakes: dict[str, Callable[..., Any]] = {}
        """Functions in place of upstreams, by name, for tests."""
        self.loop = loop
        self.slab = slab
        self.reactor = Reactor(loop)
        self.via = Via(PSEUDONYM)
        self._resolver = Resolver(loop, self._not_found)
        self._watcher: Watcher | None = None
        self._redis: dict[str, Redis] = {}
        self._caches: WeakValueDictionary[tuple[str, int, str | None, float], Store] = WeakValueDictionary()
        """As long as there is a route that uses them."""
        self._given_fronts = dict(fronts or {})
        self._kept = Kept({}, {}, None)
        self._found: dict[str, tuple[bytes, tuple[model.Target, ...]]] = {}
        """What discovery found last, by upstream: the fingerprint of its settings, and the targets."""
        self._fleets: dict[Made[Upstream], tuple[bytes, Fleet]] = {}
        """Of upstreams whose targets are found, with that fingerprint."""
        self._news = asyncio.Event()
        self._follower: Follower | None = None
        self._leases: WeakSet[Lease] = WeakSet()
        self._fresh: set[Made[Upstream] | Made[Tls] | Made[AccessLog] | Made[Spans]] = set()
        """Made since it was last settled."""

    def user_code(self) -> UserCode:
        """Made for the first handler or plugin."""
        if self.code is None:
            from tetrapylon.code.usercode import UserCode

            self.code = UserCode(self.loop, self.reactor, self.slab)
        return self.code

    def keep(self, config: model.Config) -> Steps[Kept]:
        """Makes what is new or has changed, and takes the rest as it is. `settle` it, or settle the last one.

        Raises TetrapylonError or OSError for what cannot be made.
        """
        upstreams = {}
        for name, settings in config.upstreams.items():
            if name in self.fakes:
                continue
            upstreams[name] = yield from self._upstream(name, settings, config.server.zone)
        fronts = {}
        keys = listener_keys(listener.address for listener in config.server.listen)
        for key, listener in zip(keys, config.server.listen, strict=True):
            if listener.tls is not None:
                fronts[key] = yield from self._front(key, listener.tls)
        return Kept(upstreams, fronts, self._log(config.log.access), self._spans(config.traces))

    def settle(self, kept: Kept) -> None:
        """This is what is used now: all the rest is closed."""
        used = kept.all()
        for made in (self._kept.all() | self._fresh) - used:
            made.close()
            self._fleets.pop(made, None)  # type: ignore[arg-type]
        self._fresh.clear()
        self._kept = kept
        for name in kept.upstreams:
            self._apply(name)  # what was found while it was made

    # -- targets that are found

    def found(self, name: str, fingerprint: bytes, targets: bytes) -> None:
        """The targets of an upstream, as MessagePack, found by the settings of that fingerprint."""
        self._take(name, fingerprint, msgspec.msgpack.decode(targets, type=tuple[model.Target, ...]))

    def _take(self, name: str, fingerprint: bytes, targets: tuple[model.Target, ...]) -> None:
        self._found[name] = (fingerprint, targets)
        self._apply(name)
        self._news.set()

    def follow(self, upstreams: Mapping[str, model.Upstream]) -> None:
        """Finds targets from here, where no control process does."""
        if any(each.discover is not None for each in upstreams.values()):
            from tetrapylon.discovery.follow import Follower

            self._follower = Follower(self.loop, self._take)
            self._follower.follow(upstreams)

    async def await_targets(self, patience: float, apps: float) -> None:
        """Returns when all upstreams know theirs that are to find them, or after so many seconds; `apps`
        seconds where it is a hosted app that they wait for."""
        begun = self.loop.time()
        while lacking := self._lacking():
            left = begun + (apps if APP in lacking else patience) - self.loop.time()
            if left <= 0:
                return
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)

    def _lacking(self) -> set[bytes]:
        """Where the targets are to be found of upstreams that know none."""
        return {
            where
            for made, (where, _) in self._fleets.items()
            if self._found.get(made.made.name, (b"", ()))[0] != where
        }

    def _apply(self, name: str) -> None:
        made = self._kept.upstreams.get(name)
        if made is None or made not in self._fleets:
            return
        print_, fleet = self._fleets[made]
        found, targets = self._found.get(name, (b"", ()))
        if found == print_:
            made.made.set_targets(fleet.update(targets))

    def redis(self, url: str) -> Redis:
        """The Redis there, one for all who name it, as long as this lives."""
        from tetrapylon.stores.redis import Redis

        if url not in self._redis:
            self._redis[url] = Redis(self.loop, url)
        return self._redis[url]

    def cache(self, settings: Any) -> tuple[Store, SharedAnswers | None]:
        """The store of that name and size, one for all who name it, and what machines share of it, if any."""
        from tetrapylon._core.caching.store import Store

        key = settings.name, settings.size, settings.redis, settings.timeout
        store = self._caches.get(key)
        if store is None:
            store = self._caches[key] = Store(self.slab, settings.name, settings.size)
            if settings.redis is not None:
                self._share(store, settings.redis, settings.timeout)
        return store, store.shared

    def _share(self, store: Store, url: str, timeout: float) -> None:
        from tetrapylon._core.caching.sharing import record_of
        from tetrapylon.stores.redis_answers import SharedAnswers

        def count(what: str, number: int) -> None:
            self.slab.count("tetrapylon_cache_redis_total", {"cache": name, "result": what}, number)

        name = store.name
        store.shared = shared = SharedAnswers(self.redis(url), name, store.room // 2, timeout, count)
        store.beyond = lambda stored: shared.keep(**record_of(stored))

    def purge(self, how: Literal["path", "prefix", "tag"], what: str) -> int:
        """As `Store.purge`, of all stores."""
        counts: list[int] = [store.purge(how, what.encode()) for store in list(self._caches.values())]
        return sum(counts)

    def lease(self, closing: list[Closes]) -> Lease | None:
        """None where there is nothing to close."""
        if not closing:
            return None
        self._leases.add(lease := Lease(self.loop, closing))
        return lease

    def close(self) -> None:
        for lease in list(self._leases):
            lease.close()
        self.outbox.close()
        if self._kept.spans is not None:
            self._kept.spans.made.close()
        if self._follower is not None:
            self._follower.close()
        self.settle(Kept({}, {}, None))
        self._resolver.close()
        if self.code is not None:
            self.code.close()
        if self._watcher is not None:
            self._watcher.close()
        for redis in self._redis.values():
            redis.close()

    def _new(self, fingerprint: bytes, made: T, *closing: Closes) -> Made[T]:
        new = Made(fingerprint, made, closing)
        self._fresh.add(new)  # type: ignore[arg-type]
        return new

    # -- upstreams

    def _upstream(self, name: str, settings: model.Upstream, zone: str) -> Steps[Made[Upstream]]:
        # The other timeouts belong to the routes' plans.
        own = msgspec.structs.replace(
            settings,
            timeouts=model.UpstreamTimeouts(
                connect=settings.timeouts.connect, header=settings.timeouts.header
            ),
        )
        print_ = fingerprint(own) + zone.encode()
        kept = self._kept.upstreams.get(name)
        if kept is not None and kept.fingerprint == print_:
            return kept
        closing: list[Closes] = []
        discover = settings.discover
        known_as = discover.dns.name if discover is not None and discover.dns is not None else ""
        fleet = Fleet(
            self._resolver,
            lambda host, closing: finish(self._client_tls(settings.tls, host, closing)),
            known_as,
        )
        for each in settings.targets:
            ending: list[Closes] = []
            target = yield from self._target(each, settings.tls, ending)
            fleet.add(each, target, ending)
        closing.append(fleet)
        targets = fleet.targets
        where = found_by(settings)
        if where is not None and self._found.get(name, (b"",))[0] == where:
            targets = fleet.update(self._found[name][1])
        upstream = make_upstream(settings, name, targets, self.reactor, self.via, self.slab, zone)
        closing.append(Presence(self.loop, upstream))
        if settings.health.active is not None:
            from tetrapylon.upstreams.checks import Checker

            closing.append(Checker(self.loop, self.slab.board, upstream, settings.health.active))
        else:
            for target in targets:
                self.slab.board.unmark(name, target.name)
        made = self._new(print_, upstream, *closing, upstream)
        if where is not None:
            self._fleets[made] = (where, fleet)
        return made

    def _not_found(self, target: str) -> None:
        self.slab.count("tetrapylon_upstream_lookup_failures_total", {"target": target})

    def _target(self, settings: model.Target, tls: model.UpstreamTls, closing: list[Closes]) -> Steps[Target]:
        where = target_address(settings.url)
        secure = None
        if settings.url.startswith("https:") and isinstance(where, HostPort):
            secure = yield from self._client_tls(tls, where.host, closing)
        yield True
        found = look_up(where)
        yield False
        if not found:
            self._not_found(str(where))
        target = Target(
            str(where),
            host=host_of(settings.url),
            weight=settings.weight,
            addresses=found,
            tls=secure,
            priority=settings.priority,
            zone=settings.zone,
        )
        if isinstance(where, HostPort):
            closing.extend(self._resolver.refresh(target, where))
        return target

    def _client_tls(self, settings: model.UpstreamTls, host: str, closing: list[Closes]) -> Steps[Tls]:
        from tetrapylon.net.tls import client_context, client_files

        yield True
        context = client_context(settings)
        yield False
        secure = Tls(context, server_name=settings.server_name or host)

        def reload() -> None:
            secure.context = client_context(settings, datetime.now(UTC))

        closing.append(self._watch(client_files(settings), reload))
        return secure

    # -- listeners

    def _front(self, address: str, settings: model.ListenerTls) -> Steps[Made[Tls]]:
        from tetrapylon.net.tls import Identity

        print_ = fingerprint(settings)
        kept = self._kept.fronts.get(address)
        if kept is not None and kept.fingerprint == print_:
            return kept
        yield True
        identity = Identity(settings, self._given_fronts.pop(print_, None))
        yield False
        header = settings.subject_header.encode() if settings.client_ca is not None else None
        secure = Tls(identity.front, subject_header=header)

        def reload() -> None:
            identity.reload()
            secure.context = identity.front

        return self._new(print_, secure, self._watch(identity.files, reload))

    def _watch(self, files: list[str], reload: Callable[[], None]) -> Closes:
        from tetrapylon.net.tls import Watcher

        if self._watcher is None:
            self._watcher = Watcher(self.loop)
        return self._watcher.add(files, reload)

    # -- the access log

    def _log(self, settings: model.AccessLog | None) -> Made[AccessLog] | None:
        if settings is None:
            return None
        print_ = fingerprint(settings)
        if self._kept.log is not None and self._kept.log.fingerprint == print_:
            return self._kept.log
        log = access_log(settings, self.slab)
        return self._new(print_, log, _LastLines(log))

    # -- spans

    def _spans(self, settings: model.Traces | None) -> Made[Spans] | None:
        if settings is None:
            return None
        print_ = fingerprint(settings)
        if self._kept.spans is not None and self._kept.spans.fingerprint == print_:
            return self._kept.spans
        from tetrapylon.telemetry.tracing import Spans, otlp

        exporter = otlp(settings.endpoint, settings.headers, settings.timeout)
        spans = Spans(exporter, settings.service, settings.queue, self._count_spans)
        return self._new(print_, spans, _LastSpans(spans))

    def _count_spans(self, outcome: str, count: int) -> None:
        self.slab.count("tetrapylon_spans_total", {"outcome": outcome}, count)


class _LastSpans:
    """Ends spans whose gateway goes on, and which so cannot wait for a collector."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def close(self) -> None:
        self._spans.close(0.0)


class _LastLines:
    """Closes an access log whose gateway goes on, and which so cannot wait for a reader."""

    def __init__(self, log: AccessLog) -> None:
        self._log = log

    def close(self) -> None:
        self._log.close(0.0)
