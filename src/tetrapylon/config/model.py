"""The config as msgspec Structs: every key, its type, its default and its one description.

Files, the JSON Schema and the reference are all read from these Structs; a config built in Python is
made of them. All are frozen, so one may be shared freely.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from tetrapylon.config.net import (
    Address,
    Cidr,
    HeaderName,
    HeaderValue,
    HostPattern,
    Method,
    ServerName,
    TargetUrl,
    UpstreamHost,
)
from tetrapylon.config.units import Duration, Share, Size

Text = Annotated[str, Meta(min_length=1)]
Timeout = Annotated[Duration, Meta(ge=0.001)]
Token = Annotated[HeaderValue, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


def doc(text: str, **limits: Any) -> Meta:
    """A field's description, and the limits of its value (`ge`, `le`, `min_length` ...)."""
    return Meta(description=text, **limits)


def later(*values: str) -> Meta:
    """Values of the contract that a field does not take yet."""
    return Meta(extra={"later": values})


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all parts of the config share.

    `later` names keys of the contract whose mechanism this version lacks: they are refused by name.
    `shorthand` is the field that a bare string in place of the whole section fills.
    """

    later: ClassVar[frozenset[str]] = frozenset()
    shorthand: ClassVar[str] = ""


class Certificate(Section, frozen=True, kw_only=True):
    """A certificate and its key."""

    cert: Annotated[Text, doc("A PEM file: the certificate, then those between it and its CA.")]
    key: Annotated[Text, doc("A PEM file: its private key, without a passphrase.")]


class ListenerTls(Section, frozen=True, kw_only=True):
    """How a listener speaks TLS. Files that change are read again while it serves.

    ALPN offers `http/1.1`. Relative file names start at the working directory.
    """

    cert: Annotated[Text, doc("A PEM file: the certificate, then those between it and its CA.")]
    key: Annotated[Text, doc("A PEM file: its private key, without a passphrase.")]
    certificates: Annotated[
        tuple[Certificate, ...],
        doc(
            "Further ones, chosen by the host that the client asks for (SNI) and their own subject"
            " alternative names; where none fits, it is `cert`."
        ),
    ] = ()
    client_ca: Annotated[
        Text | None, doc("A PEM file: the CAs whose client certificates are accepted (mTLS).")
    ] = None
    client_auth: Annotated[
        Literal["required", "optional"],
        doc("Whether a client may do without a certificate, with `client_ca`."),
    ] = "required"
    subject_header: Annotated[
        HeaderName,
        doc(
            "With `client_ca`, the field that tells upstreams the subject of the client's certificate (RFC"
            " 4514). No client can send it itself, to any listener."
        ),
    ] = "X-Client-Cert-Subject"
    min_version: Annotated[Literal["1.2", "1.3"], doc("The lowest version of TLS.")] = "1.2"
    ciphers: Annotated[
        Text | None, doc("Ciphers for TLS 1.2, as OpenSSL names them; sound ones when left out.")
    ] = None


class Listener(Section, frozen=True, kw_only=True):
    """An address to accept connections on; a bare string is its `address`."""

    shorthand: ClassVar[str] = "address"

    address: Annotated[
        Address, doc("`host:port`, `[IPv6]:port` or `unix:/path`; port 0 lets the system choose one.")
    ]
    tls: Annotated[ListenerTls | None, doc("Speak HTTPS here.")] = None
    proxy_protocol: Annotated[
        bool,
        doc("Each connection begins with a PROXY header, version 1 or 2, and is believed; without: closed."),
    ] = False


class ServerLimits(Section, frozen=True, kw_only=True):
    """What a client may send; more is refused with the status named."""

    header_bytes: Annotated[
        Size, doc("All of a request's header fields together; more: 431.", ge=1024, le=16 * 2**20)
    ] = 32 * 1024
    headers: Annotated[int, doc("Header fields in a request; more: 431.", ge=1, le=10_000)] = 100
    target_bytes: Annotated[
        Size, doc("The request target (path and query); longer: 414.", ge=16, le=2**20)
    ] = 8 * 1024
    body: Annotated[Size | None, doc("The request's body, `none` for no limit; larger: 413.")] = None
    connections: Annotated[
        int,
        doc("Client connections open at once in each worker; further ones are closed.", ge=1, le=10_000_000),
    ] = 10_000
    connections_per_client: Annotated[
        Count | None, doc("Of these, from one address that is no trusted proxy; more are closed.")
    ] = None
    requests_per_connection: Annotated[
        Count | None, doc("A connection is closed after so many, a tenth more or less.")
    ] = None


class ServerTimeouts(Section, frozen=True, kw_only=True):
    """How long a client may take."""

    header: Annotated[Timeout, doc("From a request's first byte to the end of its head; longer: 408.")] = 10.0
    handshake: Annotated[Timeout, doc("From a connection's begin to the end of its TLS handshake.")] = 5.0
    body_idle: Annotated[Timeout, doc("Between two pieces of a request's body; longer: 408.")] = 30.0
    body: Annotated[
        Timeout | None,
        doc("From a request's first byte to its last, however steadily; longer: 408."),
    ] = None
    keepalive: Annotated[Duration, doc("An idle connection is kept for the next request.")] = 75.0
    connection_age: Annotated[
        Timeout | None,
        doc("A connection this old, a tenth more or less, is closed after its next answer."),
    ] = None
    drain: Annotated[Duration, doc("Requests in flight may finish after TERM; then they are cut.")] = 30.0


class Server(Section, frozen=True, kw_only=True):
    """The gateway's own side of the wire."""

    listen: Annotated[tuple[Listener, ...], doc("Addresses to accept connections on.", min_length=1)] = (
        Listener(address="127.0.0.1:8080"),
    )
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | Literal["auto"], doc("Worker processes; `auto`: one a core.")
    ] = 1
    trusted_proxies: Annotated[
        tuple[Cidr, ...], doc("Networks whose `X-Forwarded-*` and `Forwarded` are believed.")
    ] = ()
    limits: Annotated[ServerLimits, doc("What a client may send.")] = ServerLimits()
    timeouts: Annotated[ServerTimeouts, doc("How long a client may take.")] = ServerTimeouts()


