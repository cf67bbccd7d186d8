"""Bytes to events. The only room that knows llhttp and httptools."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memset

from tetrapylon._core.buffer cimport (
    CONNECTION, CONTENT_LENGTH, EXPECT, HOP, HOST, KEEP_ALIVE, NAMED, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, Head,
    Header, head_append, head_free, head_line, head_reset, known_name, same_name,
)

import importlib

import httptools

cdef extern from "<dlfcn.h>" nogil:
    cdef enum:
        RTLD_NOW
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)

cdef extern from "llhttp_abi.h":
    cdef enum:
        TP_ON_URL
        TP_ON_STATUS
        TP_ON_METHOD
        TP_ON_VERSION
        TP_ON_HEADER_FIELD
        TP_ON_HEADER_VALUE
        TP_ON_HEADERS_COMPLETE
        TP_ON_BODY
        TP_ON_MESSAGE_COMPLETE
        TP_SETTINGS
        TP_REQUEST
        TP_RESPONSE
        TP_OK
        TP_PAUSED
        TP_PAUSED_UPGRADE

cdef enum:
    NAME_MAX = 65535
    REQUEST_LINE = 32       # a method, HTTP/1.1 and the separators


cdef class Limits:
    def __init__(self, *, uint32_t head=32768, uint32_t headers=100, uint32_t target=8192):
        self.head = head
        self.headers = headers
        self.target = target


cdef class Parser:
    def __dealloc__(self):
        head_free(&self.trailers)

    cdef Event next(self, const char* data, size_t n) noexcept:
        return MALFORMED

    cdef Event eof(self) noexcept:
        """What the end of input means here: END, TRUNCATED, or MORE between messages."""
        if self.in_body and self.to_eof:
            self.message_over()
            return END
        return TRUNCATED if self.in_message else MORE

    cdef void message_over(self) noexcept:
        self.in_message = False
        self.in_body = False
        self.to_eof = False
        self.head_seen = 0
        self.start_line = 0

    cdef void begin(self) noexcept:
        self.in_message = True
        self.problem = NULL
        self.ended = False
        self.has_trailers = False
        self.head_seen = 0
        self.start_line = 0
        head_reset(self.head)

    cdef uint32_t room(self) noexcept:
        """Bytes that the head may have as far as it is known: its fields within the limit, behind a start line."""
        return self.limits.head + (self.start_line or self.head.target_length + REQUEST_LINE)

    cdef Event over_limits(self) noexcept:
        """The event that refuses the head as far as it has come, or MORE."""
        if self.head.target_length > self.limits.target:
            return TARGET_TOO_LONG
        if self.head_seen > self.room() or self.head.count > self.limits.headers:
            return HEAD_TOO_LARGE
        if self.has_trailers and self.trailers.count > self.limits.headers:
            return HEAD_TOO_LARGE
        return MORE

    cdef int refuse(self, const char* why) noexcept:
        self.problem = why
        return -1

    cdef int settle(self) noexcept:
        cdef Head* head = self.head
        cdef Header* line
        cdef const char* value
        cdef uint32_t i
        cdef bint close = False, keep = False, names_upgrade = False, has_upgrade = False
        for i in range(head.count):
            line = &head.headers[i]
            value = head.data + line.value
            while line.value_length and value[line.value_length - 1] in (c' ', c'\t'):
                line.value_length -= 1
            line.known = known_name(head.data + line.name, line.name_length)
            if line.known == NAMED:
                continue
            if line.known == CONTENT_LENGTH:
                if self.read_length(value, line.value_length) < 0:
                    return -1
            elif line.known == TRANSFER_ENCODING:
                # RFC 9112 section 6.1: only a lone, final `chunked` leaves no room for two readings.
                if head.minor == 0 or head.chunked or line.value_length != 7 or not same_name(value, b"chunked", 7):
                    return self.refuse(b"Transfer-Encoding is not a lone chunked of HTTP/1.1")
                head.chunked = True
                line.mark = HOP
            elif line.known == CONNECTION:
                line.mark = HOP
                self.read_connection(head, line, &close, &keep, &names_upgrade)
            elif line.known in (KEEP_ALIVE, PROXY_CONNECTION, TE):
                line.mark = HOP
            elif line.known == UPGRADE:
                line.mark = HOP
                has_upgrade = line.value_length > 0
            elif line.known == EXPECT:
                head.expect_continue = (
                    head.minor > 0 and line.value_length == 12 and same_name(value, b"100-continue", 12)
                )
        if head.chunked and head.content_length >= 0:
            return self.refuse(b"both Content-Length and Transfer-Encoding")
        head.keep_alive = not close and (head.minor > 0 or keep)
        head.upgrade = names_upgrade and has_upgrade and head.minor > 0
        if self.request:
            head.has_body = head.chunked or head.content_length > 0
        elif self.no_body or head.status < 200 or head.status == 204 or head.status == 304:
            head.has_body = False
        else:
            head.has_body = head.chunked or head.content_length != 0
            self.to_eof = not head.chunked and head.content_length < 0
            if self.to_eof:
                head.keep_alive = False
        return 0

    cdef int read_length(self, const char* value, uint32_t n) noexcept:
        cdef int64_t length = 0
        cdef uint32_t i
        if self.head.content_length >= 0 or n == 0 or n > 18:
            return self.refuse(b"Content-Length is repeated, empty or too long")
        for i in range(n):
            if not c'0' <= value[i] <= c'9':
                return self.refuse(b"Content-Length is not a number")
            length = length * 10 + (value[i] - c'0')
        self.head.content_length = length
        return 0

    cdef void read_connection(self, Head* head, Header* line, bint* close, bint* keep, bint* upgrade) noexcept:
        """RFC 9110 section 7.6.1: options for this hop, and the names of fields that are for this hop alone."""
        cdef const char* value = head.data + line.value
        cdef uint32_t end = line.value_length
        cdef uint32_t start = 0, stop, n, i
        while start < end:
            stop = start
            while stop < end and value[stop] != c',':
                stop += 1
            i = stop + 1
            while start < stop and value[start] in (c' ', c'\t'):
                start += 1
            while stop > start and value[stop - 1] in (c' ', c'\t'):
                stop -= 1
            n = stop - start
            if n == 5 and same_name(value + start, b"close", 5):
                close[0] = True
            elif n == 10 and same_name(value + start, b"keep-alive", 10):
                keep[0] = True
            elif n == 7 and same_name(value + start, b"upgrade", 7):
                upgrade[0] = True
            elif n:
                hide_named(head, value + start, n)
            start = i


cdef void hide_named(Head* head, const char* name, uint32_t n) noexcept:
    cdef uint32_t i, j
    cdef Header* line
    cdef const char* other
    for i in range(head.count):
        line = &head.headers[i]
        if line.name_length != n:
            continue
        other = head.data + line.name
        j = 0
        while j < n and (name[j] | 0x20) == (other[j] | 0x20):
            j += 1
        # Framing and Host belong to the message, whatever Connection says.
        if j == n and known_name(other, n) not in (CONTENT_LENGTH, HOST):
            line.mark |= HOP


# The first backend: llhttp itself, by its C callbacks.

cdef struct Llhttp:
    void (*init)(tp_llhttp*, int, const tp_settings*) noexcept
    int (*execute)(tp_llhttp*, const char*, size_t) noexcept
    void (*resume)(tp_llhttp*) noexcept
    void (*resume_after_upgrade)(tp_llhttp*) noexcept
    const char* (*error_pos)(const tp_llhttp*) noexcept
    const char* (*error_reason)(const tp_llhttp*) noexcept
    uint8_t (*major)(tp_llhttp*) noexcept
    uint8_t (*minor)(tp_llhttp*) noexcept
    int (*status)(tp_llhttp*) noexcept

cdef Llhttp llhttp
cdef tp_settings settings
cdef bint llhttp_fits = False


cdef enum Field:
    NO_FIELD
    NAME
    VALUE


cdef class LlhttpParser(Parser):
    cdef tp_llhttp raw
    cdef const char* base           # where the bytes being parsed begin
    cdef uint32_t base_offset       # their offset in the message's head
    cdef uint32_t version           # where the request line's version number stands; 0: not seen yet
    cdef uint32_t kept              # how much of the head is in `head.data`
    cdef const char* span_end
    cdef Field field
    cdef bint paused
    cdef bint head_done
    cdef Event stopped              # why a callback stopped the parse

    cdef void start(self, bint request) noexcept:
        self.request = request
        llhttp.init(&self.raw, TP_REQUEST if request else TP_RESPONSE, &settings)
        self.raw.data = <void*>self

    cdef Event next(self, const char* data, size_t n) noexcept:
        cdef int code = TP_OK
        cdef Event event
        cdef size_t done = 0
        self.consumed = 0
        if self.head_done and not self.in_body:
            # HEAD was reported without its END: a body follows.
            self.in_body = True
        if n == 0 and not self.paused:
            return MORE
        self.stopped = MORE
        while True:
            if self.paused:
                llhttp.resume(&self.raw)
                self.paused = False
            self.base = data + done
            self.span_end = self.base
            self.base_offset = self.kept
            code = llhttp.execute(&self.raw, data + done, n - done)
            if code == TP_PAUSED_UPGRADE:
                # Another protocol was offered; until it is accepted, HTTP goes on behind this message.
                done = llhttp.error_pos(&self.raw) - data
                llhttp.resume_after_upgrade(&self.raw)
                if done < n:
                    continue
                self.consumed = n
                return MORE
            break
        if code == TP_OK:
            self.consumed = n
            if self.in_message and not self.head_done:
                return self.keep_partial(n - done)
            if self.in_message and self.has_trailers:
                return self.over_limits()
            return MORE
        if code == TP_PAUSED:
            self.paused = True
            self.consumed = llhttp.error_pos(&self.raw) - data
            event = self.stopped
            if event == HEAD:
                self.head_seen += <uint32_t>(self.consumed - done)
                if self.over_limits() != MORE:
                    return self.over_limits()
                if self.ended:
                    self.head_done = False
                    self.kept = 0
                    self.message_over()
            elif event == END:
                self.head_done = False
                self.kept = 0
                self.message_over()
            return event
        if self.stopped != MORE:
            return self.stopped
        if self.in_message and not self.head_done and self.over_limits() != MORE:
            return self.over_limits()
        if self.problem is NULL:
            self.problem = llhttp.error_reason(&self.raw)
        return MALFORMED

    cdef Event keep_partial(self, size_t n) noexcept:
        """The bytes end inside a head: copy what there is of it."""
        if self.kept + n > self.room():
            self.head_seen = self.room() + 1
            return self.over_limits()
        if head_append(self.head, self.base, n) < 0:
            return HEAD_TOO_LARGE
        self.kept += <uint32_t>n
        self.head_seen = self.kept
        return self.over_limits()

    cdef uint32_t offset(self, const char* at) noexcept:
        return self.base_offset + <uint32_t>(at - self.base)

    cdef int on_begin(self) noexcept:
        if not self.in_message:
            self.begin()
            self.field = NO_FIELD
            self.version = 0
            # Offsets count from here: what precedes (blank lines, the message before) is not kept.
        return 0

    cdef int on_field(self, Head* head, const char* at, size_t n) noexcept:
        cdef Header* line
        if self.field != NAME:
            if head.count > self.limits.headers:
                self.stopped = HEAD_TOO_LARGE
                return -1
            line = head_line(head)
            if line is NULL:
                self.stopped = HEAD_TOO_LARGE
                return -1
            line.name = self.offset(at)
            if not self.start_line:
                self.start_line = line.name
            self.field = NAME
        else:
            line = &head.headers[head.count - 1]
        if line.name_length + n > NAME_MAX:
            self.stopped = HEAD_TOO_LARGE
            return -1
        line.name_length += <uint16_t>n
        self.span_end = at + n
        return 0

    cdef int on_value(self, Head* head, const char* at, size_t n) noexcept:
        cdef Header* line = &head.headers[head.count - 1]
        if self.field != VALUE:
            line.value = self.offset(at)
            self.field = VALUE
        line.value_length += <uint32_t>n
        self.span_end = at + n
        return 0

    cdef int on_trailer(self, bint name, const char* at, size_t n) noexcept:
        """Trailers are few: their bytes are copied as they come."""
        cdef Head* trailers = &self.trailers
        cdef Header* line
        if not self.has_trailers:
            self.has_trailers = True
            head_reset(trailers)
            self.head_seen = 0
            self.field = NO_FIELD
        self.head_seen += <uint32_t>n
        if self.head_seen > self.limits.head or trailers.count > self.limits.headers:
            self.stopped = HEAD_TOO_LARGE
            return -1
        if name:
            line = head_line(trailers) if self.field != NAME else &trailers.headers[trailers.count - 1]
            if line is NULL:
                self.stopped = HEAD_TOO_LARGE
                return -1
            if self.field != NAME:
                line.name = trailers.length
            line.name_length += <uint16_t>n
            self.field = NAME
        else:
            line = &trailers.headers[trailers.count - 1]
            if self.field != VALUE:
                line.value = trailers.length
            line.value_length += <uint32_t>n
            self.field = VALUE
        if head_append(trailers, at, n) < 0:
            self.stopped = HEAD_TOO_LARGE
            return -1
        return 0

    cdef int on_headers_complete(self) noexcept:
        cdef Head* head = self.head
        cdef size_t n = self.span_end - self.base
        if self.kept + n > self.room():
            self.stopped = HEAD_TOO_LARGE
            return -1
        if head_append(head, self.base, n) < 0:
            self.stopped = HEAD_TOO_LARGE
            return -1
        head.minor = llhttp.minor(&self.raw)
        if llhttp.major(&self.raw) != 1 or head.minor > 1:
            self.refuse(b"not HTTP/1.0 or HTTP/1.1")
            return -1
        if not self.request:
            head.status = <uint16_t>llhttp.status(&self.raw)
        if self.request and (head.target != head.method + head.method_length + 1
                             or self.version != head.target + head.target_length + 6):
            # RFC 9112 section 3 has single spaces; llhttp takes more.
            self.refuse(b"more than one space in the request line")
            return -1
        if self.settle() < 0:
            return -1
        self.head_done = True
        self.stopped = HEAD
        if head.has_body:
            return TP_PAUSED
        return 1 if not self.request and head.status != 101 else 0

    cdef int on_body(self, const char* at, size_t n) noexcept:
        if not self.in_body:
            self.refuse(b"a body where none may be")
            return -1
        if n == 0:
            return 0
        self.body = at
        self.body_length = n
        self.stopped = BODY
        return TP_PAUSED

    cdef int on_message_complete(self) noexcept:
        if self.stopped == HEAD:
            self.ended = True
        else:
            self.stopped = END
        return TP_PAUSED


# The bridge from C: nothing here raises; a refusal is noted on the parser and a code stops llhttp.

cdef int cb_begin(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_begin()


cdef int cb_method(tp_llhttp* raw, const char* at, size_t n) noexcept:
    cdef LlhttpParser parser = <LlhttpParser>raw.data
    if not parser.head.method_length:
        parser.head.method = parser.offset(at)
    parser.head.method_length += <uint32_t>n
    parser.span_end = at + n
    return 0


cdef int cb_url(tp_llhttp* raw, const char* at, size_t n) noexcept:
    cdef LlhttpParser parser = <LlhttpParser>raw.data
    if not parser.head.target_length:
        parser.head.target = parser.offset(at)
    parser.head.target_length += <uint32_t>n
    parser.span_end = at + n
    return 0


cdef int cb_version(tp_llhttp* raw, const char* at, size_t n) noexcept:
    cdef LlhttpParser parser = <LlhttpParser>raw.data
    if not parser.version:
        parser.version = parser.offset(at)
    parser.span_end = at + n
    return 0


cdef int cb_status(tp_llhttp* raw, const char* at, size_t n) noexcept:
    cdef LlhttpParser parser = <LlhttpParser>raw.data
    if not parser.head.reason_length:
        parser.head.reason = parser.offset(at)
    parser.head.reason_length += <uint32_t>n
    parser.span_end = at + n
    return 0


cdef int cb_field(tp_llhttp* raw, const char* at, size_t n) noexcept:
    cdef LlhttpParser parser = <LlhttpParser>raw.data
    if parser.head_done:
        return parser.on_trailer(True, at, n)
    return parser.on_field(parser.head, at, n)


cdef int cb_value(tp_llhttp* raw, const char* at, size_t n) noexcept:
    cdef LlhttpParser parser = <LlhttpParser>raw.data
    if parser.head_done:
        return parser.on_trailer(False, at, n)
    return parser.on_value(parser.head, at, n)


cdef int cb_headers_complete(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_headers_complete()


cdef int cb_body(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_body(at, n)


cdef int cb_message_complete(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_message_complete()


# The second backend: httptools' public API, for an httptools whose llhttp the declarations above don't fit. A message
# ends with a line's LF or at its Content-Length, so feeding one line at a time never runs past its end.

cdef class ApiParser(Parser):
    cdef object parser
    cdef list events
    cdef object name
    cdef object value
    cdef object piece
    cdef uint64_t left              # of a body with a length
    cdef bint head_done
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
        self.consumed = 0
        while True:
            if self.events:
                return self.emit(data)
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
            self.consumed += slice_n
            if self.in_message and not self.start_line and self.first_line.endswith(b"\n"):
                self.start_line = self.head_seen
                if self.request and self.first_line.count(b" ") != 2:
                    self.refuse(b"more than one space in the request line")
                    return MALFORMED
            if event != MORE:
                return event

    cdef Event feed(self, const char* data, size_t n) noexcept:
        cdef uint32_t seen = self.head_seen
        self.piece = data[:n]
        try:
            self.parser.feed_data(self.piece)
        except httptools.HttpParserUpgrade:
            pass                    # raised at the head's last byte; what follows is not fed
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
            self.head_done = False
            self.message_over()
            return END
        self.name = event           # kept alive until the next call
        self.body = PyBytes_AS_STRING(event)
        self.body_length = PyBytes_GET_SIZE(event)
        if not self.head.chunked and self.head.content_length >= 0:
            self.left -= self.body_length
        return BODY

    # httptools' callbacks; an exception here comes out of feed_data as HttpParserCallbackError.

    def on_message_begin(self):
        self.begin()
        self.head_done = False
        self.first_line = self.first_line.lstrip(b"\r\n")

    def on_url(self, bytes url):
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


# Choice of the backend.

cdef bytes PROBE = (
    b"POST /a?b HTTP/1.1\r\nHost: h\r\nA: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nT: v\r\n\r\n"
)
cdef list probe_seen = []


cdef int probe_url(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("url", at - <const char*>raw.data, n))
    return 0


cdef int probe_method(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("method", at - <const char*>raw.data, n))
    return 0


cdef int probe_version(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("version", at - <const char*>raw.data, n))
    return 0


cdef int probe_field(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("field", at - <const char*>raw.data, n))
    return 0


cdef int probe_value(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("value", at - <const char*>raw.data, n))
    return 0


cdef int probe_headers(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("headers", llhttp.major(raw), llhttp.minor(raw)))
    return TP_PAUSED


cdef int probe_body(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("body", at - <const char*>raw.data, n))
    return TP_PAUSED


cdef int probe_complete(tp_llhttp* raw, const char* at, size_t n) noexcept:
    probe_seen.append(("complete",))
    return TP_PAUSED


cdef str load_llhttp():
    """Find llhttp inside httptools and hold it against the declarations; the reason when it doesn't fit, or None.

    The probes look at no byte that llhttp points to, so a table with other positions is found out safely.
    """
    cdef tp_settings probe
    cdef tp_llhttp raw
    cdef const char* text = <const char*>PROBE
    cdef size_t n = len(PROBE)
    cdef size_t at = 0
    cdef int code = TP_PAUSED
    cdef void* library
    module = importlib.import_module("httptools.parser.parser")
    library = dlopen(module.__file__.encode(), RTLD_NOW)
    if library is NULL:
        return "cannot be opened"
    llhttp.init = <void (*)(tp_llhttp*, int, const tp_settings*) noexcept>dlsym(library, b"llhttp_init")
    llhttp.execute = <int (*)(tp_llhttp*, const char*, size_t) noexcept>dlsym(library, b"llhttp_execute")
    llhttp.resume = <void (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_resume")
    llhttp.resume_after_upgrade = <void (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_resume_after_upgrade")
    llhttp.error_pos = <const char* (*)(const tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_error_pos")
    llhttp.error_reason = <const char* (*)(const tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_error_reason")
    llhttp.major = <uint8_t (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_http_major")
    llhttp.minor = <uint8_t (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_http_minor")
    llhttp.status = <int (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_status_code")
    if (llhttp.init is NULL or llhttp.execute is NULL or llhttp.resume is NULL or llhttp.resume_after_upgrade is NULL
            or llhttp.error_pos is NULL or llhttp.error_reason is NULL or llhttp.major is NULL or llhttp.minor is NULL
            or llhttp.status is NULL):
        return "does not export llhttp"
    memset(&probe, 0, sizeof(probe))
    probe.callbacks[TP_ON_URL] = probe_url
    probe.callbacks[TP_ON_METHOD] = probe_method
    probe.callbacks[TP_ON_VERSION] = probe_version
    probe.callbacks[TP_ON_HEADER_FIELD] = probe_field
    probe.callbacks[TP_ON_HEADER_VALUE] = probe_value
    probe.callbacks[TP_ON_HEADERS_COMPLETE] = probe_headers
    probe.callbacks[TP_ON_BODY] = probe_body
    probe.callbacks[TP_ON_MESSAGE_COMPLETE] = probe_complete
    llhttp.init(&raw, TP_REQUEST, &probe)
    raw.data = <void*>text
    probe_seen.clear()
    while code == TP_PAUSED and len(probe_seen) < 32:
        code = llhttp.execute(&raw, text + at, n - at)
        if code == TP_PAUSED:
            at = llhttp.error_pos(&raw) - text
            if at > n:
                return "says an impossible position"
            probe_seen.append(at)
            llhttp.resume(&raw)
    head_n = PROBE.index(b"3\r\n")
    body_n = PROBE.index(b"xyz") + 3
    expected = [
        ("method", 0, 4), ("url", 5, 4), ("version", 15, 3), ("field", 20, 4), ("value", 26, 1), ("field", 29, 1), ("value", 32, 1),
        ("field", 35, 17), ("value", 54, 7), ("headers", 1, 1), head_n, ("body", body_n - 3, 3), body_n,
        ("field", n - 8, 1), ("value", n - 5, 1), ("complete",), n,
    ]
    seen = list(probe_seen)
    probe_seen.clear()
    if code != TP_OK or seen != expected:
        return f"calls back otherwise than expected: {seen}"
    return None


cdef Parser checked(Parser parser):
    """One canned message through the parser itself."""
    cdef Head head
    cdef const char* text
    cdef Event event
    canned = (
        b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" if parser.request else b"HTTP/1.1 204 No\r\nA: b\r\n\r\n"
    )
    memset(&head, 0, sizeof(head))
    parser.head = &head
    text = canned
    event = parser.next(text, len(canned))
    try:
        if event != HEAD or not parser.ended or parser.consumed != <size_t>len(canned) or head.count != 1 or (
            head.target_length != 2 if parser.request else head.status != 204
        ):
            raise RuntimeError("the parser fails its own test")
    finally:
        head_free(&head)
        parser.head = NULL
    return parser


cdef bint use_llhttp = False


cdef Parser request_parser(Limits limits):
    return _make(True, limits)


cdef Parser response_parser(Limits limits):
    return _make(False, limits)


cdef Parser _make(bint request, Limits limits):
    cdef LlhttpParser fast
    cdef ApiParser slow
    if use_llhttp:
        fast = LlhttpParser.__new__(LlhttpParser)
        fast.limits = limits
        fast.start(request)
        return fast
    slow = ApiParser.__new__(ApiParser)
    slow.limits = limits
    slow.start(request)
    return slow


def backend():
    return "llhttp" if use_llhttp else "httptools"


def use_backend(str name not None):
    global use_llhttp
    if name == "llhttp" and misfit is not None:
        raise RuntimeError(f"httptools' llhttp {misfit}")
    if name not in ("llhttp", "httptools"):
        raise ValueError(f"no parser backend {name!r}; there are llhttp and httptools")
    use_llhttp = name == "llhttp"


settings.callbacks[TP_ON_URL] = cb_url
settings.callbacks[TP_ON_STATUS] = cb_status
settings.callbacks[TP_ON_METHOD] = cb_method
settings.callbacks[TP_ON_VERSION] = cb_version
settings.callbacks[TP_ON_HEADER_FIELD] = cb_field
settings.callbacks[TP_ON_HEADER_VALUE] = cb_value
settings.callbacks[TP_ON_HEADERS_COMPLETE] = cb_headers_complete
settings.callbacks[TP_ON_BODY] = cb_body
settings.callbacks[TP_ON_MESSAGE_COMPLETE] = cb_message_complete
settings.callbacks[0] = cb_begin

misfit = load_llhttp()
use_llhttp = misfit is None
if use_llhttp:
    try:
        checked(request_parser(Limits()))
        checked(response_parser(Limits()))
    except RuntimeError as error:
        misfit = str(error)
        use_llhttp = False


def feed(str kind not None, list pieces not None, *, bint no_body=False, Limits limits=None):
    """Run the pieces through a fresh parser; the events as tuples. For tests and fuzzing."""
    cdef Parser parser = _make(kind == "request", limits or Limits())
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
        start = (
            (head.data[head.method:head.method + head.method_length], head.data[head.target:head.target + head.target_length])
            if parser.request else
            (head.status, head.data[head.reason:head.reason + head.reason_length])
        )
        return ("head", *start, head.minor, _lines(head), bool(parser.ended))
    if event == BODY:
        return ("body", parser.body[:parser.body_length])
    if event == END:
        return ("end", _lines(&parser.trailers) if parser.has_trailers else [])
    return ({MORE: "more", MALFORMED: "malformed", TARGET_TOO_LONG: "target too long", HEAD_TOO_LARGE: "head too large",
             TRUNCATED: "truncated"}[event],)


cdef list _lines(Head* head):
    cdef uint32_t i
    return [
        (head.data[head.headers[i].name:head.headers[i].name + head.headers[i].name_length],
         head.data[head.headers[i].value:head.headers[i].value + head.headers[i].value_length])
        for i in range(head.count)
    ]
