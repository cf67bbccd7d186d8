"""What an upstream may do to a proxy: RFC 9112, sections 4 and 6.3, RFC 9110, sections 6, 8 and 15."""

from tests.conformance.case import (
    HIDDEN,
    Act,
    Case,
    Check,
    Finish,
    Piece,
    Seen,
    answer,
    ask,
    bad_gateway,
    body_here,
    broken,
    check,
    closed,
    cut,
    dropped,
    field_here,
    forwarded,
    get,
    has_field,
    kept,
    status,
    trailers_here,
)

POISON = b"HTTP/1.1 200 OK\r\nX-Plain: poison\r\nContent-Length: 6\r\n\r\npoison"
TE = b"Transfer-Encoding: chunked"
FRAMING = "RFC 9112 6.3"


def bad(name: str, rule: str, head: bytes, *then: Piece) -> Case:
    """A head that has to be refused; what follows it is meant for somebody else."""
    return Case(name, rule, get(), bad_gateway(), answers=(head + POISON, *then))


def chunks(name: str, body: bytes, rule: str = "RFC 9112 7.1") -> Case:
    """Chunks that have to be refused; the head may be on its way."""
    return Case(name, rule, get(), broken, answers=(answer(TE, body=body + b"0\r\n\r\n" + POISON),))


def surplus(name: str, rule: str, said: bytes, good: Check, method: str = "GET") -> Case:
    """A whole answer with more behind it: the answer passes, the rest and the connection do not."""
    return Case(name, rule, ask(method), good & dropped, answers=(said + POISON,), finish=Finish.LATER)


@check("interim answers passed or not, the final one did")
def final_answer(seen: Seen) -> str | None:
    return (
        None
        if [a.status for a in seen.answers] in ([200], [502])
        else f"answers {[a.status for a in seen.answers]}"
    )


@check("no length or coding in interim answers")
def bare_interim(seen: Seen) -> str | None:
    told = [n for a in seen.answers for i in a.interim for n in i.headers.names()]
    return (
        f"interim with {told}"
        if {n.lower() for n in told} & {"content-length", "transfer-encoding"}
        else None
    )


EMPTY = forwarded(status=204) & field_here("Content-Length") & field_here("Transfer-Encoding")

