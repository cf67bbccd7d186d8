"""Bytes to events: what a message is, whichever backend reads it. Strict by RFC 9112.

Two backends find the parts of a message, parse_llhttp.pyx and parse_api.pyx; parse.pyx chooses.
"""

from libc.stdint cimport int64_t, uint32_t

from tetrapylon._core.buffer cimport (
    CONNECTION, CONTENT_LENGTH, DROPPED, EXPECT, HOP, HOST, KEEP_ALIVE, NAMED, PROXY_CONNECTION, TE,
    TRANSFER_ENCODING, UPGRADE, Head, Header, head_free, head_reset, known_name, same_name,
)

cdef const char* EXPECTATION = b"an expectation that is no 100-continue"
cdef tuple VERSIONS = (b"HTTP/1.0", b"HTTP/1.1")


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
        self.overhead = 0

    cdef Event skip_blank(self, const char* data, size_t n) noexcept:
        """Moves `consumed` past empty lines before a request (RFC 9112 section 2.2); others are none."""
        while self.consumed < n and data[self.consumed] in (c"\r", c"\n"):
            if (not self.request or self.blank == BLANK_MAX
                    or data[self.consumed] != (c"\n" if self.blank & 1 else c"\r")):
                self.refuse(b"a CR or LF where a message should begin")
                return MALFORMED
            self.blank += 1
            self.consumed += 1
        if self.consumed < n:
            if self.blank & 1:
                self.refuse(b"a CR alone")
                return MALFORMED
            self.blank = 0
        return MORE

    cdef Event spend(self, size_t framing, size_t content) noexcept:
        """Holds what a chunked body spends on extensions and trailers against the content that it brings."""
        self.overhead += framing
        if content:
            self.overhead -= min(self.overhead, 2 * content + CHUNK_OVERHEAD)
        if self.overhead <= self.limits.head:
            return MORE
        if self.has_trailers:
            return HEAD_TOO_LARGE
        self.refuse(b"chunk extensions out of proportion")
        return MALFORMED

    cdef void begin(self) noexcept:
        self.in_message = True
        self.problem = NULL
        self.ended = False
        self.has_trailers = False
        self.head_seen = 0
        self.start_line = 0
        head_reset(self.head)

    cdef uint32_t room(self) noexcept:
        """Bytes that the head may have as far as it is known: its fields, behind a start line."""
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

    cdef Event blame(self, bytes said) noexcept:
        if self.problem == EXPECTATION:
            return OTHER_EXPECTATION
        return OTHER_VERSION if self.request and names_other_version(said) else MALFORMED

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
                while line.value_length > 1 and value[0] == c"0":
                    line.value += 1             # "0005" would be octal to some reader
                    line.value_length -= 1
                    value += 1
                if self.read_length(value, line.value_length) < 0:
                    return -1
            elif line.known == TRANSFER_ENCODING:
                # RFC 9112 section 6.1: only a lone, final `chunked` leaves no room for two readings.
                if (head.minor == 0 or head.chunked or line.value_length != 7
                        or not same_name(value, b"chunked", 7)):
                    return self.refuse(b"Transfer-Encoding is not a lone chunked of HTTP/1.1")
                head.chunked = True
                line.mark = HOP
            elif line.known == CONNECTION:
                line.mark = HOP
                self.read_connection(line, head, &close, &keep, &names_upgrade)
            elif line.known in (KEEP_ALIVE, PROXY_CONNECTION, TE):
                line.mark = HOP
            elif line.known == UPGRADE:
                line.mark = HOP
                # HTTP/2 behind a proxy's back is no use of Upgrade any more (RFC 9113 section 3.1).
                has_upgrade = line.value_length > 0 and not contains(value, line.value_length, b"h2c", 3)
            elif line.known == EXPECT:
                if head.minor == 0:
                    line.mark |= DROPPED        # RFC 9110 section 10.1.1: a client of 1.0 cannot mean it
                elif line.value_length == 12 and same_name(value, b"100-continue", 12):
                    head.expect_continue = True
                elif line.value_length and self.request:
                    # RFC 9110 section 10.1.1 allows 417. Passed on, one that is nearly 100-continue would be
                    # that to the next reader alone, who then waits where we do not.
                    return self.refuse(EXPECTATION)
        if head.chunked and head.content_length >= 0:
            return self.refuse(b"both Content-Length and Transfer-Encoding")
        head.keep_alive = not close and (head.minor > 0 or keep)
        head.upgrade = names_upgrade and has_upgrade and head.minor > 0
        if self.request:
            head.has_body = head.chunked or head.content_length > 0
            return 0
        if not 100 <= head.status <= 599 or not is_text(head.data + head.reason, head.reason_length):
            return self.refuse(b"malformed status line")
        if self.no_body or head.status < 200 or head.status == 204 or head.status == 304:
            head.has_body = False
            if head.status == 204 and (head.chunked or head.content_length > 0):
                head.keep_alive = False         # and yet something may follow
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

    cdef void settle_trailers(self) noexcept:
        """RFC 9110 section 7.6.1: trailers, too, can be for this hop alone."""
        cdef uint32_t i
        cdef bint unused = False
        for i in range(self.head.count):
            if self.head.headers[i].known == CONNECTION:
                self.read_connection(&self.head.headers[i], &self.trailers, &unused, &unused, &unused)

    cdef void read_connection(self, Header* line, Head* named, bint* close, bint* keep,
                              bint* upgrade) noexcept:
        """RFC 9110 section 7.6.1: options for this hop, and names of fields that are for this hop alone."""
        cdef const char* value = self.head.data + line.value
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
                hide_named(named, value + start, n)
            start = i


cdef bint names_other_version(bytes said) noexcept:
    """Is its first line a request line (RFC 9112 section 3) but for a version that is not ours?"""
    cdef list words = said.split(b"\n", 1)[0].removesuffix(b"\r").split(b" ")
    cdef bytes version
    if len(words) != 3 or not words[0] or not words[1]:
        return False
    version = words[2]
    return (len(version) == 8 and version.startswith(b"HTTP/") and version[5:6].isdigit()
            and version[6:7] == b"." and version[7:].isdigit() and version not in VERSIONS)


cdef inline char folded(char c) noexcept:
    return c | 0x20 if c"A" <= c <= c"Z" else c


cdef bint contains(const char* text, uint32_t n, const char* lower, uint32_t m) noexcept:
    cdef uint32_t i
    for i in range(n - m + 1 if n >= m else 0):
        if same_name(text + i, lower, m):
            return True
    return False


cdef bint is_text(const char* text, uint32_t n) noexcept:
    """HTAB, SP, VCHAR and obs-text (RFC 9112 section 4)."""
    cdef uint32_t i
    for i in range(n):
        if <unsigned char>text[i] < 0x20 and text[i] != c"\t" or text[i] == 0x7F:
            return False
    return True


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
        while j < n and folded(name[j]) == folded(other[j]):
            j += 1
        # Framing and Host belong to the message, whatever Connection says.
        if j == n and known_name(other, n) not in (CONTENT_LENGTH, HOST):
            line.mark |= HOP


cdef class Backend:
    cdef Parser make(self, bint request, Limits limits):
        raise NotImplementedError