class Admin(Section, frozen=True, kw_only=True):
    """The admin address: `/livez`, `/readyz` and `/metrics`."""

    listen: Annotated[Address, doc("`host:port` or `unix:/path`; keep it where only operators reach it.")] = (
        "127.0.0.1:9901"
    )


class AccessLog(Section, frozen=True, kw_only=True):
    """One line a request, with the time split between gateway and upstream."""

    format: Annotated[Literal["json"], doc("How a line is written: one JSON object.")] = "json"
    path: Annotated[str, doc("A file, appended to; `-` for standard output.", min_length=1)] = "-"
    sample: Annotated[
        Share, doc("The share of answered requests to log. Errors are always logged; `0` logs them alone.")
    ] = 1.0


class Log(Section, frozen=True, kw_only=True):
    """What is written down."""

    access: Annotated[AccessLog | None, doc("The access log; `none` switches it off.")] = AccessLog()


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

    user: Annotated[Text | None, doc("A user's name, for basic authentication (RFC 7617).")] = None
    password: Annotated[str | None, doc("The user's password; `${NAME}` keeps it out of the file.")] = None
    bearer: Annotated[Token | None, doc("A token (RFC 6750), in place of both.")] = None


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

    later: ClassVar[frozenset[str]] = frozenset({"health", "retry"})

    targets: Annotated[tuple[Target, ...], doc("The servers.", min_length=1)]
    balance: Annotated[
        Literal["round_robin"],
        doc("How a target is picked: in turn, by weight."),
        later("least_requests", "random_two", "consistent_hash"),
    ] = "round_robin"
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
    credentials: Annotated[
        Credentials | None, doc("What it is shown in `Authorization`, in place of the client's.")
    ] = None


class PolicyUse(Section, frozen=True, kw_only=True):
    """A policy in a list of policies: its name in `use`, its settings beside it.

    `settings` holds builtin values that convert to the policy's own `Settings` Struct; in Python,
    `PolicyUse(use="request_id", settings={"header": "X-Id"})`.
    """

    use: Annotated[str, doc("The policy's name.", min_length=1)]
    settings: Annotated[dict[str, Any], doc("The policy's own settings.")] = {}


class Respond(Section, frozen=True, kw_only=True):
    """An answer that the gateway gives itself."""

    status: Annotated[int, doc("The status code.", ge=200, le=599)] = 200
    body: Annotated[str, doc("The body, as UTF-8.")] = ""
    content_type: Annotated[HeaderValue, doc("`Content-Type` of the body.", min_length=1)] = (
        "text/plain; charset=utf-8"
    )
    headers: Annotated[dict[HeaderName, HeaderValue], doc("Further header fields.")] = {}


