"""`decompress`: bodies without their content coding, for upstreams and clients that cannot read it."""

from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint64_t

from tetrapylon._core.body cimport set_request_body, unframe
from tetrapylon._core.buffer cimport DROPPED, Head, Header, head_find
from tetrapylon._core.exchange cimport (
    RESPONSE_MALFORMED, Exchange, Filter, install, is_method, response_of, still_wanted,
)
from tetrapylon._core.http.edit cimport add_line, add_vary, drop_lines, out_of_memory
from tetrapylon._core.http.fields cimport Items, Piece, items_of, next_item
from tetrapylon._core.http.negotiate cimport IDENTITY, Coding, acceptable, coding_of
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict

from typing import Annotated

from msgspec import Struct

from tetrapylon._core.http.negotiate import NAMES
from tetrapylon.messages.codings import Broken, Decoder, Expanding, missing
from tetrapylon.config.model.base import Count, doc
from tetrapylon.config.units import Size

cdef extern from "Python.h":
    enum:
        PyBUF_READ


class Settings(Struct, frozen=True, kw_only=True):
    """Decompresses requests for upstreams, and responses for clients that do not accept their coding."""

    requests: Annotated[bool, doc("Whether requests are; their bodies are held whole meanwhile.")] = True
    responses: Annotated[bool, doc("Whether responses are, for clients that cannot; as they come.")] = True
    max_request: Annotated[Size, doc("A request's body as it comes; larger: 413.")] = 1048576
    max_size: Annotated[Size, doc("A request's body once decompressed; larger: 413.")] = 8388608
    max_ratio: Annotated[
        Count, doc("How many times its size a body may come to, and 1 MiB more; beyond it is a bomb.")
    ] = 100


cdef class Decompressing(Filter):
    cdef object decoder

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef uint64_t response = response_of(x)
        try:
            for piece in self.decoder.feed(PyMemoryView_FromMemory(<char*>data, n, PyBUF_READ)):
                self.emit_bytes(x, piece)
                if not still_wanted(x, response):
                    return
        except Exception:
            x.stages.fail(x, RESPONSE_MALFORMED)

    cdef void end(self, Exchange x) noexcept:
        try:
            self.decoder.finish()
        except Exception:
            x.stages.fail(x, RESPONSE_MALFORMED)


cdef class Decompress(Policy):
    cdef bint requests
    cdef bint responses
    cdef object max_size
    cdef object max_ratio
    cdef frozenset known        # codings whose library is there
    cdef Refusal unknown
    cdef Refusal broken
    cdef Refusal bomb

    Settings = Settings

    def __init__(self, settings=Settings()):  # noqa: B008
        self.requests = settings.requests
        self.responses = settings.responses
        self.max_size = settings.max_size
        self.max_ratio = settings.max_ratio
        self.request_limit = settings.max_request
        self.known = frozenset([
            coding for coding, name in NAMES.items() if name != "identity" and not missing(name)
        ])
        takes = ", ".join([NAMES[coding] for coding in sorted(self.known)]).encode()
        self.unknown = Refusal(
            415, "content_coding", "Unsupported Media Type", "The body's content coding is not known here.",
            headers=[(b"Accept-Encoding", takes)], error="http_request_error")
        self.broken = Refusal(
            400, "content_coding_broken", "Bad Request", "The body is not what its content coding says.",
            error="http_request_error")
        self.bomb = Refusal(
            413, "content_too_large", "Content Too Large",
            "The body is larger, decompressed, than is taken here.",
            error="http_request_error")

    cdef int coding(self, const Head* head) noexcept:
        """The one coding of a body; IDENTITY: none, -1: one that is not known, or several."""
        cdef Items items = items_of(head, b"content-encoding", 16)
        cdef Piece item
        cdef Coding found = IDENTITY, coding
        while next_item(&items, &item):
            coding = coding_of(item.data, item.n)
            if coding == IDENTITY:
                continue
            if found != IDENTITY or coding not in self.known:
                return -1
            found = coding
        return found

    cdef Verdict request(self, Exchange x) noexcept:
        cdef int coding
        if not self.requests or not x.request.has_body:
            return CONTINUE
        coding = self.coding(&x.request)
        if coding == IDENTITY:
            return CONTINUE
        return refuse(x, self.unknown) if coding < 0 else COLLECT

    cdef Verdict whole_request(self, Exchange x) noexcept:
        cdef object decoder = Decoder(
            NAMES[self.coding(&x.request)], most=self.max_size, ratio=self.max_ratio)
        try:
            body = b"".join(decoder.feed(x.body or b""))
            decoder.finish()
        except Expanding:
            return refuse(x, self.bomb)
        except Broken:
            return refuse(x, self.broken)
        except MemoryError:
            return out_of_memory(x)
        drop_lines(&x.request, b"content-encoding")
        for field in CONTENT_FIELDS:
            drop_lines(&x.request, field)
        try:
            set_request_body(x, body)
        except MemoryError:
            return out_of_memory(x)
        return CONTINUE

    cdef Verdict response(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef Decompressing filter
        cdef int coding
        cdef Header* etag
        cdef bytes weak
        if not self.responses or head.status < 200 or head.status in (204, 205, 206, 304):
            return CONTINUE
        coding = self.coding(head)
        if coding <= IDENTITY:
            return CONTINUE
        if add_vary(head, b"Accept-Encoding") < 0:
            return out_of_memory(x)
        if acceptable(&x.request, <Coding>coding) > 0:
            return CONTINUE
        drop_lines(head, b"content-encoding")
        for field in CONTENT_FIELDS:
            drop_lines(head, field)
        etag = head_find(head, b"etag", 4)
        if etag is not NULL and head.data[etag.value] != c"W":
            weak = b"W/" + (head.data + etag.value)[:etag.value_length]
            etag.mark |= DROPPED
            if add_line(head, b"ETag", weak, len(weak)) < 0:
                return out_of_memory(x)
        unframe(x)
        if head.has_body and not is_method(x, b"HEAD", 4):
            filter = Decompressing.__new__(Decompressing)
            filter.decoder = Decoder(NAMES[coding], ratio=self.max_ratio)
            install(x, filter)
        return CONTINUE


# What says something of the bytes themselves, which are others now.
cdef tuple CONTENT_FIELDS = (
    b"accept-ranges", b"content-digest", b"content-md5", b"digest", b"repr-digest",
)
