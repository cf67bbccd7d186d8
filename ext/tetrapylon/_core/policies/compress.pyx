"""`compress`: responses in a content coding that the client likes (RFC 9110 section 8.4)."""

from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint32_t

from tetrapylon._core.body cimport unframe
from tetrapylon._core.buffer cimport (
    CONTENT_TYPE, DROPPED, HEARD, Head, Header, head_find, head_known, same_name,
)
from tetrapylon._core.exchange cimport INTERNAL_FAULT, Exchange, Filter, install, is_method
from tetrapylon._core.http.edit cimport add_line, add_vary, drop_lines, out_of_memory
from tetrapylon._core.http.fields cimport Piece, has_item, next_part
from tetrapylon._core.http.negotiate cimport IDENTITY, Coding, choose_coding
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict

from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon._core.http.negotiate import CODINGS_BY_NAME
from tetrapylon.messages.codings import encoder, missing
from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Size

cdef extern from "Python.h":
    enum:
        PyBUF_READ


class Settings(Struct, frozen=True, kw_only=True):
    """Compresses responses on their way to clients that accept it, as they come: events are not held up."""

    codings: Annotated[
        tuple[Literal["gzip", "br", "zstd"], ...],
        doc(
            "Which ones, the preferred one first; `br` and `zstd` need `pip install tetrapylon[compress]`.",
            min_length=1,
        ),
    ] = ("gzip",)
    types: Annotated[
        tuple[str, ...], doc("Media types worth it; `text/*` takes all of a kind, `*+json` all of a suffix.")
    ] = (
        "text/*",
        "application/json",
        "application/javascript",
        "application/xml",
        "application/wasm",
        "application/manifest+json",
        "image/svg+xml",
        "*+json",
        "*+xml",
    )
    min_size: Annotated[Size, doc("Bodies known to be smaller stay as they are.")] = 1024
    effort: Annotated[Literal["fast", "balanced", "small"], doc("How hard to try: time against bytes.")] = (
        "fast"
    )


cdef class Compressing(Filter):
    cdef object code
    cdef object flush
    cdef object finish
    cdef bint flushes           # each piece goes on at once

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef bytes out
        try:
            out = self.code(PyMemoryView_FromMemory(<char*>data, n, PyBUF_READ))
            if self.flushes:
                out += self.flush()
        except Exception:
            x.stages.fail(x, INTERNAL_FAULT)
            return
        self.emit_bytes(x, out)

    cdef void end(self, Exchange x) noexcept:
        cdef bytes out
        try:
            out = self.finish()
        except Exception:
            x.stages.fail(x, INTERNAL_FAULT)
            return
        self.emit_bytes(x, out)


