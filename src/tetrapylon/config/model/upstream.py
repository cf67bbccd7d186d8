"""Upstreams: their targets and how they are reached."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from tetrapylon.config.model.base import Count, Section, Text, Timeout, Token, doc
from tetrapylon.config.model.discover import Discover
from tetrapylon.config.net import (
    BalanceKey,
    CheckPath,
    CookieName,
    HeaderName,
    HeaderValue,
    Line,
    Method,
    ServerName,
    TargetUrl,
    UpstreamHost,
)
from tetrapylon.config.secrets import SECRET, Secret
from tetrapylon.config.units import Duration, Share, Size


class Target(Section, frozen=True, kw_only=True):
    """One server of an upstream; a bare string is its `url`."""

    shorthand: ClassVar[str] = "url"

    url: Annotated[
        TargetUrl,
        doc(
            "`http://host:port`, `https://host:port` or `unix:/path`; a name is looked up now and then, all"
            " its addresses used."
        ),
    ]
    weight: Annotated[
        int, doc("Its share of the requests, relative to the other targets.", ge=1, le=1000)
    ] = 1
    priority: Annotated[
        int,
        doc(
            "0 is asked first; the next ones take what is too much for those that are left of it: a group"
            " takes all requests while 5 of 7 of its targets are healthy.",
            ge=0,
            le=100,
        ),
    ] = 0
    zone: Annotated[
        str, doc("Where it stands. Of one priority, targets in the gateway's own zone are asked first.")
    ] = ""
    name: Annotated[str, Meta(extra={"internal": True})] = ""
    """What it is called, in metrics, too; empty: by where it is."""


Times = Annotated[float, Meta(ge=1, le=1000)]


class ConsistentHash(Section, frozen=True, kw_only=True):
    """The same key leads to the same target; when one goes, its keys alone move. A string is the `key`."""

    shorthand: ClassVar[str] = "key"

    key: Annotated[
        BalanceKey, doc("`client` (its address), `path`, `header:NAME`, `cookie:NAME` or `query:NAME`.")
    ]
    bound: Annotated[
        Times | None,
        doc("How many times its share of the requests under way a target takes; more go to the next one."),
    ] = None


class StickyCookie(Section, frozen=True, kw_only=True):
    """A client keeps its target while that is healthy, by a cookie; a bare string is its name in `cookie`."""

    shorthand: ClassVar[str] = "cookie"

    cookie: Annotated[CookieName, doc("The cookie's name. Its value names the target to this gateway alone.")]
    attributes: Annotated[HeaderValue, doc("What follows in `Set-Cookie`.")] = "Path=/; HttpOnly"
    first: Annotated[
        Literal["round_robin", "least_requests", "random_two"], doc("How a client's first target is picked.")
    ] = "round_robin"


class Balance(Section, frozen=True, kw_only=True):
    """How a target is picked by what the request says: exactly one of these."""

    consistent_hash: Annotated[ConsistentHash | None, doc("By a key of the request.")] = None
    sticky_cookie: Annotated[StickyCookie | None, doc("By a cookie that the gateway sets.")] = None


class ActiveHealth(Section, frozen=True, kw_only=True):
    """Checks that the gateway makes on its own: HTTP with `path`, otherwise whether a connection opens.

    One worker checks for all.
    """

    path: Annotated[CheckPath | None, doc("The path to GET; left out: TCP connect alone.")] = None
    interval: Annotated[Timeout, doc("Between two checks of a target, or up to a tenth less.")] = 5.0
    timeout: Annotated[Timeout, doc("For one check.")] = 1.0
    healthy: Annotated[int, doc("Passed checks in a row after which a target is healthy.", ge=1, le=100)] = 2
    unhealthy: Annotated[int, doc("Failed checks in a row after which it is not.", ge=1, le=100)] = 3
    status: Annotated[
        tuple[Annotated[int, Meta(ge=100, le=599)], ...], doc("Statuses that pass; left out: 200 to 399.")
    ] = ()
    body: Annotated[Text | None, doc("What the first 64 KiB of the body must hold.")] = None
    host: Annotated[Token | None, doc("The `Host` of a check; the target's own when left out.")] = None


class PassiveHealth(Section, frozen=True, kw_only=True):
    """Targets are left alone for a while because of how they answer: no answer and 5xx are failures."""

    consecutive_failures: Annotated[Count | None, doc("Failures in a row that eject a target.")] = 5
    failure_rate: Annotated[Share | None, doc("The share of failures in a `window` that does.")] = None
    latency: Annotated[
        Times | None,
        doc("A mean latency in a `window` of so many times the median of the other targets' does."),
    ] = None
    window: Annotated[Timeout, doc("What rates and latencies are taken over.")] = 10.0
    requests: Annotated[int, doc("Requests that a window must hold for a verdict.", ge=1, le=1_000_000)] = 20
    eject: Annotated[Timeout, doc("How long, the first time; doubled each time after that.")] = 30.0
    longest: Annotated[Timeout, doc("How long at most.")] = 300.0
    max_ejected: Annotated[Share, doc("The share of the targets that may be ejected at once.")] = 0.5


class Health(Section, frozen=True, kw_only=True):
    """Which targets are fit to be sent requests. What is known is shared by all workers."""

    active: Annotated[ActiveHealth | None, doc("Checks of the gateway's own.")] = None
    passive: Annotated[PassiveHealth | None, doc("Judgement by the answers to clients' requests.")] = None
    panic: Annotated[
        Share, doc("With a smaller share of healthy targets than this, health is ignored and all are used.")
    ] = 0.0
    slow_start: Annotated[
        Duration, doc("A target that came back gets a growing share of its requests for so long.")
    ] = 0.0


class Hedge(Section, frozen=True, kw_only=True):
    """A GET that takes long is asked of a second target, too; the first answer counts, the other is dropped.

    Each is a retry by the `budget`.
    """

    percentile: Annotated[
        Share, doc("After how long: as long as this share of answers takes at most.", ge=0.5, le=0.999)
    ] = 0.95
    floor: Annotated[Timeout, doc("Never sooner than after so long.")] = 0.002
    requests: Annotated[
        int, doc("Answers that a worker must have seen before it does this.", ge=1, le=1_000_000)
    ] = 100


class Retry(Section, frozen=True, kw_only=True):
    """When a request is sent again. Idempotent methods alone, unless `methods` names others.

    Only while nothing has gone to the client. After a failed connect another target is tried in any case.
    """

    attempts: Annotated[int, doc("How often a request is sent again at most.", ge=1, le=10)] = 1
    on: Annotated[
        tuple[Literal["connect", "reset", "timeout"] | Annotated[int, Meta(ge=400, le=599)], ...],
        doc("After what: no connection, one that ended before it answered, no answer in time, or a status."),
    ] = ("connect", "reset", "timeout", 502, 503, 504)
    methods: Annotated[tuple[Method, ...], doc("Methods to send again beside the idempotent ones.")] = ()
    body: Annotated[
        Size,
        doc("A body of announced length up to this is kept to be sent again.", le=2**26),
    ] = 65536
    try_timeout: Annotated[
        Timeout | None, doc("For the response's head, while another try is left; then `response` counts.")
    ] = None
    hedge: Annotated[Hedge | None, doc("When GETs are asked of a second target; never when left out.")] = None
    backoff: Annotated[
        Duration, doc("Before a retry, a random pause of at most this; of twice as much before the next.")
    ] = 0.025
    budget: Annotated[
        Share, doc("Retries as a share of the requests of the last 10 s, in each worker; beyond: none.")
    ] = 0.2


class Breaker(Section, frozen=True, kw_only=True):
    """Open: nothing is sent for a while. Half open: one request at a time, until enough went well."""

    failure_rate: Annotated[Share | None, doc("The share of failures in a `window` that opens it.")] = 0.5
    slow_rate: Annotated[Share | None, doc("The share of requests slower than `slow` that opens it.")] = None
    slow: Annotated[Timeout, doc("What takes longer is slow.")] = 1.0
    window: Annotated[Timeout, doc("What the rates are taken over.")] = 10.0
    requests: Annotated[int, doc("Requests that a window must hold for it to open.", ge=1, le=1_000_000)] = 20
    open: Annotated[Timeout, doc("How long nothing is sent.")] = 5.0
    trials: Annotated[int, doc("Requests that must go well, half open, to close it.", ge=1, le=1000)] = 3


class Breakers(Section, frozen=True, kw_only=True):
    """Circuit breakers."""

    target: Annotated[Breaker | None, doc("One for each target: the others take its requests.")] = None
    upstream: Annotated[Breaker | None, doc("One for all targets together; open: 503.")] = None


class AdaptiveLimit(Section, frozen=True, kw_only=True):
    """Requests under way at once, in each worker, found from how long they take. More wait in line."""

    least: Annotated[int, doc("Never fewer.", ge=1, le=1_000_000)] = 4
    initial: Annotated[int, doc("At the start.", ge=1, le=1_000_000)] = 16
    tolerance: Annotated[
        float,
        doc("How many times as long as at best a request may take.", ge=1.05, le=100),
    ] = 1.5


class UpstreamTimeouts(Section, frozen=True, kw_only=True):
    """How long an upstream may take; `none` waits for ever."""

    connect: Annotated[
        Timeout, doc("To open a connection, TLS included; longer: the next target, then 504.")
    ] = 2.0
    response: Annotated[
        Timeout | None, doc("From the request's end to the response's head; longer: 504.")
    ] = 30.0
    idle: Annotated[Timeout | None, doc("Between two pieces of the response's body; longer: it is cut.")] = (
        30.0
    )
    total: Annotated[Timeout | None, doc("The whole exchange; longer: 504, or cut once it has begun.")] = None
    tunnel: Annotated[
        Timeout | None, doc("A WebSocket, or another upgraded connection, on which nobody says a word.")
    ] = 3600.0
    header: Annotated[
        HeaderName | None,
        doc("A field that tells the target what is left of `total`, in milliseconds; none when left out."),
    ] = None


class Pool(Section, frozen=True, kw_only=True):
    """Connections to an upstream's targets, kept for further requests. The numbers hold for each worker."""

    max_connections: Annotated[
        int,
        doc(
            "Connections open at once; requests whose bodies are still coming take three of four at most.",
            ge=1,
            le=1_000_000,
        ),
    ] = 256
    max_pending: Annotated[
        int, doc("Requests waiting for a connection; more: 503 at once.", ge=0, le=1_000_000)
    ] = 1024
    max_wait: Annotated[Timeout, doc("A request waits for a connection; longer: 503.")] = 5.0
    idle: Annotated[
        Duration, doc("An idle connection is kept; set it below the upstream's own keep-alive timeout.")
    ] = 55.0
    max_age: Annotated[
        Timeout | None, doc("A connection this old, a tenth more or less, is used no more.")
    ] = None
    max_requests: Annotated[Count | None, doc("A connection is used for so many, a tenth more or less.")] = (
        None
    )


