"""What a stream of bytes means by RFC 9112, and what a gateway may make of it."""

import re
import socket
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

from tests.harness.wire import (
    Head,
    Headers,
    Reader,
    RequestHead,
    Response,
    ResponseHead,
    Truncated,
    WireError,
    collect,
)
from tetrapylon._core.routing.path import BadPath, normalise_path

Rest = Literal["end", "closed", "truncated", "malformed"]

HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
# Fields that a gateway writes itself, whatever came.
OWN = {"via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
# Fields that decide about a message and so are none to trust behind it (RFC 9110, 6.5.1).
NO_TRAILERS = HOP | OWN | {
    "age", "authorization", "cache-control", "content-encoding", "content-length", "content-range",
    "content-type", "cookie", "expect", "expires", "host", "if-match", "if-modified-since", "if-none-match",
    "if-range", "if-unmodified-since", "location", "max-forwards", "proxy-authenticate",
    "proxy-authorization", "range", "referer", "retry-after", "server", "set-cookie", "trailer",
    "user-agent", "vary", "warning", "www-authenticate", "x-request-id",
}  # fmt: skip
# What an upstream at a Unix socket is called where a client of HTTP/1.0 names no host.
UPSTREAM = "localhost"
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?\Z")
ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)\Z", re.I | re.S)
TARGET = re.compile(r"[\x21-\x7e\x80-\xff]+\Z")


class Said(Reader):
    """Reads what was said already; behind it the stream has ended."""

    def __init__(self, data: bytes) -> None:
        super().__init__(cast(socket.socket, None), record=False)
        self._pending += data
        self.at_eof = True

    @property
    def left(self) -> int:
        return len(self._pending)

    def response_head(self) -> ResponseHead:
        """Also without the space before an empty reason (RFC 9112, 4), for so many servers leave it out."""
        short = re.match(rb"HTTP/1\.[01] [0-9]{3}(?=\r\n)", self._pending)
        if short is not None:
            self._pending[short.end() : short.end()] = b" "
        return super().response_head()

    def skip_blank(self) -> bool:
        """Passes over line ends before a message (RFC 9112, 2.2). False: nothing else was said."""
        start = len(self._pending) - len(self._pending.lstrip(b"\r\n"))
        del self._pending[:start]
        return bool(self._pending)


class Forwarded(NamedTuple):
    """A request's head as an upstream is to see it, without what the gateway adds."""

    method: str
    target: str
    host: str
    fields: tuple[tuple[str, str], ...]


@dataclass
class Meant:
    """A request whose head is right; `whole`: and its body has ended. `forwarded` None: nobody may see it."""

    head: RequestHead
    body: bytes
    trailers: Headers
    whole: bool
    forwarded: Forwarded | None
    keys: list[str] = field(default_factory=list)


def options(headers: Headers) -> set[str]:
    """What Connection lists (RFC 9110, 7.6.1)."""
    return {option.strip(" \t").lower() for value in headers.all("Connection") for option in value.split(",")}


def keeps_alive(head: Head) -> bool:
    """RFC 9112, 9.3."""
    said = options(head.headers)
    return "close" not in said and (head.minor > 0 or "keep-alive" in said)


def end_to_end(headers: Headers, *more: str) -> tuple[tuple[str, str], ...]:
    """What is left when the fields for one hop and those in `more` are taken away."""
    gone = HOP.union(more) | options(headers) - {"content-length", "host"}
    return tuple(
        (name, str(int(value)) if name.lower() == "content-length" and value.isdecimal() else value)
        for name, value in headers
        if name.lower() not in gone
    )


def passed_on(trailers: Headers, head: Head) -> Headers:
    """What of a message's trailers a gateway lets through."""
    gone = NO_TRAILERS | options(head.headers)
    return Headers((name, value) for name, value in trailers if name.lower() not in gone)


def check_framing(head: Head) -> None:
    """RFC 9112, 6.3. Raises WireError for what has two readings."""
    codings = head.headers.all("Transfer-Encoding")
    lengths = head.headers.all("Content-Length")
    if len(codings) > 1 or len(lengths) > 1 or (codings and lengths):
        raise WireError("framing is said twice")
    if codings and (head.minor == 0 or codings[0].lower() != "chunked"):
        raise WireError(f"Transfer-Encoding {codings[0]!r} in HTTP/1.{head.minor}")
    if lengths and not re.fullmatch("[0-9]+", lengths[0], re.A):
        raise WireError(f"Content-Length {lengths[0]!r}")