cdef class Compress(Policy):
    cdef Coding[4] codings
    cdef size_t count
    cdef dict makers            # coding -> what makes a coder
    cdef dict names
    cdef frozenset types
    cdef tuple kinds            # `text/`
    cdef tuple suffixes         # `+json`
    cdef long min_size

    Settings = Settings

    def __init__(self, settings=Settings()):  # noqa: B008
        self.makers = {}
        self.names = {}
        for name in settings.codings:
            self.codings[self.count] = <Coding><int>CODINGS_BY_NAME[name]
            self.makers[CODINGS_BY_NAME[name]] = encoder(name, settings.effort)
            self.names[CODINGS_BY_NAME[name]] = name.encode()
            self.count += 1
        types = [kind.lower().encode() for kind in settings.types]
        self.types = frozenset(types)
        self.kinds = tuple([kind.removesuffix(b"*") for kind in types if kind.endswith(b"/*")])
        self.suffixes = tuple([kind.removeprefix(b"*") for kind in types if kind.startswith(b"*+")])
        self.min_size = settings.min_size

    @staticmethod
    def check(settings, config):
        """Libraries that are not there, and types that are none."""
        for index, coding in enumerate(settings.codings):
            if coding in settings.codings[:index]:
                yield ("codings", index), f"{coding} is listed already", "leave one of them out"
            elif missing(coding):
                hint = "pip install tetrapylon[compress]"
                what = f"{coding} needs the module {missing(coding)}, which is missing"
                yield ("codings", index), what, hint
        for index, kind in enumerate(settings.types):
            if kind.startswith("*+"):
                continue
            if kind.count("/") != 1 or not kind.strip("/") == kind or kind.startswith("*"):
                hint = "expected one such as text/html, text/* or *+json"
                yield ("types", index), f"{kind!r} is no media type", hint

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef uint32_t i
        for i in range(head.count):
            if (head.headers[i].name_length == 15 and not head.headers[i].mark & DROPPED
                    and same_name(head.data + head.headers[i].name, b"accept-encoding", 15)):
                head.headers[i].mark |= HEARD
        return CONTINUE

    cdef Verdict response(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef Coding coding
        cdef bytes name
        if head.status == 304:
            return CONTINUE if choose_coding(&x.request, self.codings, self.count) == IDENTITY or weaken(
                head) else out_of_memory(x)
        if not self.eligible(x):
            return CONTINUE
        # Also of what stays as it is: another client would get it compressed (RFC 9110 section 12.5.5).
        if add_vary(head, b"Accept-Encoding") < 0:
            return out_of_memory(x)
        coding = choose_coding(&x.request, self.codings, self.count)
        if coding == IDENTITY:
            return CONTINUE
        name = self.names[<int>coding]
        drop_lines(head, b"content-encoding")
        for field in CONTENT_FIELDS:
            drop_lines(head, field)
        if add_line(head, b"Content-Encoding", name, len(name)) < 0 or not weaken(head):
            return out_of_memory(x)
        return self.start(x, coding)

    cdef Verdict start(self, Exchange x, Coding coding) noexcept:
        cdef Compressing filter
        cdef bint streams = x.response.content_length < 0
        unframe(x)
        if is_method(x, b"HEAD", 4):
            return CONTINUE             # its head is that of a GET, but for the length
        filter = Compressing.__new__(Compressing)
        try:
            filter.code, filter.flush, filter.finish = self.makers[<int>coding]()
        except Exception:
            return out_of_memory(x)
        filter.flushes = streams
        install(x, filter)
        return CONTINUE

    cdef bint eligible(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef Header* line
        if (head.status < 200 or head.status in (204, 205, 206) or 0 <= head.content_length < self.min_size
                or not (head.has_body or is_method(x, b"HEAD", 4))):
            return False
        line = head_find(head, b"content-encoding", 16)
        if line is not NULL and not has_item(head, b"content-encoding", 16, b"identity", 8):
            return False
        if (head_find(head, b"content-range", 13) is not NULL
                or has_item(head, b"cache-control", 13, b"no-transform", 12)
                or has_item(&x.request, b"cache-control", 13, b"no-transform", 12)):
            return False
        line = head_known(head, CONTENT_TYPE)
        return line is not NULL and self.takes(head.data + line.value, line.value_length)

    cdef bint takes(self, const char* value, size_t n) noexcept:
        cdef Piece rest, part
        cdef bytes kind
        rest.data = value
        rest.n = n
        if not next_part(&rest, &part):
            return False
        kind = part.data[:part.n].lower()
        return kind in self.types or kind.startswith(self.kinds) or kind.endswith(self.suffixes)


# What says something of the bytes themselves, which are others now (RFC 9530; RFC 9110 section 14.3).
cdef tuple CONTENT_FIELDS = (
    b"accept-ranges", b"content-digest", b"content-md5", b"digest", b"repr-digest",
)


cdef bint weaken(Head* head) noexcept:
    """Other bytes of the same meaning share but a weak validator (RFC 9110 section 8.8.3.3)."""
    cdef Header* line = head_find(head, b"etag", 4)
    cdef bytes value
    if line is NULL or (line.value_length > 1 and head.data[line.value] == c"W"):
        return True
    value = b"W/" + (head.data + line.value)[:line.value_length]
    line.mark |= DROPPED
    return add_line(head, b"ETag", value, len(value)) == 0
