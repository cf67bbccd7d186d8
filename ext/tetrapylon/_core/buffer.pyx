cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy, memmove

cdef enum:
    HEAD_BYTES = 1024           # what a fresh head can hold before it grows
    HEAD_LINES = 24
    HEAD_KEEP = 8192            # a head in the free list keeps at most this much
    LINES_KEEP = 128
    BUFFER_BYTES = 4096
    LONGEST_KNOWN = 17


cdef void head_free(Head* head) noexcept nogil:
    free(head.data)
    free(head.headers)
    head.data = NULL
    head.headers = NULL
    head.length = head.capacity = head.count = head.room = 0


cdef void head_reset(Head* head) noexcept nogil:
    if head.capacity > HEAD_KEEP or head.room > LINES_KEEP:
        head_free(head)
    head.length = 0
    head.count = 0
    head.method_length = head.target_length = head.reason_length = 0
    head.content_length = -1
    head.status = 0
    head.minor = 1
    head.chunked = False
    head.keep_alive = True
    head.upgrade = False
    head.expect_continue = False
    head.has_body = False


cdef int head_reserve(Head* head, size_t n) noexcept nogil:
    """Room for `n` more bytes; the head's bytes may move."""
    cdef size_t need = head.length + n
    cdef size_t capacity
    cdef char* grown
    if need > head.capacity:
        capacity = max(<size_t>HEAD_BYTES, <size_t>head.capacity * 2)
        while capacity < need:
            capacity *= 2
        grown = <char*>realloc(head.data, capacity)
        if grown is NULL:
            return -1
        head.data = grown
        head.capacity = <uint32_t>capacity
    return 0


cdef int64_t head_append(Head* head, const char* data, size_t n) noexcept nogil:
    """Copy `data`, which is not the head's own, behind the head's bytes; the offset it got."""
    cdef int64_t offset = <int64_t>head.length
    if head_reserve(head, n) < 0:
        return -1
    if n:
        memcpy(head.data + offset, data, n)
    head.length += <uint32_t>n
    return offset


cdef int64_t head_copy(Head* head, uint32_t start, uint32_t n) noexcept nogil:
    """Copy bytes of the head behind its bytes; the offset of the copy."""
    cdef int64_t offset = <int64_t>head.length
    if head_reserve(head, n) < 0:
        return -1
    memcpy(head.data + offset, head.data + start, n)
    head.length += n
    return offset


cdef int head_clone(Head* head, const Head* other) noexcept nogil:
    """Make it a copy of another, with room for more."""
    cdef char* data
    cdef Header* lines
    cdef uint32_t capacity, room
    head_reset(head)
    if head_reserve(head, other.length) < 0:
        return -1
    if other.count > head.room:
        room = max(<uint32_t>HEAD_LINES, other.count)
        lines = <Header*>realloc(head.headers, room * sizeof(Header))
        if lines is NULL:
            return -1
        head.headers = lines
        head.room = room
    data, lines, capacity, room = head.data, head.headers, head.capacity, head.room
    memcpy(data, other.data, other.length)
    memcpy(lines, other.headers, other.count * sizeof(Header))
    head[0] = other[0]
    head.data, head.headers, head.capacity, head.room = data, lines, capacity, room
    return 0


cdef int head_more_lines(Head* head) noexcept nogil:
    cdef uint32_t room = max(<uint32_t>HEAD_LINES, head.room * 2)
    cdef Header* grown = <Header*>realloc(head.headers, room * sizeof(Header))
    if grown is NULL:
        return -1
    head.headers = grown
    head.room = room
    return 0


cdef int head_add(Head* head, const char* name, size_t name_n, const char* value, size_t value_n,
                  uint8_t mark) noexcept nogil:
    """Add a line at the end, copying both parts."""
    cdef Header* line
    if head_reserve(head, name_n + value_n) < 0:
        return -1
    line = head_line(head)
    if line is NULL:
        return -1
    memcpy(head.data + head.length, name, name_n)
    memcpy(head.data + head.length + name_n, value, value_n)
    line.name = head.length
    line.name_length = <uint16_t>name_n
    line.value = head.length + <uint32_t>name_n
    head.length += <uint32_t>(name_n + value_n)
    line.value_length = <uint32_t>value_n
    line.known = known_name(name, name_n)
    if line.known == FORGED:
        line.known = NAMED          # what the gateway adds is meant
    line.mark = mark
    return 0