class Redirect(Section, frozen=True, kw_only=True):
    """A redirect that the gateway answers with; a bare string is its `to`."""

    shorthand: ClassVar[str] = "to"

    to: Annotated[
        Text,
        doc("A path or URL; `{name}` stands for a parameter of the route's path."),
    ]
    status: Annotated[Literal[301, 302, 303, 307, 308], doc("The status code.")] = 308


class RouteLimits(Section, frozen=True, kw_only=True):
    """A route's own limits, over the server's."""

    body: Annotated[Size | UnsetType | None, doc("The request's body, `none` for no limit; larger: 413.")] = (
        UNSET
    )


class RouteTimeouts(Section, frozen=True, kw_only=True):
    """A route's own timeouts, over the server's and the upstream's."""

    body_idle: Annotated[
        Timeout | UnsetType, doc("Between two pieces of the request's body; longer: 408.")
    ] = UNSET
    body: Annotated[
        Timeout | UnsetType | None,
        doc("From a request's first byte to its last, however steadily; longer: 408."),
    ] = UNSET
    response: Annotated[
        Timeout | UnsetType | None, doc("From the request's end to the response's head; longer: 504.")
    ] = UNSET
    idle: Annotated[
        Timeout | UnsetType | None, doc("Between two pieces of the response's body; longer: it is cut.")
    ] = UNSET
    total: Annotated[
        Timeout | UnsetType | None, doc("The whole exchange; longer: 504, or cut once it has begun.")
    ] = UNSET
    tunnel: Annotated[
        Timeout | UnsetType | None,
        doc("A WebSocket, or another upgraded connection, on which nobody says a word."),
    ] = UNSET


class Route(Section, frozen=True, kw_only=True):
    """Which requests to take, and where they go: exactly one of `upstream`, `respond` and `redirect`."""

    later: ClassVar[frozenset[str]] = frozenset({"app", "handler"})

    path: Annotated[
        str,
        doc(
            "The path: literal segments, and `{name}` for one segment, `{name:int}`, `{name:uuid}`, or"
            " `{name:path}` for the rest. The most specific route wins, whatever the order.",
            min_length=1,
        ),
    ]
    methods: Annotated[tuple[Method, ...], doc("Methods it takes; all when left out. HEAD follows GET.")] = ()
    host: Annotated[
        HostPattern | None, doc("The host it takes, exact or `*.example.com`; all when left out.")
    ] = None
    headers: Annotated[
        dict[HeaderName, HeaderValue], doc("Header fields that a request must carry, with their values.")
    ] = {}
    upstream: Annotated[str | None, doc("The name of the upstream to send requests on to.")] = None
    rewrite: Annotated[
        str | None,
        doc("The path sent to the upstream in place of the client's; `{name}` stands for a parameter."),
    ] = None
    respond: Annotated[Respond | None, doc("An answer to give.")] = None
    redirect: Annotated[Redirect | None, doc("A redirect to answer with.")] = None
    limits: Annotated[RouteLimits, doc("Limits of its own, over the server's.")] = RouteLimits()
    timeouts: Annotated[RouteTimeouts, doc("Timeouts of its own, over the server's and the upstream's.")] = (
        RouteTimeouts()
    )
    policies: Annotated[tuple[PolicyUse, ...], doc("Policies of its own, after those of every route.")] = ()
    name: Annotated[Text | None, doc("Its name in metrics and logs; its path when left out.")] = None
    at: Annotated[str, Meta(extra={"internal": True})] = ""
    """Where it stands, as `FILE:LINE`; set when the config is loaded."""


class Config(Section, frozen=True, kw_only=True):
    """The whole config."""

    later: ClassVar[frozenset[str]] = frozenset({"apps", "consumers"})

    server: Annotated[Server, doc("The gateway's own side of the wire.")] = Server()
    admin: Annotated[Admin | None, doc("The admin address; there is none when left out.")] = None
    log: Annotated[Log, doc("What is written down.")] = Log()
    upstreams: Annotated[
        dict[Text, Upstream],
        doc("Where requests are sent on to, by name."),
    ] = {}
    policies: Annotated[tuple[PolicyUse, ...], doc("Policies on every route, before the route's own.")] = ()
    routes: Annotated[tuple[Route, ...], doc("Which requests go where.")] = ()
