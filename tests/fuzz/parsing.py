"""Bytes to events by themselves: by both backends, in one piece and in many, held against `reference`."""

from typing import Any, Literal

from tests.fuzz.reference import keeps_alive, options, read_requests
from tests.harness.wire import Headers
from tetrapylon._core.http import parse

BACKENDS = ("llhttp", "httptools")
Kind = Literal["request", "response"]
Events = list[tuple[Any, ...]]


class Differs(AssertionError):
    """Two readings of the same bytes."""


def check(data: bytes) -> None:
    """Reads what stands behind the first byte, which says the direction and into pieces of how many bytes.

    Raises Differs.
    """
    if len(data) < 2:
        return
    kind: Kind = "response" if data[0] & 1 else "request"
    size, said = data[0] >> 1, data[1:]
    pieces = [said[at : at + size] for at in range(0, len(said), size)] if size else [said]
    whole = read(BACKENDS[0], kind, [said])
    for name in BACKENDS:
        for cut in ([said], pieces):
            seen = read(name, kind, cut)
            if seen != whole:
                raise Differs(f"{name} reads {seen} of {len(cut)} pieces, not {whole}")
    if kind == "request":
        check_requests(whole, said)


def told(name: str, kind: Kind, pieces: list[bytes]) -> Events:
    """All events that a backend tells; pieces of a body as one."""
    before = parse.backend()
    parse.use_backend(name)
    try:
        events = parse.feed(kind, pieces)
    finally:
        parse.use_backend(before)
    joined: Events = []
    for event in events:
        if event[0] == "body" and joined[-1][0] == "body":
            joined[-1] = ("body", joined[-1][1] + event[1])
        else:
            joined.append(event)
    return joined


def read(name: str, kind: Kind, pieces: list[bytes]) -> Events:
    """What messages there are, up to the last one of the connection.

    A refusal is left out: the backends see a mistake at different bytes, the sooner or the later in one line.
    """
    read: Events = []
    last = False
    for event in told(name, kind, pieces):
        if event[0] == "head":
            if last:
                break
            last = is_last(kind, event)
        if event[0] in ("head", "body", "end"):
            read.append(event)
    return read


def is_last(kind: Kind, head: tuple[Any, ...]) -> bool:
    """RFC 9112, 9.3; and behind a 101 there is another protocol."""
    said = options(fields(head)) | {value.lower() for value in fields(head).all("Proxy-Connection")}
    return (
        (kind == "response" and head[1] == 101)
        or "close" in said
        or (head[3] == 0 and "keep-alive" not in said)
    )


def fields(head: tuple[Any, ...]) -> Headers:
    return Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in head[4])


def check_requests(events: Events, said: bytes) -> None:
    """Each whole request is one that the reference reads, in order and to the byte; none is made up."""
    meant = iter(read_requests(said)[0])
    for head, body in whole_requests(events):
        one = next(meant, None)
        if one is None:
            raise Differs(f"nobody said {head} in {said!r}")
        start = (one.head.method.encode("latin-1"), one.head.target.encode("latin-1"), one.head.minor)
        if head[1:4] != start or plain(fields(head)) != plain(one.head.headers):
            raise Differs(f"{head} was {one.head}")
        if not one.whole or one.body != body:
            raise Differs(f"the body {body!r} was {one.body!r}")
        if not keeps_alive(one.head):
            return


def plain(headers: Headers) -> list[tuple[str, str]]:
    """A length without zeros before it (RFC 9110, 8.6)."""
    return [
        (name, value.lstrip("0") or "0" if name.lower() == "content-length" else value)
        for name, value in headers
    ]


def whole_requests(events: Events) -> list[tuple[tuple[Any, ...], bytes]]:
    found: list[tuple[tuple[Any, ...], bytes]] = []
    head: tuple[Any, ...] = ()
    body = b""
    for event in events:
        if event[0] == "head":
            head, body = event, b""
        elif event[0] == "body":
            body = event[1]
        if event[0] == "end" or (event[0] == "head" and event[-1]):
            found.append((head, body))
    return found
