"""A small, strict HTTP/1.1 reader for tests: what is not exactly right is an error, never a guess (RFC 9112).

Strings are latin-1 throughout, so every byte of a head survives a round trip.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
REQUEST_LINE = re.compile(rf"({TOKEN}) (\S+) HTTP/1\.([01])\Z")
VISIBLE = r"[\x21-\x7e\x80-\xff]"
FIELD = re.compile(rf"({TOKEN}):[ \t]*((?:{VISIBLE}(?:[\t\x20-\x7e\x80-\xff]*{VISIBLE})?)?)[ \t]*\Z")
CHUNK = re.compile(r"(0*[0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?\Z")

MAX_HEAD = 256 * 1024


class WireError(AssertionError):
    """What came on the wire is not HTTP/1.1, or ended too early."""


class Truncated(WireError):
    """The peer ended or reset the connection inside a message. `partial` is the body that came before."""

    def __init__(self, why: str, partial: bytes = b"") -> None:
        super().__init__(f"{why}; body so far: {len(partial)} bytes {partial[:200]!r}")
        self.partial = partial


class Headers(list[tuple[str, str]]):
    """Fields in the order and spelling they came in, with look-up by name in any case."""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The value of a field that occurs at most once.

        Raises:
            WireError: it occurs more than once.
        """
        values = self.all(name)
        if len(values) > 1:
            raise WireError(f"{name} occurs {len(values)} times: {values}")
        return values[0] if values else None

    def names(self) -> list[str]:
        return [key for key, _ in self]

    def has(self, name: str) -> bool:
        return bool(self.all(name))


@dataclass
class Head:
    """`raw` is the head exactly as it came."""

    minor: int
    headers: Headers
    raw: bytes


@dataclass
class RequestHead(Head):
    method: str
    target: str


@dataclass
class ResponseHead(Head):
    status: int
    reason: str


@dataclass
class Request:
    head: RequestHead
    body: bytes
    trailers: Headers

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def target(self) -> str:
        return self.head.target

    @property
    def headers(self) -> Headers:
        return self.head.headers


@dataclass
class Response:
    head: ResponseHead
    body: bytes
    trailers: Headers
    interim: list[ResponseHead] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def headers(self) -> Headers:
        return self.head.headers