cdef int head_length(Head* head, size_t n) noexcept nogil:
    """Add a Content-Length: `n` bytes of content are announced."""
    cdef char[20] text
    head.content_length = <int64_t>n
    return head_add(head, b"Content-Length", 14, text, put_number(text, n) - text, 0)


cdef Header* head_find(const Head* head, const char* lower_name, size_t n) noexcept nogil:
    """The first forwarded line of that name (given in lower case), or NULL."""
    cdef uint32_t i
    cdef Header* line
    for i in range(head.count):
        line = &head.headers[i]
        if (line.name_length == n and not line.mark & DROPPED
                and same_name(head.data + line.name, lower_name, n)):
            return line
    return NULL


cdef Header* head_known(const Head* head, uint8_t known) noexcept nogil:
    cdef uint32_t i
    for i in range(head.count):
        if head.headers[i].known == known and not head.headers[i].mark & DROPPED:
            return &head.headers[i]
    return NULL


cdef uint8_t known_name(const char* s, size_t n) noexcept nogil:
    if n == 2:
        if same_name(s, b"te", 2):
            return TE
    elif n == 3:
        if same_name(s, b"via", 3):
            return VIA
    elif n == 4:
        if same_name(s, b"host", 4):
            return HOST
        if same_name(s, b"date", 4):
            return DATE
    elif n == 6:
        if same_name(s, b"expect", 6):
            return EXPECT
        if same_name(s, b"server", 6):
            return SERVER
    elif n == 7:
        if same_name(s, b"upgrade", 7):
            return UPGRADE
        if same_name(s, b"referer", 7):
            return REFERER
    elif n == 9:
        if same_name(s, b"forwarded", 9):
            return FORWARDED
    elif n == 10:
        if same_name(s, b"connection", 10):
            return CONNECTION
        if same_name(s, b"keep-alive", 10):
            return KEEP_ALIVE
        if same_name(s, b"user-agent", 10):
            return USER_AGENT
    elif n == 12:
        if same_name(s, b"content-type", 12):
            return CONTENT_TYPE
        if same_name(s, b"x-request-id", 12):
            return X_REQUEST_ID
    elif n == 14:
        if same_name(s, b"content-length", 14):
            return CONTENT_LENGTH
    elif n == 15:
        if same_name(s, b"x-forwarded-for", 15):
            return X_FORWARDED_FOR
    elif n == 16:
        if same_name(s, b"x-forwarded-host", 16):
            return X_FORWARDED_HOST
        if same_name(s, b"proxy-connection", 16):
            return PROXY_CONNECTION
    elif n == 17:
        if same_name(s, b"transfer-encoding", 17):
            return TRANSFER_ENCODING
        if same_name(s, b"x-forwarded-proto", 17):
            return X_FORWARDED_PROTO
    if 10 <= n <= LONGEST_KNOWN and memchr(s, c"_", n) is not NULL:
        return forged_name(s, n)
    return NAMED


cdef uint8_t forged_name(const char* s, size_t n) noexcept nogil:
    """As a variable (RFC 3875 section 4.1.18) a field has underscores for dashes: two names, one meaning."""
    cdef char[LONGEST_KNOWN] dashed
    cdef size_t i
    for i in range(n):
        dashed[i] = c"-" if s[i] == c"_" else s[i]
    return NAMED if known_name(dashed, n) == NAMED else FORGED


@cython.final
cdef class Buffer:
    def __dealloc__(self):
        free(self.data)

    cdef int append(self, const char* data, size_t n) except -1:
        cdef size_t length = self.end - self.start
        cdef size_t capacity
        cdef char* grown
        if self.end + n > self.capacity:
            if self.start:
                memmove(self.data, self.data + self.start, length)
                self.start = 0
                self.end = length
            if length + n > self.capacity:
                capacity = max(<size_t>BUFFER_BYTES, self.capacity)
                while capacity < length + n:
                    capacity *= 2
                grown = <char*>realloc(self.data, capacity)
                if grown is NULL:
                    raise MemoryError()
                self.data = grown
                self.capacity = capacity
        memcpy(self.data + self.end, data, n)
        self.end += n
        return 0

    cdef void take(self, size_t n) noexcept:
        self.start += n
        if self.start >= self.end:
            self.clear()

    cdef void clear(self) noexcept:
        free(self.data)
        self.data = NULL
        self.start = self.end = self.capacity = 0
