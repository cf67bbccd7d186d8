"""Bytes to events: the choice of the backend, and parsers made by it.

llhttp's own C callbacks (parse_llhttp.pyx) wherever the declarations that they rely on fit the httptools that
is installed, else httptools' public API (parse_api.pyx). TETRAPYLON_PARSER in the environment asks for one,
`llhttp` or `httptools`.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memset

from tetrapylon._core.buffer cimport Head, head_free
from tetrapylon._core.http.message cimport (
    BODY, END, HEAD, HEAD_TOO_LARGE, MALFORMED, MORE, TARGET_TOO_LONG, TRUNCATED, Backend, Event, Limits,
    Parser,
)
from tetrapylon._core.http.parse_api cimport ApiBackend
from tetrapylon._core.http.parse_llhttp cimport LlhttpBackend

import os

from tetrapylon._core.http.parse_llhttp import misfit as llhttp_misfit

cdef Backend llhttp_backend = LlhttpBackend()
cdef Backend api_backend = ApiBackend()
cdef Backend chosen = None


cdef Parser request_parser(Limits limits):
    return chosen.make(True, limits)


cdef Parser response_parser(Limits limits):
    return chosen.make(False, limits)


def backend():
    return "llhttp" if chosen is llhttp_backend else "httptools"


def use_backend(str name not None):
    global chosen
    if name == "llhttp" and misfit is not None:
        raise RuntimeError(f"httptools' llhttp {misfit}")
    if name not in ("llhttp", "httptools"):
        raise ValueError(f"no parser backend {name!r}; there are llhttp and httptools")
    chosen = llhttp_backend if name == "llhttp" else api_backend


cdef str fails(Backend backend):
    """Why a backend cannot be used, found with one canned message each way; or None."""
    cdef Head head
    cdef Parser parser
    cdef const char* text
    cdef bint request, right
    for request, canned in (
        (True, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"), (False, b"HTTP/1.1 204 No\r\nA: b\r\n\r\n"),
    ):
        memset(&head, 0, sizeof(head))
        parser = backend.make(request, Limits())
        parser.head = &head
        text = <const char*><bytes>canned
        right = (
            parser.next(text, len(<bytes>canned)) == HEAD and parser.ended
            and parser.consumed == <size_t>len(<bytes>canned) and head.count == 1
            and (head.target_length == 2 if request else head.status == 204)
        )
        head_free(&head)
        parser.head = NULL
        if not right:
            return "fails its own test"
    return None


def feed(str kind not None, list pieces not None, *, bint no_body=False, Limits limits=None):
    """Run the pieces through a fresh parser; the events as tuples. For tests and fuzzing."""
    cdef Parser parser = chosen.make(kind == "request", limits or Limits())
    cdef Head head
    cdef Event event = MORE
    cdef const char* text
    cdef size_t n
    cdef list events = []
    memset(&head, 0, sizeof(head))
    parser.head = &head
    parser.no_body = no_body
    try:
        for piece in pieces:
            if piece is None:
                event = parser.eof()
                events.append(_event(parser, event))
                continue
            text = piece
            n = len(piece)
            while True:
                event = parser.next(text, n)
                if event == MORE:
                    break
                events.append(_event(parser, event))
                if event >= MALFORMED:
                    return events
                text += parser.consumed
                n -= parser.consumed
    finally:
        head_free(&head)
    return events


cdef tuple _event(Parser parser, Event event):
    cdef Head* head = parser.head
    if event == HEAD:
        if parser.request:
            start = (
                head.data[head.method:head.method + head.method_length],
                head.data[head.target:head.target + head.target_length],
            )
        else:
            start = (head.status, head.data[head.reason:head.reason + head.reason_length])
        return ("head", *start, head.minor, _lines(head), bool(parser.ended))
    if event == BODY:
        return ("body", parser.body[:parser.body_length])
    if event == END:
        return ("end", _lines(&parser.trailers) if parser.has_trailers else [])
    if event == MORE:
        return ("more",)
    if event == TARGET_TOO_LONG:
        return ("target too long",)
    if event == HEAD_TOO_LARGE:
        return ("head too large",)
    return ("truncated",) if event == TRUNCATED else ("malformed",)


cdef list _lines(Head* head):
    cdef uint32_t i
    return [
        (head.data[head.headers[i].name:head.headers[i].name + head.headers[i].name_length],
         head.data[head.headers[i].value:head.headers[i].value + head.headers[i].value_length])
        for i in range(head.count)
    ]


misfit = llhttp_misfit or fails(llhttp_backend)
chosen = llhttp_backend if misfit is None else api_backend
if fails(chosen) is not None:
    raise ImportError("no parser backend fits this httptools; tetrapylon needs 0.6.4 or later")
if "TETRAPYLON_PARSER" in os.environ:
    use_backend(os.environ["TETRAPYLON_PARSER"])