class Reader:
    """Takes HTTP messages off a socket.

    `record`: everything that comes is also kept in `received`; switch it off for bodies too big to keep.
    """

    def __init__(self, sock: socket.socket, *, record: bool = True) -> None:
        self.sock = sock
        self.record = record
        self.received = bytearray()
        self.trailers = Headers()
        self._pending = bytearray()
        self._lines = bytearray()
        self.at_eof = False

    def fill(self, size: int = 65536) -> bool:
        """Waits for more bytes. Returns whether any came; False is the end of the stream.

        Raises:
            TimeoutError: nothing came within the socket's timeout.
            ConnectionResetError: the peer reset the connection.
        """
        if self.at_eof:
            return False
        data = self.sock.recv(size)
        if not data:
            self.at_eof = True
            return False
        if self.record:
            self.received += data
        self._pending += data
        return True

    def at_end(self) -> bool:
        """Waits for the next byte or the end of the stream; True for the end."""
        return not self._pending and not self.fill()

    def buffered(self) -> bytes:
        """What came and was not read yet."""
        return bytes(self._pending)

    def until_eof(self) -> bytes:
        while self.fill():
            pass
        rest = bytes(self._pending)
        self._pending.clear()
        return rest

    def some(self, limit: int = 65536) -> bytes:
        """At least one byte, at most `limit`; empty at the end of the stream."""
        if not self._pending:
            self.fill(limit)
        part = bytes(self._pending[:limit])
        del self._pending[:limit]
        return part

    def exactly(self, size: int) -> bytes:
        while len(self._pending) < size:
            if not self.fill():
                raise Truncated(
                    f"the stream ended {size - len(self._pending)} bytes short", bytes(self._pending)
                )
        part = bytes(self._pending[:size])
        del self._pending[:size]
        return part

    def line(self) -> str:
        """One line without its CRLF. A bare CR or LF in it is an error (RFC 9112, 2.2)."""
        while (end := self._pending.find(b"\n")) < 0:
            if len(self._pending) > MAX_HEAD:
                raise WireError("a line without end")
            if not self.fill():
                raise Truncated("the stream ended inside a line", bytes(self._pending))
        line = bytes(self._pending[: end + 1])
        del self._pending[: end + 1]
        self._lines += line
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise WireError(f"bare CR or LF in {line!r}")
        return line[:-2].decode("latin-1")

    def fields(self) -> Headers:
        headers = Headers()
        while line := self.line():
            match = FIELD.match(line)
            if match is None:
                raise WireError(f"malformed field line {line!r}")
            headers.append((match[1], match[2]))
        return headers

    def request_head(self) -> RequestHead:
        self._lines.clear()
        line = self.line()
        match = REQUEST_LINE.match(line)
        if match is None:
            raise WireError(f"malformed request line {line!r}")
        headers = self.fields()
        return RequestHead(int(match[3]), headers, bytes(self._lines), match[1], match[2])

    def response_head(self) -> ResponseHead:
        self._lines.clear()
        line = self.line()
        match = STATUS_LINE.match(line)
        if match is None:
            raise WireError(f"malformed status line {line!r}")
        headers = self.fields()
        return ResponseHead(int(match[1]), headers, bytes(self._lines), int(match[2]), match[3])

    def request_body(self, head: RequestHead) -> Iterator[bytes]:
        """The body in pieces as they come; afterwards `trailers` holds the trailer fields."""
        return self._body(head, to_end=False)

    def response_body(self, head: ResponseHead, method: str = "GET") -> Iterator[bytes]:
        """The same for an answer to a request with that method (RFC 9112, 6.3)."""
        if method == "HEAD" or head.status < 200 or head.status in (204, 304):
            self.trailers = Headers()
            return iter(())
        return self._body(head, to_end=True)

    def request(self) -> Request:
        """A whole request, its body included.

        Raises:
            WireError, Truncated: it is malformed, or cut off.
        """
        head = self.request_head()
        body = collect(self.request_body(head))
        return Request(head, body, self.trailers)

    def response(self, method: str = "GET") -> Response:
        """A whole final response with the 1xx ones before it."""
        interim: list[ResponseHead] = []
        head = self.response_head()
        while head.status < 200 and head.status != 101:
            interim.append(head)
            head = self.response_head()
        body = collect(self.response_body(head, method))
        return Response(head, body, self.trailers, interim)

    def _body(self, head: Head, *, to_end: bool) -> Iterator[bytes]:
        self.trailers = Headers()
        coding, length = head.headers.get("Transfer-Encoding"), head.headers.get("Content-Length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise WireError(f"unknown Transfer-Encoding {coding!r}")
            if length is not None:
                raise WireError("both Transfer-Encoding and Content-Length")
            if head.minor == 0:
                raise WireError("Transfer-Encoding in HTTP/1.0")
            yield from self._chunks()
        elif length is not None:
            if not re.fullmatch("[0-9]+", length):
                raise WireError(f"malformed Content-Length {length!r}")
            yield from self._sized(int(length))
        elif to_end:
            while piece := self.some():
                yield piece

    def _sized(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self.some(min(left, 1 << 20))
            if not piece:
                raise Truncated(f"the stream ended {left} bytes short of Content-Length")
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self.line()
            match = CHUNK.match(line)
            if match is None:
                raise WireError(f"malformed chunk size {line!r}")
            size = int(match[1], 16)
            if not size:
                break
            left = size
            while left:
                if not (piece := self.some(min(left, 1 << 20))):
                    raise Truncated(f"the stream ended {left} bytes short of a chunk")
                left -= len(piece)
                if not left and self.exactly(2) != b"\r\n":
                    raise WireError("no CRLF after a chunk")
                yield piece
        self.trailers = self.fields()


def collect(pieces: Iterator[bytes]) -> bytes:
    """Joins a body; an early end is reported with what had come."""
    body = bytearray()
    try:
        for piece in pieces:
            body += piece
    except Truncated as cut:
        raise Truncated(str(cut), bytes(body)) from cut
    except ConnectionResetError as reset:
        raise Truncated("the connection was reset", bytes(body)) from reset
    return bytes(body)


def chunk(data: bytes) -> bytes:
    """One chunk as it goes over the wire."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
