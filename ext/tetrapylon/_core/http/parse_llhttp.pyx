"""The first backend: llhttp itself, by its C callbacks, as httptools' module carries and exports it."""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from tetrapylon._core.buffer cimport Head, Header, head_append, head_line, head_reset
from tetrapylon._core.http.message cimport (
    BODY, END, HEAD, HEAD_TOO_LARGE, MALFORMED, MORE, NAME_MAX, REQUEST_LINE, Backend, Event, Limits, Parser,
)

import importlib

cdef extern from "<dlfcn.h>" nogil:
    cdef enum:
        RTLD_NOW
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)

cdef extern from "llhttp_abi.h":
    ctypedef struct tp_llhttp:
        void* data
    ctypedef int (*tp_data_cb)(tp_llhttp*, const char*, size_t) noexcept
    ctypedef struct tp_settings:
        tp_data_cb* callbacks
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


ctypedef void (*act)(tp_llhttp*) noexcept
ctypedef const char* (*tell)(const tp_llhttp*) noexcept


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


cdef enum Field:
    NO_FIELD
    NAME
    VALUE


@cython.final
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
        if not self.in_message and n and (self.blank or data[0] in (c"\r", c"\n")):
            if self.skip_blank(data, n) != MORE:
                return MALFORMED
            if self.consumed == n:
                return MORE
            done = self.consumed
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
            if self.in_body and self.head.chunked:
                return self.spend(n, 0) or self.over_limits()
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
            elif self.head.chunked and self.spend(
                    self.consumed - (self.body_length if event == BODY else 0),
                    self.body_length if event == BODY else 0) != MORE:
                return MALFORMED
            elif event == END:
                if self.has_trailers:
                    self.settle_trailers()
                self.head_done = False
                self.kept = 0
                self.message_over()
            return event
        if self.stopped != MORE:
            return self.salvage(self.stopped)
        if self.in_message and not self.head_done and self.over_limits() != MORE:
            return self.salvage(self.over_limits())
        if self.problem is NULL:
            self.problem = llhttp.error_reason(&self.raw)
        return self.salvage(MALFORMED)

    cdef Event keep_partial(self, size_t n) noexcept:
        """The bytes end inside a head: copy what there is of it."""
        if self.kept + n > self.room():
            self.head_seen = self.room() + 1
            return self.salvage(self.over_limits())
        if head_append(self.head, self.base, n) < 0:
            return HEAD_TOO_LARGE
        self.kept += <uint32_t>n
        self.head_seen = self.kept
        return self.over_limits()

    cdef Event salvage(self, Event event) noexcept:
        """A head is refused half-way: what it refers to has to be there, as far as the limits let it."""
        cdef Head* head = self.head
        cdef size_t n = self.span_end - self.base
        if not self.in_message or self.head_done:
            return event
        n = min(n, <size_t>(self.limits.target + REQUEST_LINE))
        if head.length == self.kept and head_append(head, self.base, n) < 0:
            n = 0
        if head.method + head.method_length > head.length:
            head.method_length = 0
        if head.target > head.length:
            head.target_length = 0
        head.target_length = min(head.target_length, head.length - head.target)
        head.count = 0
        return event

    cdef uint32_t offset(self, const char* at) noexcept:
        return self.base_offset + <uint32_t>(at - self.base)

    cdef int on_begin(self) noexcept:
        if not self.in_message:
            self.begin()
            self.field = NO_FIELD
            self.version = 0
            # Offsets count from here: what precedes (blank lines, the message before) is not kept.
        return 0

    cdef int on_method(self, const char* at, size_t n) noexcept:
        if not self.head.method_length:
            self.head.method = self.offset(at)
        self.head.method_length += <uint32_t>n
        self.span_end = at + n
        return 0

    cdef int on_url(self, const char* at, size_t n) noexcept:
        if not self.head.target_length:
            self.head.target = self.offset(at)
        self.head.target_length += <uint32_t>n
        self.span_end = at + n
        return 0

    cdef int on_version(self, const char* at, size_t n) noexcept:
        if not self.version:
            self.version = self.offset(at)
        self.span_end = at + n
        return 0

    cdef int on_status(self, const char* at, size_t n) noexcept:
        if not self.head.reason_length:
            self.head.reason = self.offset(at)
        self.head.reason_length += <uint32_t>n
        self.span_end = at + n
        return 0

    cdef int on_field(self, const char* at, size_t n) noexcept:
        cdef Head* head = self.head
        cdef Header* line
        if self.head_done:
            return self.on_trailer(True, at, n)
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

    cdef int on_value(self, const char* at, size_t n) noexcept:
        cdef Header* line
        if self.head_done:
            return self.on_trailer(False, at, n)
        line = &self.head.headers[self.head.count - 1]
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
        # llhttp takes what RTSP and Icecast say, too.
        if self.version < 5 or head.data[self.version - 5] != c"H":
            self.refuse(b"not HTTP")
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
    return (<LlhttpParser>raw.data).on_method(at, n)


cdef int cb_url(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_url(at, n)


cdef int cb_version(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_version(at, n)


cdef int cb_status(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_status(at, n)


cdef int cb_field(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_field(at, n)


cdef int cb_value(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_value(at, n)


cdef int cb_headers_complete(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_headers_complete()


cdef int cb_body(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_body(at, n)


cdef int cb_message_complete(tp_llhttp* raw, const char* at, size_t n) noexcept:
    return (<LlhttpParser>raw.data).on_message_complete()


cdef bytes PROBE = (
    b"POST /a?b HTTP/1.1\r\nHost: h\r\nA: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nxyz\r\n0\r\nT: v\r\n\r\n"
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
    """Find llhttp inside httptools and hold it against the declarations; why it doesn't fit, or None.

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
    llhttp.resume = <act>dlsym(library, b"llhttp_resume")
    llhttp.resume_after_upgrade = <act>dlsym(library, b"llhttp_resume_after_upgrade")
    llhttp.error_pos = <tell>dlsym(library, b"llhttp_get_error_pos")
    llhttp.error_reason = <tell>dlsym(library, b"llhttp_get_error_reason")
    llhttp.major = <uint8_t (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_http_major")
    llhttp.minor = <uint8_t (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_http_minor")
    llhttp.status = <int (*)(tp_llhttp*) noexcept>dlsym(library, b"llhttp_get_status_code")
    if (
        llhttp.init is NULL or llhttp.execute is NULL or llhttp.resume is NULL
        or llhttp.resume_after_upgrade is NULL or llhttp.error_pos is NULL or llhttp.error_reason is NULL
        or llhttp.major is NULL or llhttp.minor is NULL or llhttp.status is NULL
    ):
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
        ("method", 0, 4), ("url", 5, 4), ("version", 15, 3),
        ("field", 20, 4), ("value", 26, 1), ("field", 29, 1), ("value", 32, 1),
        ("field", 35, 17), ("value", 54, 7), ("headers", 1, 1), head_n, ("body", body_n - 3, 3), body_n,
        ("field", n - 8, 1), ("value", n - 5, 1), ("complete",), n,
    ]
    seen = list(probe_seen)
    probe_seen.clear()
    if code != TP_OK or seen != expected:
        return f"calls back otherwise than expected: {seen}"
    return None


cdef class LlhttpBackend(Backend):
    cdef Parser make(self, bint request, Limits limits):
        cdef LlhttpParser parser = LlhttpParser.__new__(LlhttpParser)
        parser.limits = limits
        parser.start(request)
        return parser


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
