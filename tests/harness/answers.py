"""Ready-made scripts for `Upstream`. Each serves a connection until the gateway ends it, or as it says."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable

from tests.harness.upstream import Conversation, Script
from tests.harness.wire import LAST_CHUNK, Request, chunk

Headers = Iterable[tuple[str, str]]


def response(
    body: bytes = b"",
    status: str = "200 OK",
    headers: Headers = (),
    *,
    length: bool = True,
    version: str = "1.1",
) -> bytes:
    """A response as bytes: `headers` as given, then Content-Length."""
    fields = [*headers, *([("Content-Length", str(len(body)))] if length else [])]
    head = f"HTTP/{version} {status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields) + "\r\n"
    return head.encode("latin-1") + body


def chunked_head(status: str = "200 OK", headers: Headers = ()) -> bytes:
    return response(b"", status, [*headers, ("Transfer-Encoding", "chunked")], length=False)


def each(answer: Callable[[Request], bytes]) -> Script:
    """Answers every request of a connection with what the function returns."""

    def script(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.send(answer(peer.request()))

    return script


def raw(*pieces: bytes | threading.Event) -> Script:
    """Answers every request with these bytes, in these pieces; Events between them are gates."""

    def script(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            peer.send(*pieces)

    return script


def once(*pieces: bytes | threading.Event) -> Script:
    """Answers one request with these bytes, then closes."""

    def script(peer: Conversation) -> None:
        peer.request()
        peer.send(*pieces)

    return script


def echo_of(request: Request) -> bytes:
    """An answer that tells what came, as JSON."""
    told = {
        "method": request.method,
        "target": request.target,
        "headers": list(request.headers),
        "body": request.body.decode("latin-1"),
        "trailers": list(request.trailers),
    }
    body = b"" if request.method == "HEAD" else json.dumps(told).encode()
    return response(body, headers=[("Content-Type", "application/json")])


def told(body: bytes) -> dict[str, object]:
    """Reads back what `echo` answered."""
    answer: dict[str, object] = json.loads(body)
    return answer


echo: Script = each(echo_of)
ok: Script = raw(response(b"ok"))


def named(name: str) -> Script:
    """Answers with its name: which target was it?"""
    return raw(response(name.encode()))


def swallow(peer: Conversation) -> None:
    """Reads bodies without keeping them; answers their length and SHA-256 in hex."""
    while not peer.reader.at_end():
        head = peer.head()
        digest, size = hashlib.sha256(), 0
        for piece in peer.reader.request_body(head):
            digest.update(piece)
            size += len(piece)
        peer.send(response(f"{size} {digest.hexdigest()}".encode()))


def sized(size: int, *, piece: int = 1 << 18) -> Script:
    """Answers with that many bytes under Content-Length, sent piece by piece."""

    def script(peer: Conversation) -> None:
        block = bytes(piece)
        while not peer.reader.at_end():
            peer.request()
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            for _ in range(size // piece):
                peer.send(block)
            peer.send(block[: size % piece])

    return script


def chunked(*pieces: bytes, trailers: Headers = (), headers: Headers = ()) -> Script:
    """Answers with these chunks, one send each, and these trailers."""
    end = LAST_CHUNK
    if trailers:
        end = ("0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in trailers) + "\r\n").encode("latin-1")
    return raw(chunked_head(headers=headers), *(chunk(piece) for piece in pieces), end)


def events(*gated: tuple[threading.Event, bytes]) -> Script:
    """Server-sent events: each is sent when its gate opens."""
    pieces: list[bytes | threading.Event] = [
        chunked_head(headers=[("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])
    ]
    for gate, event in gated:
        pieces += [gate, chunk(event)]
    return raw(*pieces, LAST_CHUNK)


def until_close(*pieces: bytes) -> Script:
    """Answers without framing: the end of the connection is the end of the body."""
    return once(response(length=False), *pieces)


def slow(gate: threading.Event, answer: bytes = b"") -> Script:
    """Answers when the gate opens."""
    return raw(gate, answer or response(b"slow"))


def ok_or_head(peer: Conversation) -> None:
    """`ok`, without its body for HEAD."""
    while not peer.reader.at_end():
        answer = response(b"ok")
        peer.send(answer[:-2] if peer.request().method == "HEAD" else answer)


def silent_after_head(peer: Conversation) -> None:
    """Reads a head, which the test can see, and never answers."""
    peer.head()
    peer.until_ended()


def silent(peer: Conversation) -> None:
    """Reads, and never answers."""
    peer.until_ended()


def slam(peer: Conversation) -> None:
    """Reads one request and closes without a byte."""
    peer.request()


def slam_reset(peer: Conversation) -> None:
    """Reads one request and resets."""
    peer.request()
    peer.reset()
