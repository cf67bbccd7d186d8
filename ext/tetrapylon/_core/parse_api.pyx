"""The second backend: httptools' public API, where the first one's declarations don't fit its llhttp.

A message ends with a line's LF or at its Content-Length, so feeding one line at a time never runs past it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memchr

from tetrapylon._core.buffer cimport Head, Header, head_append, head_line, head_reset
from tetrapylon._core.message cimport (
    BODY, END, HEAD, HEAD_TOO_LARGE, MALFORMED, MORE, NAME_MAX, REQUEST_LINE, Backend, Event, Limits, Parser,
)

import httptools


cdef class ApiParser(Parser):
    cdef object parser
    cdef Callbacks callbacks
    cdef list events
    cdef Event failed               # told once the events before it have been
    cdef bytes body_piece
    cdef bytes why
    cdef uint64_t left              # of a body with a length
    cdef bint head_done
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
        cdef const char* newline
        cdef Event event
        self.consumed = 0
        while True:
            if self.events and not (self.in_chunks() and self.consumed < n):
                return self.emit()
            if self.failed != MORE:
                return self.failed
            if self.consumed == n:
                return self.over_limits() if self.in_message and not self.in_body else MORE
            slice_n = n - self.consumed
            if self.in_body and self.head.content_length >= 0 and not self.head.chunked:
                slice_n = min(slice_n, <size_t>self.left)
            elif not self.to_eof:
                newline = <const char*>memchr(data + self.consumed, b'\n', slice_n)
                if newline is not NULL:
                    slice_n = newline + 1 - (data + self.consumed)
            if not self.head_done:
                if not self.start_line:
                    self.first_line += data[self.consumed:self.consumed + slice_n]
                self.head_seen += <uint32_t>slice_n
            elif self.head.chunked:
                self.head_seen += <uint32_t>slice_n     # of framing and trailers; any data starts it anew
            event = self.feed(data + self.consumed, slice_n)
            self.consumed += slice_n
            if self.in_message and not self.start_line and self.first_line.endswith(b"\n"):
                self.start_line = self.head_seen
                if self.request and self.first_line.count(b" ") != 2:
                    self.refuse(b"more than one space in the request line")
                    return MALFORMED
            if event == MORE and self.head_seen > self.limits.head + self.most_before_fields():
                event = self.over_limits() or HEAD_TOO_LARGE
            if event != MORE:
                if not self.in_chunks():
                    return event
                self.failed = event     # behind a piece of the body
                return self.emit()

    cdef bint in_chunks(self) noexcept:
        """Whether a piece of a chunked body waits to be told, and what follows may belong to it."""
        cdef Py_ssize_t count = len(self.events)
        return self.in_body and self.head.chunked and count and type(self.events[count - 1]) is bytes

    cdef uint32_t most_before_fields(self) noexcept:
        return 0 if self.head_done else self.limits.target + REQUEST_LINE

    cdef Event feed(self, const char* data, size_t n) noexcept:
        cdef uint32_t seen = self.head_seen
        try:
            self.parser.feed_data(data[:n])
        except httptools.HttpParserUpgrade:
            pass                    # raised at the head's last byte; what follows is not fed
        except httptools.HttpParserError as error:
            if self.problem is NULL:
                self.why = str(error).encode()
                self.problem = PyBytes_AS_STRING(self.why)
            return self.over_limits() or MALFORMED
        if self.in_message and not self.head_done:
            self.head_seen = max(seen, self.head_seen)
            return self.over_limits()
        if self.has_trailers:
            return self.over_limits()
        return MORE

    cdef Event emit(self) noexcept:
        cdef object event = self.events[0]
        if type(event) is bytes:
            return self.emit_body()
        self.events.pop(0)
        if event == HEAD:
            if self.over_limits() != MORE:
                return self.over_limits()
            self.first_line = b""
            self.head_seen = 0
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
        self.head_done = False
        self.message_over()
        return END

    cdef Event emit_body(self) noexcept:
        """Neighbouring pieces as one: lines are no borders of a body."""
        cdef Py_ssize_t count = 1
        while count < len(self.events) and type(self.events[count]) is bytes:
            count += 1
        self.body_piece = self.events[0] if count == 1 else b"".join(self.events[:count])
        del self.events[:count]
        self.body = PyBytes_AS_STRING(self.body_piece)      # kept alive until the next piece
        self.body_length = PyBytes_GET_SIZE(self.body_piece)
        if not self.head.chunked and self.head.content_length >= 0:
            self.left -= self.body_length
        return BODY

    # What the callbacks bring; an exception here comes out of feed_data as HttpParserCallbackError.

    cdef int on_begin(self) except -1:
        self.begin()
        self.head_done = False
        self.first_line = self.first_line.lstrip(b"\r\n")
        return 0

    cdef int on_url(self, bytes url) except -1:
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

    cdef int on_body(self, bytes body) except -1:
        self.head_seen = 0
        self.events.append(body)
        return 0

    cdef int on_message_complete(self) except -1:
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
