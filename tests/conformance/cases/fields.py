"""Fields that are for one hop, and fields a proxy has to add or act on: RFC 9110, sections 6 to 10."""

from tests.conformance.case import (
    Case,
    Check,
    Finish,
    Seen,
    answer,
    ask,
    body_there,
    check,
    chunked,
    closed,
    field_here,
    field_there,
    forwarded,
    get,
    has_field,
    kept,
    none_of,
    post,
    reached,
    refused,
    status,
)

HOP = "RFC 9110 7.6.1"


@check("hops counted in Max-Forwards")
def not_forwarded(seen: Seen) -> str | None:
    return "forwarded past its last hop" if seen.requests else None


@check("Allow, or an error")
def answered_as_last(seen: Seen) -> str | None:
    return None if len(seen.answers) == 1 else f"{len(seen.answers)} answers"


def via(*received: str) -> Check:
    def test(seen: Seen) -> str | None:
        lines = [m.strip() for r in seen.requests for v in r.headers.all("Via") for m in v.split(",")]
        versions = [m.split()[0] for m in lines if m]
        return None if versions == list(received) else f"Via {lines}"

    return Check(f"Via {' '.join(received)}", test)


@check("no h2c offered")
def no_h2c(seen: Seen) -> str | None:
    offered = [v for r in seen.requests for v in r.headers.all("Upgrade")]
    return f"offered {offered}" if any("h2c" in v.lower() for v in offered) else None


def spoof(name: str) -> Case:
    """Fields by which an upstream knows the client, spelled as CGI and WSGI fold them."""
    said = name.replace("-", "_")
    return Case(
        f"{said} is not {name}",
        "RFC 9110 17.10",
        get(f"{said}: spoofed".encode()),
        refused() | (forwarded() & field_there(said)),
    )