def forwarded(head: RequestHead) -> Forwarded | None:
    """How a request is to reach an upstream; None: not at all. RFC 9112, 3.2; RFC 9110, 7."""
    hosts = head.headers.all("Host")
    target = head.target
    if len(hosts) > 1 or (head.minor and not hosts) or not all(HOST.match(host) for host in hosts):
        return None
    host = hosts[0] if hosts else UPSTREAM
    absolute = ABSOLUTE.match(target)
    if absolute is not None:
        if not absolute[1] or not HOST.match(absolute[1]):
            return None
        host = absolute[1]
        target = absolute[2] if absolute[2].startswith("/") else "/" + absolute[2]
    path, mark, query = target.partition("?")
    try:
        path = normalise_path(path.encode("latin-1"))
    except BadPath:
        return None
    expected = {value.lower() for value in head.headers.all("Expect")} - {"", "100-continue"}
    if head.minor and expected:  # RFC 9110, 10.1.1
        return None
    gone = OWN if head.minor else OWN | {"expect"}
    return Forwarded(head.method, path + mark + query, host, end_to_end(head.headers, "host", *gone))


def received(head: RequestHead) -> Forwarded:
    """The head that came to an upstream, to be held against `forwarded`. Raises WireError."""
    host = head.headers.get("Host")
    if host is None:
        raise WireError("no Host")
    if not options(head.headers) <= {"upgrade", "te"}:
        raise WireError(f"Connection says {options(head.headers)}")
    return Forwarded(head.method, head.target, host, end_to_end(head.headers, "host", *OWN))


def read_requests(said: bytes) -> tuple[list[Meant], Rest, bytes]:
    """The requests in a client's stream, how it ends, and what came last without being one."""
    reader = Said(said)
    meant: list[Meant] = []
    while True:
        last = reader.buffered()
        if not reader.skip_blank():
            return meant, "truncated" if last else "end", last
        last = reader.buffered()
        try:
            head = reader.request_head()
            if not TARGET.match(head.target):
                raise WireError(f"target {head.target!r}")
            check_framing(head)
        except Truncated:
            return meant, "truncated", last
        except WireError:
            return meant, "malformed", last
        one = Meant(head, b"", Headers(), False, forwarded(head))
        meant.append(one)
        try:
            one.body = collect(reader.request_body(head))
        except Truncated:
            return meant, "truncated", b""
        except WireError:
            return meant, "malformed", b""
        one.trailers = passed_on(reader.trailers, head)
        one.whole = True
        if not keeps_alive(head):
            return meant, "closed", b""


class Told(NamedTuple):
    """What an upstream said to one request: `answer` None when not even a head of it holds.

    `whole`: the body has ended as announced. `to_eof`: it ends with the connection. `surplus`: what follows.
    """

    answer: Response | None
    whole: bool
    to_eof: bool
    surplus: int


def read_response(said: bytes, method: str) -> Told:
    """An upstream's answer to a request with that method, the stream having ended behind it."""
    reader = Said(said)
    interim: list[ResponseHead] = []
    try:
        while True:
            reader.skip_blank()
            head = reader.response_head()
            if head.status >= 200 or head.status == 101:
                check_framing(head)
                break
            check_framing(head)
            interim.append(head)
    except WireError:
        return Told(None, False, False, 0)
    answer = Response(head, b"", Headers(), interim)
    bodiless = method == "HEAD" or head.status < 200 or head.status in (204, 304)
    to_eof = (
        not bodiless and not head.headers.has("Transfer-Encoding") and not head.headers.has("Content-Length")
    )
    try:
        body = bytearray()
        for piece in reader.response_body(head, method):
            body += piece
    except WireError:
        answer.body = bytes(body)
        return Told(answer, False, to_eof, 0)
    answer.body = bytes(body)
    answer.trailers = passed_on(reader.trailers, head)
    return Told(answer, True, to_eof, reader.left)