class Credentials(Section, frozen=True, kw_only=True):
    """What the gateway shows an upstream in `Authorization`: `user` with `password`, or `bearer`."""

    user: Annotated[Line | None, doc("A user's name, for basic authentication (RFC 7617).")] = None
    password: Annotated[Secret | None, doc("The user's password; `${NAME}` keeps it out of the file.")] = None
    bearer: Annotated[Annotated[Token, SECRET] | None, doc("A token (RFC 6750), in place of both.")] = None


class UpstreamTls(Section, frozen=True, kw_only=True):
    """How `https://` targets are spoken to. Files that change are read again while the gateway serves."""

    verify: Annotated[
        bool,
        doc("Hold the target's certificate to its name and to `ca`. `false`: whoever answers is believed."),
    ] = True
    ca: Annotated[
        Text | None, doc("A PEM file: the CAs that are trusted here; the system's own when left out.")
    ] = None
    server_name: Annotated[
        ServerName | None, doc("The name asked for (SNI) and verified; the target's host when left out.")
    ] = None
    cert: Annotated[Text | None, doc("A PEM file: the gateway's own certificate, for mTLS.")] = None
    key: Annotated[Text | None, doc("A PEM file: its private key; in `cert` when left out.")] = None


class Upstream(Section, frozen=True, kw_only=True):
    """Servers that requests are sent on to."""

    targets: Annotated[
        tuple[Target, ...], doc("The servers; with `discover`, those that are used until it has answered.")
    ] = ()
    discover: Annotated[
        Discover | None,
        doc("Where the servers are found while the gateway serves; not at all when left out."),
    ] = None
    balance: Annotated[
        Literal["round_robin", "least_requests", "random_two"] | Balance,
        doc("How a target is picked: in turn, the least busy, the less busy of two, or by the request."),
    ] = "round_robin"
    health: Annotated[Health, doc("Which targets are fit to be sent requests.")] = Health()
    retry: Annotated[Retry | None, doc("When a request is sent again; never when left out.")] = None
    breaker: Annotated[Breakers, doc("When targets, or the upstream, are left alone.")] = Breakers()
    adaptive_limit: Annotated[
        AdaptiveLimit | None, doc("A limit on requests under way that finds itself, below `max_connections`.")
    ] = None
    timeouts: Annotated[UpstreamTimeouts, doc("How long it may take.")] = UpstreamTimeouts()
    pool: Annotated[Pool, doc("Its connections.")] = Pool()
    tls: Annotated[UpstreamTls, doc("How its `https://` targets are spoken to.")] = UpstreamTls()
    host: Annotated[
        UpstreamHost,
        doc("The `Host` it is sent: the client's (`preserve`), the target's own (`target`), or a name."),
    ] = "preserve"
    headers: Annotated[
        dict[HeaderName, HeaderValue],
        doc("Header fields of every request to it; what clients send under these names is left out."),
    ] = {}
    app: Annotated[str, Meta(extra={"internal": True})] = ""
    """The hosted app whose processes are its targets."""

    @property
    def section(self) -> str:
        """The part of the config that it stands in."""
        return "apps" if self.app else "upstreams"

    credentials: Annotated[
        Credentials | None, doc("What it is shown in `Authorization`, in place of the client's.")
    ] = None