CASES = [
    Case(
        "other fields pass in order and spelling",
        "RFC 9110 7.6",
        get(b"X-b: 1", b"x-A: 2", b"X-B: 3"),
        forwarded() & field_there("X-B", "1", "3") & field_there("X-A", "2"),
    ),
    Case(
        "unknown fields pass",
        "RFC 9110 5.1",
        get(b"Made-Up: yes"),
        forwarded() & field_there("Made-Up", "yes"),
    ),
    Case(
        "Connection is not forwarded",
        HOP,
        get(b"Connection: keep-alive"),
        forwarded() & field_there("Connection") | (forwarded() & field_there("Connection", "keep-alive")),
    ),
    Case(
        "Keep-Alive is not forwarded",
        HOP,
        get(b"Connection: Keep-Alive", b"Keep-Alive: timeout=5"),
        forwarded() & none_of(["Keep-Alive"]),
    ),
    Case(
        "Proxy-Connection is not forwarded",
        HOP,
        get(b"Proxy-Connection: keep-alive"),
        forwarded() & none_of(["Proxy-Connection"]),
    ),
    Case("TE is not forwarded", HOP, get(b"Connection: TE", b"TE: gzip"), forwarded() & none_of(["TE"])),
    Case(
        "Upgrade without Connection is not forwarded",
        "RFC 9110 7.8",
        get(b"Upgrade: websocket"),
        forwarded() & none_of(["Upgrade"]),
    ),
    Case(
        "Upgrade in HTTP/1.0 is not heard",
        "RFC 9110 7.8",
        ask("GET", b"Connection: upgrade", b"Upgrade: websocket", version=b"1.0"),
        reached(1) & none_of(["Upgrade"]),
        finish=Finish.EOF,
    ),
    Case(
        "a field that Connection names",
        HOP,
        get(b"Connection: X-Hop", b"X-Hop: 1", b"X-End: 2"),
        forwarded() & none_of(["X-Hop"]) & field_there("X-End", "2"),
    ),
    Case(
        "a field named before Connection names it",
        HOP,
        get(b"X-Hop: 1", b"Connection: x-hop"),
        forwarded() & none_of(["X-Hop"]),
    ),
    Case(
        "fields that two Connections name",
        HOP,
        get(b"Connection: a1, \t x-one", b"X-One: 1", b"Connection: ,X-Two ,, a2", b"X-Two: 2"),
        forwarded() & none_of(["X-One", "X-Two"]),
    ),
    Case(
        "Connection names another field of like spelling",
        HOP,
        get(b"Connection: X-A^", b"X-A~: 1"),
        refused() | (forwarded() & field_there("X-A~", "1")),
    ),
    Case(
        "Connection names Host",
        HOP,
        get(b"Connection: Host"),
        forwarded() & field_there("Host", "gateway.test"),
    ),
    Case(
        "Connection names Content-Length",
        HOP,
        post(b"Connection: Content-Length", b"Content-Length: 5", body=b"hello"),
        forwarded() & body_there(b"hello"),
    ),
    Case(
        "Connection names Transfer-Encoding",
        HOP,
        chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Connection: Transfer-Encoding"),
        forwarded() & body_there(b"hello"),
    ),
    Case(
        "Connection: close is between client and proxy",
        "RFC 9112 9.6",
        get(b"Connection: close"),
        reached(1) & status(200) & closed,
        finish=Finish.EOF,
    ),
    Case(
        "h2c is not for the upstream",
        "RFC 9113 3.1",
        get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
        forwarded() & no_h2c,
    ),
    Case(
        "h2c without its settings",
        "RFC 9113 3.1",
        get(b"Connection: Upgrade", b"Upgrade: h2c"),
        forwarded() & no_h2c,
    ),
    Case(
        "h2c among others",
        "RFC 9113 3.1",
        get(b"Connection: Upgrade", b"Upgrade: websocket, h2c"),
        forwarded() & no_h2c,
    ),
    Case("Via towards the upstream", "RFC 9110 7.6.3", get(), forwarded() & via("1.1")),
    Case("Via is added to", "RFC 9110 7.6.3", get(b"Via: 1.0 first"), forwarded() & via("1.0", "1.1")),
    Case(
        "Via names the version received",
        "RFC 9110 7.6.3",
        ask("GET", version=b"1.0"),
        reached(1) & via("1.0"),
        finish=Finish.EOF,
    ),
    Case(
        "an OPTIONS on its last hop",
        "RFC 9110 7.6.2",
        ask("OPTIONS", b"Max-Forwards: 0"),
        not_forwarded & answered_as_last,
    ),
    Case(
        "a TRACE on its last hop",
        "RFC 9110 7.6.2",
        ask("TRACE", b"Max-Forwards: 0"),
        not_forwarded & answered_as_last,
    ),
    Case(
        "an OPTIONS with hops left",
        "RFC 9110 7.6.2",
        ask("OPTIONS", b"Max-Forwards: 10"),
        forwarded() & field_there("Max-Forwards", "9"),
    ),
    Case(
        "a TRACE with hops left",
        "RFC 9110 7.6.2",
        ask("TRACE", b"Max-Forwards: 1"),
        (forwarded() & field_there("Max-Forwards", "0")) | (not_forwarded & answered_as_last),
    ),
    Case("Max-Forwards of other methods", "RFC 9110 7.6.2", get(b"Max-Forwards: 0"), forwarded()),
    Case(
        "100-continue is forwarded",
        "RFC 9110 10.1.1",
        post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
        reached(1) & status(200) & body_there(b"hello"),
        finish=Finish.ANSWERS,
    ),
    Case(
        "100-continue of HTTP/1.0",
        "RFC 9110 10.1.1",
        ask("POST", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", version=b"1.0"),
        reached(1) & status(200) & body_there(b"hello") & none_of(["Expect"]),
        finish=Finish.EOF,
    ),
    Case(
        "an expectation that nobody knows",
        "RFC 9110 10.1.1",
        get(b"Expect: the-unexpected"),
        refused(417),
    ),
    Case(
        "nearly 100-continue",
        "RFC 9110 10.1.1",
        post(b"Expect: y 100-continue", b"Content-Length: 5", body=b"hello"),
        refused(417),
    ),
    Case(
        "100-continue without a body",
        "RFC 9110 10.1.1",
        get(b"Expect: 100-continue"),
        reached(1) & status(200),
        finish=Finish.ANSWERS,
    ),
    Case(
        "credentials pass",
        "RFC 9110 11.6",
        get(b"Authorization: Basic Zm9vOmJhcg=="),
        forwarded() & field_there("Authorization", "Basic Zm9vOmJhcg=="),
    ),
    Case(
        "conditions and ranges pass",
        "RFC 9110 13",
        get(b'If-Match: "a"', b"Range: bytes=0-1"),
        forwarded() & field_there("If-Match", '"a"') & field_there("Range", "bytes=0-1"),
    ),
    Case(
        "codings are not touched",
        "RFC 9110 7.7",
        get(b"Cache-Control: no-transform", b"Accept-Encoding: gzip"),
        forwarded() & field_there("Accept-Encoding", "gzip") & field_here("Content-Encoding", "gzip"),
        answers=(answer(b"Content-Encoding: gzip", b"Content-Length: 2", body=b"\x1f\x8b"),),
    ),
    Case(
        "Date is kept",
        "RFC 9110 6.6.1",
        get(),
        forwarded() & field_here("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ),
    Case(
        "Date is added",
        "RFC 9110 6.6.1",
        get(),
        forwarded() & has_field("Date"),
        answers=(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",),
    ),
    Case(
        "answer: fields pass in order",
        "RFC 9110 7.6",
        get(),
        forwarded() & field_here("X-A", "1", "2"),
        answers=(answer(b"X-A: 1", b"Set-Cookie: a", b"X-A: 2", b"Content-Length: 0"),),
    ),
    Case(
        "answer: two cookies are two lines",
        "RFC 9110 5.3",
        get(),
        forwarded() & field_here("Set-Cookie", "a", "b"),
        answers=(answer(b"Set-Cookie: a", b"Set-Cookie: b", b"Content-Length: 0"),),
    ),
    Case(
        "answer: a field that Connection names",
        HOP,
        get(),
        forwarded() & field_here("X-Hop"),
        answers=(answer(b"Connection: X-Hop", b"X-Hop: 1", b"Content-Length: 0"),),
    ),
    Case(
        "answer: Keep-Alive is not forwarded",
        HOP,
        get(),
        forwarded() & field_here("Keep-Alive") | (forwarded() & field_here("Keep-Alive", "timeout=75")),
        answers=(answer(b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Content-Length: 0"),),
    ),
    Case(
        "answer: Proxy-Connection is not forwarded",
        HOP,
        get(),
        forwarded() & field_here("Proxy-Connection"),
        answers=(answer(b"Proxy-Connection: keep-alive", b"Content-Length: 0"),),
    ),
    Case(
        "answer: Connection names Content-Length",
        HOP,
        get(),
        forwarded() & field_here("Content-Length", "2"),
        answers=(answer(b"Connection: Content-Length", b"Content-Length: 2", body=b"ok"),),
    ),
    Case(
        "answer: Upgrade without a switch",
        "RFC 9110 7.8",
        get(),
        forwarded() & field_here("Upgrade")
        | (forwarded() & field_here("Upgrade", "h2c") & field_here("Connection", "Upgrade")),
        answers=(answer(b"Upgrade: h2c", b"Connection: Upgrade", b"Content-Length: 0"),),
    ),
    Case(
        "answer: close is between proxy and upstream",
        "RFC 9112 9.6",
        get(),
        forwarded() & field_here("Connection") | (forwarded() & field_here("Connection", "keep-alive")),
        answers=(answer(b"Connection: close", b"Content-Length: 2", body=b"ok"),),
    ),
    Case(
        "a request's method is told by its own case",
        "RFC 9110 9.3.8",
        ask("TRACE"),
        forwarded() | (status(405) & kept) | refused(),
    ),
    *[spoof(name) for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")],
]
