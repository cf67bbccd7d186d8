"""Chunks: RFC 9112, section 7.1. What is accepted has the same content behind the proxy."""

from tests.conformance.case import (
    HIDDEN,
    LAST_CHUNK,
    Case,
    Finish,
    body_there,
    chunked,
    closed,
    forwarded,
    incomplete,
    none_of,
    reached,
    refused,
    trailers_there,
)

RULE = "RFC 9112 7.1"
ONE = b"5\r\nhello\r\n"


def no(name: str, body: bytes, rule: str = RULE) -> Case:
    return Case(name, rule, chunked(body + LAST_CHUNK + HIDDEN), refused())


CASES = [
    Case("one chunk", RULE, chunked(ONE + LAST_CHUNK), forwarded() & body_there(b"hello")),
    Case("many chunks", RULE, chunked(b"1\r\na\r\n" * 50 + LAST_CHUNK), forwarded() & body_there(b"a" * 50)),
    Case("no chunks", RULE, chunked(LAST_CHUNK), forwarded() & body_there(b"")),
    Case(
        "a chunk that holds CRLFs and sizes",
        RULE,
        chunked(b"f\r\n\r\n0\r\n\r\nGET /hid\r\n" + LAST_CHUNK),
        forwarded() & body_there(b"\r\n0\r\n\r\nGET /hid"),
    ),
    Case(
        "a size in capitals",
        RULE,
        chunked(b"A\r\nhello hell\r\n" + LAST_CHUNK),
        forwarded() & body_there(b"hello hell"),
    ),
    Case(
        "a size with leading zeros",
        RULE,
        chunked(b"0005\r\nhello\r\n" + LAST_CHUNK),
        refused() | (forwarded() & body_there(b"hello")),
    ),
    Case(
        "a last chunk of many zeros",
        RULE,
        chunked(ONE + b"0000\r\n\r\n"),
        refused() | (forwarded() & body_there(b"hello")),
    ),
    Case(
        "a chunk extension",
        "RFC 9112 7.1.1",
        chunked(b"5;a=b;c\r\nhello\r\n" + LAST_CHUNK),
        forwarded() & body_there(b"hello"),
    ),
    Case(
        "a chunk extension in quotes",
        "RFC 9112 7.1.1",
        chunked(b'5;a="b;c"\r\nhello\r\n' + LAST_CHUNK),
        forwarded() & body_there(b"hello"),
    ),
    Case(
        "an extension of the last chunk",
        "RFC 9112 7.1.1",
        chunked(ONE + b"0;a=b\r\n\r\n"),
        forwarded() & body_there(b"hello"),
    ),
    Case(
        "an extension without bound",
        "RFC 9112 7.1.1",
        chunked(b"5;a=" + b"b" * 300_000 + b"\r\nhello\r\n0\r\n\r\n"),
        refused(),
    ),
    Case(
        "extensions without bound, in small chunks",
        "RFC 9112 7.1.1",
        chunked((b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 300 + LAST_CHUNK),
        refused(),
    ),
    no("a size without digits", b"\r\nhello\r\n"),
    no("an extension without a size", b";a=b\r\nhello\r\n"),
    no("a size in words", b"five\r\nhello\r\n"),
    no("a size with a plus", b"+5\r\nhello\r\n"),
    no("a negative size", b"-5\r\nhello\r\n"),
    no("a size with 0x", b"0x5\r\nhello\r\n"),
    no("a size with an underscore", b"0_5\r\nhello\r\n"),
    no("a size with a letter behind", b"5g\r\nhello\r\n"),
    no("a size behind a space", b" 5\r\nhello\r\n"),
    no("a size behind a tab", b"\t5\r\nhello\r\n"),
    no("a size past 64 bits", b"10000000000000005\r\nhello\r\n"),
    no("a size past 64 bits by leading digits", b"fffffffffffffffff5\r\nhello\r\n"),
    Case(
        "a size past 32 bits that wraps to 5",
        RULE,
        chunked(b"100000005\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
        incomplete & closed,
        finish=Finish.HALF_CLOSE,
    ),
    no("a bare LF after the size", b"5\nhello\r\n"),
    no("a bare CR after the size", b"5\rhello\r\n"),
    no("two CRs after the size", b"5\r\r\nhello\r\n"),
    no("a bare LF after the data", b"5\r\nhello\n"),
    no("a bare CR after the data", b"5\r\nhello\r"),
    no("no CRLF after the data", b"5\r\nhello5\r\nhello\r\n"),
    no("two other bytes for the CRLF after the data", b"5\r\nhelloXX"),
    no("data longer than its size", b"5\r\nhello!\r\n"),
    no("data shorter than its size", b"7\r\nhello\r\n"),
    no("a bare LF in an extension", b"5;a\nb\r\nhello\r\n", "RFC 9112 7.1.1"),
    no("a bare CR in an extension", b"5;a\rb\r\nhello\r\n", "RFC 9112 7.1.1"),
    no("a NUL in an extension", b"5;a\x00b\r\nhello\r\n", "RFC 9112 7.1.1"),
    no("a NUL after the size", b"5\x00\r\nhello\r\n"),
    no("a NUL before the size", b"\x005\r\nhello\r\n"),
    Case(
        "space after the size",
        RULE,
        chunked(b"5 \r\nhello\r\n" + LAST_CHUNK),
        refused() | (forwarded() & body_there(b"hello")),
    ),
    Case(
        "rubbish where the last chunk ends", RULE, chunked(ONE + b"0\r\nrubbish\r\n\r\n" + HIDDEN), refused()
    ),
    Case("a bare LF ends the last chunk", RULE, chunked(ONE + b"0\n\n"), refused()),
    Case("a bare LF ends the trailers", RULE, chunked(ONE + b"0\r\n\n"), refused()),
    Case("a bare CR ends the trailers", RULE, chunked(ONE + b"0\r\n\rX"), refused()),
    Case(
        "trailers",
        "RFC 9112 7.1.2",
        chunked(ONE + b"0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n", b"Trailer: X-Sum"),
        forwarded()
        & body_there(b"hello")
        & (trailers_there(("X-Sum", "1"), ("X-Other", "2")) | trailers_there()),
    ),
    Case(
        "a length in the trailers",
        "RFC 9110 6.5.1",
        chunked(ONE + b"0\r\nContent-Length: 500\r\n\r\n"),
        refused() | (forwarded() & trailers_there()),
    ),
    Case(
        "a coding in the trailers",
        "RFC 9110 6.5.1",
        chunked(ONE + b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        refused() | (forwarded() & trailers_there()),
    ),
    Case(
        "Host in the trailers",
        "RFC 9110 6.5.1",
        chunked(ONE + b"0\r\nHost: other.test\r\n\r\n"),
        refused() | (forwarded() & trailers_there()),
    ),
    Case(
        "a client's address in the trailers",
        "RFC 9110 6.5.1",
        chunked(ONE + b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"),
        refused() | (forwarded() & trailers_there()),
    ),
    Case(
        "a length with an underscore in the trailers",
        "RFC 9110 6.5.1",
        chunked(ONE + b"0\r\nContent_Length: 500\r\n\r\n"),
        refused() | (forwarded() & trailers_there()),
    ),
    Case(
        "Connection in the trailers",
        "RFC 9110 7.6.1",
        chunked(ONE + b"0\r\nConnection: close\r\n\r\n"),
        refused() | (reached() & trailers_there()),
    ),
    Case(
        "a trailer that Connection names",
        "RFC 9110 7.6.1",
        chunked(ONE + b"0\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n", b"Connection: X-Hop"),
        forwarded() & none_of(["X-Hop"]),
    ),
    Case("a folded trailer", "RFC 9112 5.2", chunked(ONE + b"0\r\nX-T: a\r\n b\r\n\r\n" + HIDDEN), refused()),
    Case("a trailer without a colon", "RFC 9112 5", chunked(ONE + b"0\r\nX-T\r\n\r\n" + HIDDEN), refused()),
    Case(
        "a trailer with a space before the colon",
        "RFC 9112 5.1",
        chunked(ONE + b"0\r\nX-T : a\r\n\r\n"),
        refused(),
    ),
    Case("a trailer with a NUL", "RFC 9110 5.5", chunked(ONE + b"0\r\nX-T: a\x00b\r\n\r\n"), refused()),
    Case("a trailer with a bare CR", "RFC 9112 2.2", chunked(ONE + b"0\r\nX-T: a\rb\r\n\r\n"), refused()),
    Case(
        "a trailer with a bare LF", "RFC 9112 2.2", chunked(ONE + b"0\r\nX-T: a\nX-U: b\r\n\r\n"), refused()
    ),
    Case(
        "trailers without bound",
        "RFC 9110 5.4",
        chunked(ONE + b"0\r\n" + b"X-T: aaaaaaaaaaaaaaaa\r\n" * 20_000 + b"\r\n"),
        refused(),
    ),
    Case(
        "space without bound in a trailer",
        "RFC 9110 5.4",
        chunked(ONE + b"0\r\nX-T:" + b" " * 400_000 + b"a\r\n\r\n"),
        refused(),
    ),
]