CASES = [
    Case("answer: with a length", FRAMING, get(), forwarded() & body_here(b"ok")),
    Case(
        "answer: chunked",
        FRAMING,
        get(),
        forwarded() & body_here(b"hello"),
        answers=(answer(TE, body=b"5\r\nhello\r\n0\r\n\r\n"),),
    ),
    Case(
        "answer: chunked, with extensions",
        "RFC 9112 7.1.1",
        get(),
        forwarded() & body_here(b"hello"),
        answers=(answer(TE, body=b"5;a=b\r\nhello\r\n0;c\r\n\r\n"),),
    ),
    Case(
        "answer: to the connection's end",
        FRAMING,
        get(),
        (forwarded() | status(200) & closed) & body_here(b"to the end"),
        answers=(answer(body=b"to the end"), Act.CLOSE),
    ),
    Case(
        "answer: empty, to the connection's end",
        FRAMING,
        get(),
        (forwarded() | status(200) & closed) & body_here(b""),
        answers=(answer(), Act.CLOSE),
    ),
    Case(
        "answer: HTTP/1.0 with a length",
        "RFC 9112 2.3",
        get(),
        forwarded() & body_here(b"ok"),
        answers=(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Act.CLOSE),
    ),
    Case(
        "answer: HTTP/1.0 to the end",
        "RFC 9112 2.3",
        get(),
        (forwarded() | status(200) & closed) & body_here(b"old"),
        answers=(b"HTTP/1.0 200 OK\r\n\r\nold", Act.CLOSE),
    ),
    Case(
        "answer: trailers",
        "RFC 9112 7.1.2",
        get(b"Connection: TE", b"TE: trailers"),
        forwarded() & body_here(b"hello") & (trailers_here(("X-Sum", "1")) | trailers_here()),
        answers=(answer(TE, body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),),
    ),
    Case(
        "answer: a length in the trailers",
        "RFC 9110 6.5.1",
        get(),
        (forwarded() & trailers_here()) | broken,
        answers=(answer(TE, body=b"5\r\nhello\r\n0\r\nContent-Length: 500\r\n\r\n"),),
    ),
    Case(
        "answer: a coding in the trailers",
        "RFC 9110 6.5.1",
        get(),
        (forwarded() & trailers_here()) | broken,
        answers=(answer(TE, body=b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),),
    ),
    Case(
        "answer: a trailer that Connection names",
        "RFC 9110 7.6.1",
        get(),
        forwarded() & trailers_here(),
        answers=(answer(TE, b"Connection: X-Hop", body=b"5\r\nhello\r\n0\r\nX-Hop: 1\r\n\r\n"),),
    ),
    Case(
        "answer: a reason of several words",
        "RFC 9112 4",
        get(),
        forwarded(status=299),
        answers=(answer(b"Content-Length: 0", status=b"299 Made up \xe9"),),
    ),
    Case(
        "answer: no reason",
        "RFC 9112 4",
        get(),
        forwarded(),
        answers=(answer(b"Content-Length: 0", status=b"200 "),),
    ),
    Case(
        "answer: a status that nobody knows",
        "RFC 9110 15",
        get(),
        forwarded(status=499),
        answers=(answer(b"Content-Length: 0", status=b"499 Odd"),),
    ),
    Case(
        "answer: an error passes as it came",
        "RFC 9110 15.6",
        get(),
        forwarded(status=503) & body_here(b"no"),
        answers=(answer(b"Content-Length: 2", status=b"503 Down", body=b"no"),),
    ),
    Case(
        "answer: HEAD with a length",
        "RFC 9110 9.3.2",
        ask("HEAD"),
        forwarded() & field_here("Content-Length", "500"),
        answers=(answer(b"Content-Length: 500"),),
    ),
    Case("answer: HEAD with a coding", "RFC 9110 9.3.2", ask("HEAD"), forwarded(), answers=(answer(TE),)),
    Case("answer: HEAD with neither", "RFC 9110 9.3.2", ask("HEAD"), forwarded(), answers=(answer(),)),
    surplus(
        "answer: HEAD with a body",
        "RFC 9110 9.3.2",
        answer(b"Content-Length: 5", body=b"hello"),
        status(200) & kept,
        "HEAD",
    ),
    Case(
        "answer: 304 with a length",
        "RFC 9110 15.4.5",
        get(),
        forwarded(status=304),
        answers=(answer(b"Content-Length: 500", status=b"304 Not Modified"),),
    ),
    surplus(
        "answer: 304 with a body",
        "RFC 9110 15.4.5",
        answer(b"Content-Length: 5", status=b"304 Not Modified", body=b"hello"),
        status(304) & kept,
    ),
    Case("answer: 204", "RFC 9110 15.3.5", get(), EMPTY, answers=(answer(status=b"204 No Content"),)),
    Case(
        "answer: 204 with a length of zero",
        "RFC 9110 8.6",
        get(),
        EMPTY,
        answers=(answer(b"Content-Length: 0", status=b"204 No Content"),),
    ),
    Case(
        "answer: 204 with a coding",
        "RFC 9112 6.1",
        get(),
        (EMPTY & dropped) | bad_gateway(),
        answers=(answer(TE, status=b"204 No Content"),),
    ),
    Case(
        "answer: 204 with a length",
        "RFC 9110 8.6",
        get(),
        (EMPTY & dropped) | bad_gateway(),
        answers=(answer(b"Content-Length: 70", status=b"204 No Content"),),
    ),
    surplus(
        "answer: 204 with a body",
        "RFC 9110 15.3.5",
        answer(b"Content-Length: 5", status=b"204 No Content", body=b"hello"),
        EMPTY | status(502),
    ),
    surplus(
        "answer: 205 with a length of zero and more",
        "RFC 9110 15.3.6",
        answer(b"Content-Length: 0", status=b"205 Reset Content"),
        status(205) & kept,
    ),
    surplus(
        "answer: more than its length",
        FRAMING,
        answer(b"Content-Length: 2", body=b"ok"),
        status(200) & kept & body_here(b"ok"),
    ),
    surplus(
        "answer: more than a length of zero",
        FRAMING,
        answer(b"Content-Length: 0"),
        status(200) & kept & body_here(b""),
    ),
    surplus(
        "answer: more than its last chunk",
        "RFC 9112 7.1",
        answer(TE, body=b"2\r\nok\r\n0\r\n\r\n"),
        status(200) & kept & body_here(b"ok"),
    ),
    Case(
        "answer: one byte more than its length",
        FRAMING,
        get(),
        status(200) & kept & body_here(b"ok") & dropped,
        answers=(answer(b"Content-Length: 2", body=b"okX"),),
        finish=Finish.LATER,
    ),
    Case(
        "answer: less than its length",
        "RFC 9112 8",
        get(),
        cut & closed,
        answers=(answer(b"Content-Length: 500", body=b"half"), Act.CLOSE),
    ),
    Case(
        "answer: less than its length, then a reset",
        "RFC 9112 8",
        get(),
        (cut & closed) | status(502),
        answers=(answer(b"Content-Length: 500", body=b"half"), Act.RESET),
    ),
    Case(
        "answer: ends inside a chunk",
        "RFC 9112 8",
        get(),
        cut & closed,
        answers=(answer(TE, body=b"5\r\nhel"), Act.CLOSE),
    ),
    Case(
        "answer: ends before the last chunk",
        "RFC 9112 8",
        get(),
        cut & closed,
        answers=(answer(TE, body=b"5\r\nhello\r\n"), Act.CLOSE),
    ),
    Case(
        "answer: ends inside the last chunk",
        "RFC 9112 8",
        get(),
        cut & closed,
        answers=(answer(TE, body=b"5\r\nhello\r\n0\r\n"), Act.CLOSE),
    ),
    Case(
        "answer: ends inside the head",
        "RFC 9112 8",
        get(),
        status(502),
        finish=Finish.ANSWERS,
        answers=(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", Act.CLOSE),
    ),
    Case(
        "answer: ends inside the status line",
        "RFC 9112 8",
        get(),
        status(502),
        finish=Finish.ANSWERS,
        answers=(b"HTTP/1.1 20", Act.CLOSE),
    ),
    Case(
        "answer: to HTTP/1.0, cut short",
        "RFC 9112 8",
        ask("GET", version=b"1.0"),
        cut & closed,
        answers=(answer(b"Content-Length: 500", body=b"half"), Act.CLOSE),
        finish=Finish.EOF,
    ),
    Case(
        "answer: interim first",
        "RFC 9110 15.2",
        get(),
        forwarded(),
        answers=(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"Content-Length: 0"),),
    ),
    Case(
        "answer: an interim that nobody knows",
        "RFC 9110 15.2",
        get(),
        forwarded(),
        answers=(b"HTTP/1.1 142 Odd\r\n\r\n" + answer(b"Content-Length: 0"),),
    ),
    Case(
        "answer: 100 without a request for it",
        "RFC 9110 15.2.1",
        get(),
        forwarded(),
        answers=(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"Content-Length: 0"),),
    ),
    Case(
        "answer: an interim with a length",
        "RFC 9110 8.6",
        get(),
        (forwarded() | bad_gateway()) & bare_interim,
        answers=(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 70\r\n\r\n" + answer(b"Content-Length: 0"),),
    ),
    Case(
        "answer: an interim with a coding",
        "RFC 9112 6.1",
        get(),
        (forwarded() | bad_gateway()) & bare_interim,
        answers=(b"HTTP/1.1 103 Early Hints\r\n" + TE + b"\r\n\r\n" + answer(b"Content-Length: 0"),),
    ),
    Case(
        "answer: interims without end",
        "RFC 9110 15.2",
        get(),
        final_answer,
        answers=(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000 + answer(b"Content-Length: 0"),),
    ),
    bad(
        "answer: an interim, and no status line",
        "RFC 9110 15.2",
        b"HTTP/1.1 100 Continue\r\n\r\nrubbish\r\n\r\n",
    ),
    Case(
        "answer: length and coding",
        "RFC 9112 6.3",
        get(),
        bad_gateway() | (status(200) & body_here(b"hello") & field_here("Content-Length") & dropped),
        answers=(answer(b"Content-Length: 3", TE, body=b"5\r\nhello\r\n0\r\n\r\n"),),
    ),
    Case(
        "answer: coding and length",
        "RFC 9112 6.3",
        get(),
        bad_gateway() | (status(200) & body_here(b"hello") & field_here("Content-Length") & dropped),
        answers=(answer(TE, b"Content-Length: 300", body=b"5\r\nhello\r\n0\r\n\r\n"),),
    ),
    bad(
        "answer: differing lengths",
        FRAMING,
        answer(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    ),
    bad("answer: differing lengths as a list", FRAMING, answer(b"Content-Length: 5, 6", body=b"hello!")),
    bad("answer: a negative length", FRAMING, answer(b"Content-Length: -1")),
    bad("answer: a length with a plus", FRAMING, answer(b"Content-Length: +5", body=b"hello")),
    bad("answer: a length in hex", FRAMING, answer(b"Content-Length: 0x5", body=b"hello")),
    bad("answer: an empty length", FRAMING, answer(b"Content-Length:")),
    bad(
        "answer: a length past 64 bits",
        FRAMING,
        answer(b"Content-Length: 18446744073709551621", body=b"hello"),
    ),
    Case(
        "answer: the same length twice",
        FRAMING,
        get(),
        bad_gateway() | (forwarded() & field_here("Content-Length", "2")),
        answers=(answer(b"Content-Length: 2", b"Content-Length: 2", body=b"ok"),),
    ),
    Case(
        "answer: a length with leading zeros",
        "RFC 9110 8.6",
        get(),
        bad_gateway() | (forwarded() & field_here("Content-Length", "2")),
        answers=(answer(b"Content-Length: 002", body=b"ok"),),
    ),
    bad(
        "answer: chunked twice",
        "RFC 9112 7.1",
        answer(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    ),
    bad(
        "answer: coding behind a vertical tab",
        "RFC 9112 6.1",
        answer(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    ),
    bad(
        "answer: chunked is not last",
        FRAMING,
        answer(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
        Act.CLOSE,
    ),
    bad(
        "answer: an unknown coding", FRAMING, answer(b"Transfer-Encoding: cow", body=b"0\r\n\r\n"), Act.CLOSE
    ),
    bad(
        "answer: coding in HTTP/1.0",
        "RFC 9112 6.1",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Act.CLOSE,
    ),
    bad("answer: obsolete folding", "RFC 9112 5.2", answer(b"X-A: b", b" c", b"Content-Length: 0")),
    Case(
        "answer: a space before the colon",
        "RFC 9112 5.1",
        get(),
        bad_gateway() | (status(200) & field_here("X-A", "b")),
        answers=(answer(b"X-A : b", b"Content-Length: 0"),),
    ),
    bad("answer: length with a space before the colon", "RFC 9112 5.1", answer(b"Content-Length : 0")),
    bad("answer: a field without a colon", "RFC 9112 5", answer(b"X-A", b"Content-Length: 0")),
    bad("answer: a field without a name", "RFC 9112 5", answer(b": b", b"Content-Length: 0")),
    bad("answer: a bare CR in a value", "RFC 9112 2.2", answer(b"X-A: b\rc", b"Content-Length: 0")),
    bad("answer: a NUL in a value", "RFC 9110 5.5", answer(b"X-A: b\x00c", b"Content-Length: 0")),
    bad("answer: a NUL in a name", "RFC 9110 5.1", answer(b"X\x00A: b", b"Content-Length: 0")),
    bad(
        "answer: a control character in a value", "RFC 9110 5.5", answer(b"X-A: b\x01c", b"Content-Length: 0")
    ),
    bad("answer: a bare CR in the reason", "RFC 9112 4", answer(b"Content-Length: 0", status=b"200 O\rK")),
    bad("answer: a NUL in the reason", "RFC 9112 4", answer(b"Content-Length: 0", status=b"200 O\x00K")),
    bad(
        "answer: a control character in the reason",
        "RFC 9112 4",
        answer(b"Content-Length: 0", status=b"200 O\x01K"),
    ),
    bad("answer: bare LFs", "RFC 9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    bad("answer: a status below 100", "RFC 9110 15", answer(b"Content-Length: 0", status=b"099 Low")),
    bad("answer: a status of two digits", "RFC 9112 4", answer(b"Content-Length: 0", status=b"20 OK")),
    bad("answer: a status of four digits", "RFC 9112 4", answer(b"Content-Length: 0", status=b"2000 OK")),
    bad("answer: a status with a sign", "RFC 9112 4", answer(b"Content-Length: 0", status=b"+20 OK")),
    bad("answer: no status", "RFC 9112 4", b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    bad("answer: version 2.0", "RFC 9110 2.5", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    bad("answer: version 1.10", "RFC 9112 2.3", b"HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n"),
    bad("answer: another protocol", "RFC 9112 2.3", b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n"),
    bad(
        "answer: another protocol's version", "RFC 9112 2.3", b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    ),
    bad("answer: a greeting of another protocol", "RFC 9112 4", b"220 mail.test ESMTP\r\n"),
    bad("answer: rubbish", "RFC 9112 4", b"\x00\x01\x02\x03\r\n\r\n"),
    bad("answer: a request", "RFC 9112 4", HIDDEN),
    Case(
        "answer: HTTP/0.9",
        "RFC 9112 2.3",
        get(),
        bad_gateway(),
        answers=(b"<html>hello</html>", Act.CLOSE),
        finish=Finish.ANSWERS,
    ),
    Case(
        "answer: a head without end",
        "RFC 9110 5.4",
        get(),
        bad_gateway(500, 502),
        answers=(answer(*[b"X-A: " + b"b" * 100] * 3000, b"Content-Length: 0"),),
    ),
    Case(
        "answer: a field without end",
        "RFC 9110 5.4",
        get(),
        bad_gateway(500, 502),
        answers=(answer(b"X-A: " + b"b" * 300_000, b"Content-Length: 0"),),
    ),
    chunks("answer: a chunk size in words", b"five\r\nhello\r\n"),
    chunks("answer: a chunk size with a plus", b"+5\r\nhello\r\n"),
    chunks("answer: a chunk size past 64 bits", b"10000000000000005\r\nhello\r\n"),
    chunks("answer: a bare LF after a chunk size", b"5\nhello\r\n"),
    chunks("answer: a bare LF after a chunk", b"5\r\nhello\n"),
    chunks("answer: a chunk longer than its size", b"5\r\nhello!\r\n"),
    chunks("answer: rubbish after a chunk", b"5\r\nhelloXX"),
    chunks(
        "answer: a chunk extension without bound", b"5;" + b"a" * 300_000 + b"\r\nhello\r\n", "RFC 9112 7.1.1"
    ),
    Case(
        "answer: Date and Server pass",
        "RFC 9110 10.2.4",
        get(),
        forwarded() & has_field("Date"),
        answers=(answer(b"Server: upstream/1", b"Content-Length: 0"),),
    ),
]
