"""The gateway's own side of the wire: listeners, their TLS, limits, timeouts, admin and log."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from tetrapylon.config.model.base import Count, Section, Text, Timeout, doc
from tetrapylon.config.net import Address, Cidr, HeaderName, MediaType
from tetrapylon.config.secrets import Secret
from tetrapylon.config.units import Duration, Size


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
    shutdown_delay: Annotated[
        Duration,
        doc("After TERM, `/readyz` fails for so long before connections are refused: balancers notice."),
    ] = 0.0
    drain: Annotated[Duration, doc("Requests in flight may finish after TERM; then they are cut.")] = 30.0


class ErrorPage(Section, frozen=True, kw_only=True):
    """A body for errors that the gateway answers with itself.

    Which one a client gets is its `Accept` field's choice (RFC 9110, 12.5.1). A client without a preference
    gets JSON: the first of these that is JSON, or else the gateway's own problem+json.
    """

    status: Annotated[
        tuple[Annotated[int, Meta(ge=400, le=599)], ...], doc("The statuses it is for; all when left out.")
    ] = ()
    type: Annotated[MediaType, doc("Its media type; values are escaped for HTML, XML and JSON.")]
    body: Annotated[
        Text,
        doc(
            "The body, in which `{status}`, `{title}`, `{detail}`, `{reason}`, `{request_id}` and `{route}`"
            " are filled in, at most 64KiB; `${file:PATH}` reads it from a file."
        ),
    ]


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
    zone: Annotated[str, doc("Where this gateway stands: targets of the same `zone` are asked first.")] = ""
    limits: Annotated[ServerLimits, doc("What a client may send.")] = ServerLimits()
    timeouts: Annotated[ServerTimeouts, doc("How long a client may take.")] = ServerTimeouts()
    errors: Annotated[tuple[ErrorPage, ...], doc("Bodies for errors, in place of problem+json.")] = ()


class AdminTls(Section, frozen=True, kw_only=True):
    """How the admin address speaks TLS. Files that change are read again while it serves."""

    cert: Annotated[Text, doc("A PEM file: the certificate, then those between it and its CA.")]
    key: Annotated[Text, doc("A PEM file: its private key, without a passphrase.")]
    client_ca: Annotated[
        Text | None,
        doc(
            "A PEM file: the CAs of which a client has to show a certificate for all but `/livez` and"
            " `/readyz` (mTLS)."
        ),
    ] = None
    min_version: Annotated[Literal["1.2", "1.3"], doc("The lowest version of TLS.")] = "1.2"

    def listener(self) -> ListenerTls:
        """As a listener's. Probes show no certificate: whether there is one is seen with each request."""
        return ListenerTls(
            cert=self.cert,
            key=self.key,
            client_ca=self.client_ca,
            client_auth="optional" if self.client_ca is not None else "required",
            min_version=self.min_version,
        )


class Admin(Section, frozen=True, kw_only=True):
    """The admin address: the page, health, metrics, the config in force, and orders such as `POST /reload`.

    An address that other machines reach answers `/livez` and `/readyz` alone, unless `token` or
    `tls.client_ca` says who may have more; with both, both are asked for.
    """

    listen: Annotated[Address, doc("`host:port` or `unix:/path`; keep it where only operators reach it.")] = (
        "127.0.0.1:9901"
    )
    token: Annotated[
        Annotated[Secret, Meta(min_length=16)] | None,
        doc(
            "What `Authorization: Bearer` has to show for all but `/livez`, `/readyz` and the page, which"
            " asks for it."
        ),
    ] = None
    tls: Annotated[AdminTls | None, doc("Speak HTTPS there.")] = None


Bound = Annotated[Duration, Meta(ge=0.000001)]


class Metrics(Section, frozen=True, kw_only=True):
    """How finely `/metrics` and the page tell what happens. A change takes effect with a restart."""

    duration_bounds: Annotated[
        tuple[Bound, ...],
        doc(
            "Upper bounds of the histograms of durations, of requests and of those to upstreams, rising, at"
            " most 14.",
            min_length=1,
        ),
    ] = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
    gateway_bounds: Annotated[
        tuple[Bound, ...],
        doc("Likewise of the gateway's own share of a request, and of loop lag.", min_length=1),
    ] = (
        1e-05,
        2.5e-05,
        5e-05,
        7.5e-05,
        0.0001,
        0.00025,
        0.0005,
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
    )
    max_routes: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        doc(
            "Routes with series of their own; all further ones are counted as the route `other`. When left"
            " out: 65,536, or four times as many as there are at the start."
        ),
    ] = None
