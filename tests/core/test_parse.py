"""Bytes to events: what is a message, what is refused, and that neither the split nor the backend matters."""

import gc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapylon._core.http import parse
from tetrapylon._core.http.message import Limits

BACKENDS = ["llhttp", "httptools"]
Events = list[tuple[Any, ...]]

GET = b"GET /a?b HTTP/1.1\r\nHost: h\r\nEmpty:\r\nX-Y:  1 \t\r\n\r\n"
GET_EVENTS: Events = [("head", b"GET", b"/a?b", 1, [(b"Host", b"h"), (b"Empty", b""), (b"X-Y", b"1")], True)]
BARE = b"GET / HTTP/1.0\r\n\r\n"
BARE_EVENTS: Events = [("head", b"GET", b"/", 0, [], True)]
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
POST_EVENTS: Events = [
    ("head", b"POST", b"/", 1, [(b"Host", b"h"), (b"Content-Length", b"5")], False),
    ("body", b"hello"),
    ("end", []),
]
CHUNKED = (
    b"PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'3;a="b"\r\nxyz\r\n00002\r\n\r\n\r\n0\r\nT: v\r\nU: w\r\n\r\n'
)
CHUNKED_EVENTS: Events = [
    ("head", b"PUT", b"/c", 1, [(b"Host", b"h"), (b"Transfer-Encoding", b"chunked")], False),
    ("body", b"xyz\r\n"),
    ("end", [(b"T", b"v"), (b"U", b"w")]),
]
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
UPGRADE_EVENTS: Events = [
    (
        "head",
        b"GET",
        b"/ws",
        1,
        [(b"Host", b"h"), (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")],
        True,
    )
]
REQUESTS: list[tuple[bytes, Events]] = [
    (GET, GET_EVENTS),
    (BARE, BARE_EVENTS),
    (POST, POST_EVENTS),
    (CHUNKED, CHUNKED_EVENTS),
    (UPGRADE, UPGRADE_EVENTS),
    (
        GET + POST + CHUNKED + UPGRADE + GET,
        GET_EVENTS + POST_EVENTS + CHUNKED_EVENTS + UPGRADE_EVENTS + GET_EVENTS,
    ),
    (b"\r\n" + GET, GET_EVENTS),
]

RESPONSES: list[tuple[bytes, Events]] = [
    (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        [
            ("head", 100, b"Continue", 1, [], True),
            ("head", 200, b"OK", 1, [(b"Content-Length", b"3")], False),
            ("body", b"abc"),
            ("end", []),
        ],
    ),
    (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        [
            ("head", 304, b"Not Modified", 1, [(b"Content-Length", b"9")], True),
            ("head", 204, b"No Content", 1, [], True),
        ],
    ),
    (
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n0\r\n\r\n",
        [
            ("head", 200, b"", 1, [(b"Transfer-Encoding", b"chunked")], False),
            ("body", b"wiki"),
            ("end", []),
        ],
    ),
]

REFUSED = {
    "length and coding": b"Content-Length: 3\r\nTransfer-Encoding: chunked",
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2",
    "a list of lengths": b"Content-Length: 1, 1",
    "a signed length": b"Content-Length: +1",
    "coding that is not chunked": b"Transfer-Encoding: gzip",
    "chunked is not alone": b"Transfer-Encoding: gzip, chunked",
    "space before the colon": b"A : b",
    "folding": b"A: b\r\n c",
    "NUL": b"A: b\x00",
    "bare CR": b"A: b\rc",
    "no colon": b"A",
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    before = parse.backend()
    parse.use_backend(request.param)
    yield request.param
    parse.use_backend(before)


def joined(events: Events) -> Events:
    """With neighbouring pieces of a body as one."""
    whole: Events = []
    for event in events:
        if event[0] == "body" and whole and whole[-1][0] == "body":
            whole[-1] = ("body", whole[-1][1] + event[1])
        else:
            whole.append(event)
    return whole


def splits(said: bytes) -> Iterator[list[bytes]]:
    """Whole, in two at every byte, and byte by byte."""
    yield [said]
    yield from ([said[:at], said[at:]] for at in range(1, len(said)))
    yield [bytes([byte]) for byte in said]


@pytest.mark.parametrize(("said", "events"), REQUESTS, ids=range(len(REQUESTS)))
def test_requests_however_they_are_split(backend: str, said: bytes, events: Events) -> None:
    for pieces in splits(said):
        assert joined(parse.feed("request", pieces)) == events, pieces


@pytest.mark.parametrize(("said", "events"), RESPONSES, ids=range(len(RESPONSES)))
def test_responses_however_they_are_split(backend: str, said: bytes, events: Events) -> None:
    for pieces in splits(said):
        assert joined(parse.feed("response", pieces)) == events, pieces


def test_a_body_may_end_with_the_connection(backend: str) -> None:
    for pieces in splits(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx\ny"):
        events = joined(parse.feed("response", [*pieces, None]))
        assert events[1:] == [("body", b"x\ny"), ("end", [])]


def test_an_answer_to_head_has_no_body_whatever_it_says(backend: str) -> None:
    for framing in (b"Content-Length: 3", b"Transfer-Encoding: chunked", b"A: b"):
        said = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n"
        events = parse.feed("response", [said + said], no_body=True)
        assert [event[-1] for event in events] == [True, True]


@pytest.mark.parametrize("said", [GET[:-2], POST[:-1], CHUNKED[:-2], CHUNKED[:-20]])
def test_an_end_inside_a_message_is_told(backend: str, said: bytes) -> None:
    assert parse.feed("request", [said, None])[-1] == ("truncated",)
    assert parse.feed("request", [GET, None])[-1] == ("more",)


@pytest.mark.parametrize("field", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(backend: str, field: bytes) -> None:
    said = b"POST / HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n\r\n"
    for pieces in splits(said):
        assert parse.feed("request", pieces)[-1] == ("malformed",), pieces


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.2",
        b"GET / http/1.1",
        b"GET /",
        b"G@T / HTTP/1.1",
    ],
)
def test_request_lines_are_held_to_the_letter(backend: str, line: bytes) -> None:  # RFC 9112, 3
    for pieces in splits(line + b"\r\nHost: h\r\n\r\n"):
        assert parse.feed("request", pieces)[-1] == ("malformed",), pieces


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (b"GET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: h\r\n\r\n", "target too long"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 11 + b"\r\n", "head too large"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 1100 + b"\r\n\r\n", "head too large"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 1100, "head too large"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 12, "head too large"),
        (b"GET /?" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", "target too long"),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: " + b"a" * 1100,
            "head too large",
        ),
    ],
)
def test_limits_hold_while_bytes_arrive(backend: str, said: bytes, event: str) -> None:
    limits = Limits(head=1000, headers=10, target=100)
    for pieces in ([said], [bytes([byte]) for byte in said]):
        assert parse.feed("request", pieces, limits=limits)[-1] == (event,)


def test_the_lines_of_a_body_are_no_borders(backend: str) -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
    assert parse.feed("response", [said])[1:] == [("body", b"data: 1\n\n")]


def test_a_piece_before_a_mistake_is_told_first(backend: str) -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n"
    assert parse.feed("response", [said])[1:] == [("body", b"abc"), ("malformed",)]


def test_parsers_need_no_garbage_collector(backend: str) -> None:
    gc.collect()
    for said, _ in REQUESTS:
        parse.feed("request", [said])
    for said, _ in RESPONSES:
        parse.feed("response", [said])
    assert gc.collect() == 0


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="there are llhttp and httptools"):
        parse.use_backend("mine")


@given(
    st.lists(st.sampled_from([said for said, _ in REQUESTS]), min_size=1, max_size=4),
    st.lists(st.integers(0, 400)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
)
def test_both_backends_agree_on_mutated_requests(
    messages: list[bytes], cuts: list[int], changes: list[tuple[int, int]]
) -> None:
    said = bytearray(b"".join(messages))
    for at, byte in changes:
        said[at % len(said)] = byte
    edges = sorted({0, len(said), *(cut % len(said) for cut in cuts)})
    pieces: list[bytes | None] = [bytes(said[a:b]) for a, b in pairwise(edges)]
    seen = []
    before = parse.backend()
    try:
        for name in BACKENDS:
            parse.use_backend(name)
            seen.append(joined(parse.feed("request", pieces)))
    finally:
        parse.use_backend(before)
    assert seen[0] == seen[1]
