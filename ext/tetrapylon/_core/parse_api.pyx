"""The second backend: httptools' public API, where the first one's declarations don't fit its llhttp.

A message ends with a line's LF or at its Content-Length, so feeding one line at a time never runs past it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memchr

from tetrapylon._core.buffer cimport Head, Header, head_append, head_line, head_reset
from tetrapylon._core.message cimport (
    BODY, CHUNK_OVERHEAD, END, HEAD, HEAD_TOO_LARGE, MALFORMED, MORE, NAME_MAX, REQUEST_LINE, Backend, Event,
    Limits, Parser,
)

import httptools


cdef class ApiParser(Parser):
    cdef object parser
    cdef list events
    cdef object name
    cdef object value
    cdef object piece
    cdef uint64_t left              # of a body with a length
    cdef bint head_done
    cdef bint priming               # what is fed is a head of our own making
    cdef bytes first_line

    cdef void start(self, bint request) noexcept:
        self.request = request
        self.events = []
        self.first_line = b""
        self.renew()

    cdef void renew(self) noexcept:
        self.parser = (httptools.HttpRequestParser if self.request else httptools.HttpResponseParser)(self)

    cdef Event next(self, const char* data, size_t n) noexcept:
        cdef size_t slice_n
        cdef const char* newline
        cdef Event event
        cdef size_t fed = 0             # where the line begins that the events come from
        self.consumed = 0
        if not self.in_message and not self.events and n and (self.blank or data[0] in (c"\r", c"\n")):
            if self.skip_blank(data, n) != MORE:
                return MALFORMED
        while True:
            if self.events:
                return self.emit(data + fed)
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
                self.head_seen += <uint32_t>slice_n
                if self.head_seen > self.limits.head + self.limits.target + REQUEST_LINE:
                    return self.over_limits() or HEAD_TOO_LARGE
            if not self.head_done and not self.start_line:
                self.first_line += data[self.consumed:self.consumed + slice_n]
            event = self.feed(data + self.consumed, slice_n)
            fed = self.consumed
            self.consumed += slice_n
            if event == MORE and self.in_body and self.head.chunked:
                event = self.spend(slice_n, 0)
            if self.in_message and not self.start_line and self.first_line.endswith(b"\n"):
                self.start_line = self.head_seen
                if self.request and self.first_line.count(b" ") != 2:
                    self.refuse(b"more than one space in the request line")
                    return MALFORMED
                if not (b" HTTP/1." in self.first_line if self.request
                        else self.first_line.startswith(b"HTTP/1.")):
                    self.refuse(b"not HTTP")
                    return MALFORMED
            if event != MORE:
                return event

    cdef Event feed(self, const char* data, size_t n) noexcept:
        cdef uint32_t seen = self.head_seen
        self.piece = data[:n]
        try:
            self.parser.feed_data(self.piece)
        except httptools.HttpParserUpgrade:
            if self.head_done and self.head.has_body:
                self.go_on_with_body()
        except httptools.HttpParserError as error:
            if self.problem is NULL:
                self.name = str(error).encode()
                self.problem = PyBytes_AS_STRING(self.name)
            return self.over_limits() or MALFORMED
        if self.in_message and not self.head_done:
            self.head_seen = max(seen, self.head_seen)
            return self.over_limits()
        if self.has_trailers:
            return self.over_limits()
        return MORE

    cdef void go_on_with_body(self) noexcept:
        """httptools takes the offer of another protocol for the message's end: a parser that knows none reads on."""
        cdef Head* head = self.head
        self.events.pop()           # END
        self.renew()
        self.priming = True
        self.parser.feed_data(
            b"POST / HTTP/1.1\r\n"
            + (b"Transfer-Encoding: chunked" if head.chunked else b"Content-Length: %d" % head.content_length)
            + b"\r\n\r\n")
        self.priming = False

    cdef Event emit(self, const char* data) noexcept:
        cdef object event = self.events.pop(0)
        if event == HEAD:
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
        if event == END:
            if self.has_trailers:
                self.settle_trailers()
            self.head_done = False
            self.message_over()
            return END
        # A piece of a body stands at the start of what was fed: it is referred to where the caller has it,
        # who may send it later than the next event comes.
        self.body = data
        self.body_length = PyBytes_GET_SIZE(event)
        if self.head.chunked:
            self.overhead -= min(self.overhead, 3 * self.body_length + CHUNK_OVERHEAD)
        elif self.head.content_length >= 0:
            self.left -= self.body_length
        return BODY

    # httptools' callbacks; an exception here comes out of feed_data as HttpParserCallbackError.

    def on_message_begin(self):
        if self.priming:
            return
        self.begin()
        self.head_done = False
        self.first_line = self.first_line.lstrip(b"\r\n")

    def on_url(self, bytes url):
        if self.priming:
            return
        if not self.head.target_length:
            self.head.target = self.head.length
        self.keep(url)
        self.head.target_length += <uint32_t>len(url)

    def on_status(self, bytes reason):
        if not self.head.reason_length:
            self.head.reason = self.head.length
        self.keep(reason)
        self.head.reason_length += <uint32_t>len(reason)

    cdef int keep(self, bytes data) except -1:
        if head_append(self.trailers_or_head(), PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)) < 0:
            raise MemoryError
        return 0

    cdef Head* trailers_or_head(self) noexcept:
        return &self.trailers if self.head_done else self.head

    def on_header(self, bytes name, bytes value):
        if self.priming:
            return
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

    def on_headers_complete(self):
        if self.priming:
            return
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

    def on_body(self, bytes body):
        self.events.append(body)

    def on_message_complete(self):
        self.events.append(END)


cdef class ApiBackend(Backend):
    cdef Parser make(self, bint request, Limits limits):
        cdef ApiParser parser = ApiParser.__new__(ApiParser)
        parser.limits = limits
        parser.start(request)
        return parser
