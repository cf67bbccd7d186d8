"""The second backend: httptools' public API, where the first one's declarations don't fit its llhttp.

A message ends with a line's LF or at its Content-Length, so feeding one line at a time never runs past it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memchr

from tetrapylon._core.buffer cimport Head, Header, head_append, head_line, head_reset
from tetrapylon._core.http.message cimport (
    BODY, END, HEAD, HEAD_TOO_LARGE, MALFORMED, MORE, NAME_MAX, REQUEST_LINE, Backend, Event, Limits, Parser,
)

import httptools


cdef class ApiParser(Parser):
    cdef object parser
    cdef Callbacks callbacks
    cdef list events                # HEAD and END, as httptools told them; between them is `piece`
    cdef size_t piece               # bytes of the body, which no framing has interrupted yet
    cdef Event failed               # told once the events before it have been
    cdef bytes why
    cdef uint64_t left              # of a body with a length
    cdef bint head_done
    cdef bint sized                 # a chunk has begun of which no data came yet: of the last one, none will
    cdef bint priming               # what is fed is a head of our own making
    cdef bytes first_line

    def __dealloc__(self):
        if self.callbacks is not None:
            self.callbacks.parser = NULL

    cdef void start(self, bint request) noexcept:
        self.request = request
        self.events = []
        self.first_line = b""
        self.callbacks = Callbacks.__new__(Callbacks)
        self.callbacks.parser = <void*>self
        self.renew()

    cdef void renew(self) noexcept:
        kind = httptools.HttpRequestParser if self.request else httptools.HttpResponseParser
        self.parser = kind(self.callbacks)

    cdef Event next(self, const char* data, size_t n) noexcept:
        cdef size_t slice_n
        cdef size_t piece_at = 0
        self.consumed = 0
        if not self.in_message and not self.events and n and (self.blank or data[0] in (c"\r", c"\n")):
            if self.skip_blank(data, n) != MORE:
                return MALFORMED
        while True:
            # Lines are no borders of a body: a piece grows while nothing but data follows.
            if self.piece and (self.events or self.failed != MORE or self.consumed == n
                               or piece_at + self.piece != self.consumed):
                return self.emit_body(data + piece_at)
            if self.events:
                return self.emit()
            if self.failed != MORE:
                return self.failed
            if self.consumed == n:
                return self.over_limits() if self.in_message and not self.in_body else MORE
            if not self.piece:
                piece_at = self.consumed
            slice_n = self.slice(data + self.consumed, n - self.consumed)
            self.consumed += slice_n
            self.failed = self.feed(data + self.consumed - slice_n, slice_n)

    cdef size_t slice(self, const char* data, size_t n) noexcept:
        """How much may be fed without running past the message."""
        cdef const char* newline
        if self.in_body and self.head.content_length >= 0 and not self.head.chunked:
            return min(n, <size_t>self.left)
        if self.to_eof:
            return n
        newline = <const char*>memchr(data, b'\n', n)
        return n if newline is NULL else newline + 1 - data

    cdef Event feed(self, const char* data, size_t n) noexcept:
        cdef Event event
        cdef bint sized = self.sized
        cdef size_t content, told = self.piece
        cdef uint32_t seen
        if not self.head_done:
            if not self.start_line:
                self.first_line += data[:n]
            self.head_seen += <uint32_t>n
        seen = self.head_seen
        try:
            self.parser.feed_data(data[:n])
        except httptools.HttpParserUpgrade:
            if self.head_done and self.head.has_body:
                self.go_on_with_body()
        except httptools.HttpParserError as error:
            if self.problem is NULL:
                self.why = str(error).encode()
                self.problem = PyBytes_AS_STRING(self.why)
            return self.over_limits() or (MALFORMED if self.head_done else self.blame(self.first_line))
        if self.in_body:
            if not self.head.chunked:
                return MORE
            content = self.piece - told
            event = self.spend(n - content, content)
            if event != MORE:
                return HEAD_TOO_LARGE if sized and self.sized else event
            return self.over_limits() if self.has_trailers else MORE
        if not self.in_message:
            return MORE
        if not self.head_done:
            self.head_seen = max(seen, self.head_seen)
        if not self.start_line and self.first_line.endswith(b"\n"):
            self.start_line = self.head_seen
            if self.request and self.first_line.count(b" ") != 2:
                self.refuse(b"more than one space in the request line")
                return MALFORMED
            if not (b" HTTP/1." in self.first_line if self.request
                    else self.first_line.startswith(b"HTTP/1.")):
                self.refuse(b"not HTTP")
                return self.blame(self.first_line)
        if self.head_done:
            return MORE             # the limits hold when it is told
        if self.head_seen > self.limits.head + self.limits.target + REQUEST_LINE:
            return self.over_limits() or HEAD_TOO_LARGE
        return self.over_limits()

    cdef void go_on_with_body(self) noexcept:
        """httptools takes the offer of another protocol for the message's end: another parser reads on."""
        cdef Head* head = self.head
        self.events.pop()           # END
        self.renew()
        self.priming = True
        self.parser.feed_data(
            b"POST / HTTP/1.1\r\n"
            + (b"Transfer-Encoding: chunked" if head.chunked else b"Content-Length: %d" % head.content_length)
            + b"\r\n\r\n")
        self.priming = False

    cdef Event emit(self) noexcept:
        if self.events.pop(0) == HEAD:
            if self.over_limits() != MORE:
                return self.over_limits()
            self.first_line = b""
            if not self.head.has_body:
                self.ended = True
                self.events.clear()
                self.head_done = False
                if self.no_body or not self.request and self.head.status != 101:
                    self.renew()    # there is no other way to say that no body follows
                self.message_over()
            else:
                self.in_body = True
                self.left = max(0, self.head.content_length)
            return HEAD
        if self.has_trailers:
            if self.over_limits() != MORE:
                return self.over_limits()   # httptools tells the last line with the end
            self.settle_trailers()
        self.head_done = False
        self.message_over()
        return END

    cdef Event emit_body(self, const char* data) noexcept:
        # Referred to where the caller has it, who may send it later than the next event comes.
        self.body = data
        self.body_length = self.piece
        self.piece = 0
        if not self.head.chunked and self.head.content_length >= 0:
            self.left -= self.body_length
        return BODY

    # What the callbacks bring; an exception here comes out of feed_data as HttpParserCallbackError.

    cdef int on_begin(self) except -1:
        if self.priming:
            return 0
        self.begin()
        self.head_done = False
        self.first_line = self.first_line.lstrip(b"\r\n")
        return 0

    cdef int on_url(self, bytes url) except -1:
        if self.priming:
            return 0
        if not self.head.target_length:
            self.head.target = self.head.length
        self.keep(url)
        self.head.target_length += <uint32_t>len(url)
        return 0

    cdef int on_status(self, bytes reason) except -1:
        if not self.head.reason_length:
            self.head.reason = self.head.length
        self.keep(reason)
        self.head.reason_length += <uint32_t>len(reason)
        return 0

    cdef int keep(self, bytes data) except -1:
        if head_append(self.trailers_or_head(), PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)) < 0:
            raise MemoryError
        return 0

    cdef Head* trailers_or_head(self) noexcept:
        return &self.trailers if self.head_done else self.head

    cdef int on_header(self, bytes name, bytes value) except -1:
        if self.priming:
            return 0
        cdef Head* head = self.trailers_or_head()
        cdef Header* line
        if self.head_done and not self.has_trailers:
            self.has_trailers = True
            head_reset(head)
        if len(name) > NAME_MAX:
            raise ValueError("field name too long")
        line = head_line(head)
        if line is NULL:
            raise MemoryError
        line.name = head.length
        line.name_length = <uint16_t>len(name)
        self.keep(name)
        line.value = head.length
        line.value_length = <uint32_t>len(value or b"")
        self.keep(value or b"")
        return 0

    cdef int on_headers_complete(self) except -1:
        if self.priming:
            return 0
        cdef Head* head = self.head
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self.refuse(b"not HTTP/1.0 or HTTP/1.1")
            raise ValueError(version)
        head.minor = version == "1.1"
        if self.request:
            method = self.parser.get_method()
            head.method = head.length
            head.method_length = <uint32_t>len(method)
            self.keep(method)
        else:
            head.status = self.parser.get_status_code()
        if self.settle() < 0:
            raise ValueError("framing")
        self.head_done = True
        self.events.append(HEAD)
        return 0

    cdef int on_chunk_header(self) except -1:
        self.sized = True
        return 0

    cdef int on_body(self, bytes body) except -1:
        self.sized = False
        self.piece += PyBytes_GET_SIZE(body)
        return 0

    cdef int on_message_complete(self) except -1:
        self.sized = False
        self.events.append(END)
        return 0


cdef class Callbacks:
    # Between httptools' parser and ours, which owns it: so that they are no ring for the garbage collector.
    cdef void* parser               # NULL: the owner is gone

    def on_message_begin(self):
        (<ApiParser>self.parser).on_begin()

    def on_url(self, bytes url):
        (<ApiParser>self.parser).on_url(url)

    def on_status(self, bytes reason):
        (<ApiParser>self.parser).on_status(reason)

    def on_header(self, bytes name, bytes value):
        (<ApiParser>self.parser).on_header(name, value)

    def on_headers_complete(self):
        (<ApiParser>self.parser).on_headers_complete()

    def on_chunk_header(self):
        (<ApiParser>self.parser).on_chunk_header()

    def on_body(self, bytes body):
        (<ApiParser>self.parser).on_body(body)

    def on_message_complete(self):
        (<ApiParser>self.parser).on_message_complete()


cdef class ApiBackend(Backend):
    cdef Parser make(self, bint request, Limits limits):
        cdef ApiParser parser = ApiParser.__new__(ApiParser)
        parser.limits = limits
        parser.start(request)
        return parser
