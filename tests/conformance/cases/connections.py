"""Persistence and pipelining: RFC 9112, section 9."""

from tests.conformance.case import (
    HIDDEN,
    LAST_CHUNK,
    Act,
    Case,
    Finish,
    Seen,
    answer,
    ask,
    bad_gateway,
    body_here,
    body_there,
    check,
    chunked,
    closed,
    dropped,
    field_here,
    forwarded,
    get,
    has_field,
    kept,
    post,
    reached,
    status,
)

TUNNEL = (b"Connection: Upgrade", b"Upgrade: chat")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"


@check("a tunnel with its first bytes")
def tunnelled(seen: Seen) -> str | None:
    if [a.status for a in seen.answers] != [101]:
        return f"answers {[a.status for a in seen.answers]}"
    return None if seen.surplus == b"said in chat" else f"in the tunnel: {seen.surplus!r}"


@check("no interim answer")
def no_interim(seen: Seen) -> str | None:
    return "an interim answer" if any(a.interim for a in seen.answers) else None


CASES = [
    Case("two requests, two answers", "RFC 9112 9.3.2", get() + get(), forwarded(2), methods=("GET", "GET")),
    Case("ten requests in a pipeline", "RFC 9112 9.3.2", get() * 10, forwarded(10), methods=("GET",) * 10),
    Case(
        "HEAD in a pipeline",
        "RFC 9112 9.3.2",
        ask("HEAD") + ask("HEAD"),
        forwarded(2),
        methods=("HEAD", "HEAD"),
        answers=(answer(b"Content-Length: 500"),),
    ),
    Case(
        "bodies in a pipeline",
        "RFC 9112 9.3.2",
        post(b"Content-Length: 3", body=b"one") + chunked(b"3\r\ntwo\r\n" + LAST_CHUNK) + get(),
        forwarded(3) & body_there(b"one", b"two", b""),
        methods=("POST", "POST", "GET"),
    ),
    Case(
        "a good request before a bad one",
        "RFC 9112 9.3.2",
        get() + b"rubbish\r\n\r\n" + HIDDEN,
        reached(1) & status(200, 400) & closed,
        methods=("GET", "GET"),
    ),
    Case(
        "a request behind a close",
        "RFC 9112 9.6",
        get(b"Connection: close") + HIDDEN,
        reached(1) & status(200) & closed,
    ),
    Case(
        "a request behind CLOSE among options",
        "RFC 9112 9.6",
        get(b"Connection: x, CLOSE ,y") + HIDDEN,
        reached(1) & status(200) & closed,
    ),
    Case(
        "a request behind one in HTTP/1.0",
        "RFC 9112 9.3",
        ask("GET", version=b"1.0") + HIDDEN,
        reached(1) & status(200) & closed,
    ),
    Case(
        "keep-alive in HTTP/1.0",
        "RFC 9112 9.3",
        ask("GET", b"Connection: keep-alive", version=b"1.0"),
        reached(1) & status(200) & (kept & has_field("Connection") | closed),
    ),
    Case(
        "close goes before keep-alive",
        "RFC 9112 9.3",
        get(b"Connection: keep-alive, close") + HIDDEN,
        reached(1) & status(200) & closed,
    ),
    Case(
        "an answer to HTTP/1.0 has no chunks",
        "RFC 9112 7.1",
        ask("GET", version=b"1.0"),
        reached(1) & status(200) & field_here("Transfer-Encoding") & body_here(b"hello"),
        finish=Finish.EOF,
        answers=(answer(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),),
    ),
    Case(
        "an answer to HTTP/1.0 has no interim",
        "RFC 9110 15.2",
        ask("GET", version=b"1.0"),
        reached(1) & status(200) & no_interim,
        finish=Finish.EOF,
        answers=(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"Content-Length: 2", body=b"ok"),
        ),
    ),
    Case(
        "an answer before the body's end",
        "RFC 9112 9.5",
        post(b"Content-Length: 5", body=b"hello"),
        status(413),
        early=True,
        finish=Finish.ANSWERS,
        answers=(answer(b"Content-Length: 2", status=b"413 Content Too Large", body=b"no"),),
    ),
    Case(
        "an upstream that closes after its answer",
        "RFC 9112 9.5",
        get(),
        forwarded(),
        answers=(answer(b"Content-Length: 2", body=b"ok"), Act.CLOSE),
    ),
    Case(
        "an upstream that closes without a word",
        "RFC 9110 15.6.3",
        post(b"Content-Length: 2", body=b"hi"),
        status(502),
        answers=(Act.CLOSE,),
        finish=Finish.ANSWERS,
    ),
    Case(
        "an upstream that resets without a word",
        "RFC 9110 15.6.3",
        post(b"Content-Length: 2", body=b"hi"),
        status(502),
        answers=(Act.RESET,),
        finish=Finish.ANSWERS,
    ),
    Case(
        "an answer to nobody on an idle connection",
        "RFC 9112 9.2",
        get(),
        status(200) & dropped & kept,
        finish=Finish.LATER,
        answers=(
            answer(b"Content-Length: 2", body=b"ok"),
            Act.GATE,
            answer(b"Content-Length: 6", body=b"poison"),
        ),
    ),
    Case(
        "one byte on an idle connection",
        "RFC 9112 9.2",
        get(),
        status(200) & dropped & kept,
        finish=Finish.LATER,
        answers=(answer(b"Content-Length: 2", body=b"ok"), Act.GATE, b"x"),
    ),
    Case(
        "a CRLF on an idle connection",
        "RFC 9112 9.2",
        get(),
        status(200) & dropped & kept,
        finish=Finish.LATER,
        answers=(answer(b"Content-Length: 2", body=b"ok"), Act.GATE, b"\r\n"),
    ),
    Case(
        "408 on an idle connection",
        "RFC 9110 15.5.9",
        get(),
        status(200) & dropped & kept,
        finish=Finish.LATER,
        answers=(
            answer(b"Content-Length: 2", body=b"ok"),
            Act.GATE,
            b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
    ),
    Case(
        "a switch that was asked for",
        "RFC 9110 7.8",
        get(*TUNNEL),
        tunnelled,
        finish=Finish.EOF,
        answers=(SWITCH + b"said in chat", Act.CLOSE),
    ),
    Case(
        "a switch that nobody asked for", "RFC 9110 7.8", get(), bad_gateway(), answers=(SWITCH + b"poison",)
    ),
    Case(
        "a switch asked for in HTTP/1.0",
        "RFC 9110 7.8",
        ask("GET", *TUNNEL, version=b"1.0"),
        bad_gateway(),
        finish=Finish.EOF,
        answers=(SWITCH + b"poison",),
    ),
    Case(
        "a switch to another protocol than offered",
        "RFC 9110 7.8",
        get(*TUNNEL),
        bad_gateway(),
        finish=Finish.ANSWERS,
        answers=(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: smtp\r\n\r\n",),
    ),
    Case(
        "a switch that does not say to what",
        "RFC 9110 7.8",
        get(*TUNNEL),
        bad_gateway(),
        finish=Finish.ANSWERS,
        answers=(b"HTTP/1.1 101 Switching Protocols\r\n\r\n",),
    ),
    Case("a switch that was refused", "RFC 9110 7.8", get(*TUNNEL), forwarded()),
    Case(
        "a request behind an offer that was refused",
        "RFC 9110 7.8",
        get(*TUNNEL) + get(),
        forwarded(2),
        methods=("GET", "GET"),
    ),
]
