"""A small HTTP/1.1 server for the admin address: one request a connection, heads alone, all of it bounded.

The data plane serves strangers at speed; this serves a few operators with care. Bodies are never read. Each
answer closes its connection, so there is no pipelining and no idle connection to look after.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import httptools

from tetrapylon.admin.answer import REASONS, Answer, problem
from tetrapylon.admin.secure import SecureServer
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Server, TimerHandle, Transport

Answerer = Callable[[str, str, Mapping[str, str]], Answer | Awaitable[Answer]]

HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 5.0
WORK_SECONDS = 180.0
"""An answer may take so long: more than reading a config and compiling it may."""
SEND_SECONDS = 10.0
CONNECTIONS = 64
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("/livez", "/readyz")
"""What probes ask, and what tells a stranger nothing."""
PAGE = "/"
"""Tells nothing by itself: it asks for the token, and shows what that opens."""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


async def serve_admin(
    loop: AbstractEventLoop,
    sock: socket.socket,
    answer: Answerer,
    token: str | None = None,
    *,
    tls: Callable[[], ssl.SSLContext] | None = None,
    certificate: bool = False,
) -> Server | SecureServer:
    """Answers on a listening socket.

    `token` is what clients have to show for all but `OPEN` and `PAGE`; `tls` gives what a handshake is made
    with, and `certificate` says whether a client's is to be shown for all but `OPEN`.
    """
    connections: set[Connection] = set()
    guard = Guard(_is_local(sock), sock.family == socket.AF_UNIX, token, certificate)

    def accept() -> Connection:
        return Connection(loop, answer, connections, guard)

    if tls is None:
        return await loop.create_server(accept, sock=sock)
    return SecureServer(
        loop, sock, accept, tls, connections=connections, most=CONNECTIONS, patience=HEAD_SECONDS
    )


class Guard(NamedTuple):
    """Whom the admin address answers.

    `local`: it is a loopback address, so a request's `Host` must be one too. A page that a browser loaded
    from elsewhere can reach a loopback port by DNS rebinding, and then carries the page's own name here.
    `private`: it is a Unix socket. `certificate`: clients have to show one.
    """

    local: bool
    private: bool
    token: str | None = None
    certificate: bool = False

    def refusal(self, path: str, headers: Mapping[str, str], *, certified: bool = False) -> Answer | None:
        """`certified`: the client has shown a certificate, and it is good."""
        host = headers.get("host")
        if host is not None and self.local and not is_loopback_host(host):
            return problem(421, f"{host} is not a name of this machine; ask for localhost or 127.0.0.1")
        if path in OPEN:
            return None
        if self.certificate and not certified:
            return problem(403, "a client certificate of a CA in admin.tls.client_ca has to be shown here")
        if self.token is not None:
            if path == PAGE:
                return None
            shown = headers.get("authorization", "")
            scheme, _, token = shown.partition(" ")
            # RFC 9110, 11.1: the scheme's name knows no case.
            fits = hmac.compare_digest(token.strip().encode("latin-1"), self.token.encode())
            if scheme.lower() == "bearer" and fits:
                return None
            detail = "Authorization: Bearer with the token of admin.token is missing or wrong"
            return problem(401, detail, [("WWW-Authenticate", 'Bearer realm="tetrapylon"')])
        if not self.local and not self.private and not self.certificate:
            needed = "set admin.token, or admin.tls.client_ca,"
            return problem(
                403, f"other machines reach this address: {needed} for more than {' and '.join(OPEN)}"
            )
        return None


class Connection(asyncio.Protocol):
    """One request: its head read against a deadline, answered, the connection closed."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        answer: Answerer,
        connections: set[Connection],
        guard: Guard,
    ) -> None:
        self._loop = loop
        self._answer = answer
        self._connections = connections
        self._guard = guard
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Transport
        self._timer: TimerHandle
        self._received = 0
        self._target = b""
        self._headers: dict[str, str] = {}
        self._twice: set[str] = set()
        self._answered = False
        self._work: asyncio.Task[None] | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._chunked = False
        self._paused = False
        self._finished = False
        self._client_ended = False

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._timer = self._loop.call_later(HEAD_SECONDS, self._head_overdue)
        self._connections.add(self)
        if len(self._connections) > CONNECTIONS:
            self._send(
                problem(503, f"more than {CONNECTIONS} connections to the admin address at once"), "GET"
            )

    def data_received(self, data: bytes) -> None:
        if self._answered or self._work is not None:
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # answered, as any other head
        except httptools.HttpParserError as error:
            if not self._answered:
                self._send(problem(400, f"this is no HTTP request: {error}"), "GET")
            return
        if not self._answered and self._work is None and self._received > HEAD_BYTES:
            self._send(problem(431, f"the request's head is larger than {HEAD_BYTES} bytes"), "GET")

    def eof_received(self) -> bool:
        """A client that says no more still hears its answer to the end; TLS has no such state."""
        self._client_ended = True
        under_way = (self._answered or self._work is not None) and not self._finished
        return under_way and self._transport.can_write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._connections.discard(self)

    # -- httptools

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        if key in self._headers:
            self._twice.add(key)
        self._headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._answered:
            return
        method = self._parser.get_method().decode("latin-1")
        try:
            answer = self._refusal(method) or self._answer(method, self._origin_form(), self._headers)
        except Exception as error:  # noqa: BLE001 - a fault in one answer must not end the control process
            answer = self._failed(method, error)
        if isinstance(answer, Answer):
            self._send(answer, method)
            return
        self._timer.cancel()
        self._timer = self._loop.call_later(WORK_SECONDS, self._work_overdue, method)
        self._work = self._loop.create_task(self._wait(answer, method))

    async def _wait(self, work: Awaitable[Answer], method: str) -> None:
        """What was begun is done, whether or not the client stays to hear of it."""
        try:
            answer = await work
        except Exception as error:  # noqa: BLE001 - as in on_headers_complete
            answer = self._failed(method, error)
        if not self._answered and not self._transport.is_closing():
            self._send(answer, method)

    def _failed(self, method: str, error: Exception) -> Answer:
        say("error", f"admin: {method} {self._target!r} raised {type(error).__name__}: {error}")
        return problem(500, "the gateway failed to answer; its log says why")

    # -- answering

    def _refusal(self, method: str) -> Answer | None:
        if self._received > HEAD_BYTES:
            return problem(431, f"the request's head is larger than {HEAD_BYTES} bytes")
        host = self._headers.get("host")
        # RFC 9112, 3.2: exactly one Host, from HTTP/1.1 on.
        if "host" in self._twice or (host is None and self._parser.get_http_version() != "1.0"):
            return problem(400, "a request carries exactly one Host")
        certified = bool(self._transport.get_extra_info("peercert"))
        path = self._origin_form().partition("?")[0]
        refusal = self._guard.refusal(path, self._headers, certified=certified)
        if refusal is not None:
            return refusal
        if self._headers.get("content-length", "0") != "0" or "transfer-encoding" in self._headers:
            return problem(413, "the admin address takes no request body")
        if method not in SAFE and crosses_sites(self._headers):
            return problem(403, "a page of another site cannot give orders here")
        return None

    def _origin_form(self) -> str:
        """The target without scheme and authority, should it be in absolute form."""
        target = self._target.decode("latin-1")
        _, scheme, rest = target.partition("://")
        if target.startswith("/") or not scheme:
            return target
        return "/" + rest.partition("/")[2]

    def _send(self, answer: Answer, method: str) -> None:
        self._answered = True
        lines = [
            f"HTTP/1.1 {answer.status} {REASONS[answer.status]}",
            f"Date: {http_date(time.time())}",
            *(f"{name}: {value}" for name, value in answer.headers),
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Cross-Origin-Resource-Policy: same-origin",
            "Connection: close",
        ]
        if isinstance(answer.body, bytes):
            lines.append(f"Content-Length: {len(answer.body)}")
            pieces = iter((answer.body,))
        else:
            # RFC 9112, 6.3: for HTTP/1.0, which knows no chunks, the end of the connection ends the body.
            self._chunked = self._parser.get_http_version() != "1.0"
            lines += ["Transfer-Encoding: chunked"] if self._chunked else []
            pieces = answer.body
        self._transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        self._pieces = iter(()) if method == "HEAD" else pieces
        self._chunked = self._chunked and method != "HEAD"
        self._send_more()

    def _send_more(self) -> None:
        """One piece a turn of the loop, while the client takes them: probes are answered in between."""
        if self._paused or self._finished or self._transport.is_closing():
            return
        self._timer.cancel()
        self._timer = self._loop.call_later(SEND_SECONDS, self._transport.abort)
        try:
            piece = next(self._pieces, b"")
        except Exception as error:  # noqa: BLE001 - as in on_headers_complete, but the status has been sent
            say("error", f"admin: {self._target!r} raised {type(error).__name__}: {error}")
            self._transport.abort()
            return
        if piece:
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
            self._loop.call_soon(self._send_more)
            return
        self._finished = True
        if self._chunked:
            self._transport.write(b"0\r\n\r\n")
        # The client closes: a close here, with bytes unread, would reset the connection under the answer.
        # TLS has no half-closed connections in asyncio; there the end is in the answer's framing.
        if self._transport.can_write_eof() and not self._client_ended:
            self._transport.write_eof()
        else:
            self._transport.close()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._answered:
            self._loop.call_soon(self._send_more)

    def _work_overdue(self, method: str) -> None:
        self._send(problem(504, f"not done after {WORK_SECONDS:g} s; GET /history may tell later"), method)

    def _head_overdue(self) -> None:
        self._send(problem(408, f"the request's head took longer than {HEAD_SECONDS:g} s"), "GET")


def crosses_sites(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a page from elsewhere sends this. What is no browser says nothing.

    Sec-Fetch-Site is the browser's own word (Fetch Metadata); older ones send Origin alone (RFC 6454).
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _is_local(sock: socket.socket) -> bool:
    return sock.family in (socket.AF_INET, socket.AF_INET6) and is_loopback_host(
        _bracket(sock.getsockname()[0])
    )


def _bracket(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def is_loopback_host(host: str) -> bool:
    """Whether a `Host` (name or address, with or without port) means this machine to every resolver."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def http_date(seconds: float) -> str:
    """IMF-fixdate (RFC 9110, 5.6.7), whatever the locale."""
    t = time.gmtime(seconds)
    day, month = DAYS[t.tm_wday], MONTHS[t.tm_mon - 1]
    return f"{day}, {t.tm_mday:02d} {month} {t.tm_year} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} GMT"
