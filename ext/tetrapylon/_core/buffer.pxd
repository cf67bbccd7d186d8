cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset


cdef enum Known:
    # Field names that the data plane itself reads; every other name is NAMED.
    NAMED = 0
    CONNECTION
    CONTENT_LENGTH
    CONTENT_TYPE
    DATE
    EXPECT
    FORWARDED
    HOST
    KEEP_ALIVE
    PROXY_CONNECTION
    REFERER
    SERVER
    TE
    TRANSFER_ENCODING
    UPGRADE
    USER_AGENT
    VIA
    X_FORWARDED_FOR
    X_FORWARDED_HOST
    X_FORWARDED_PROTO
    X_REQUEST_ID
    FORGED          # one of these to whoever takes `_` for `-`, as CGI and WSGI do


cdef enum Mark:
    # What becomes of a header line.
    DROPPED = 1     # taken out by the gateway or a policy
    HOP = 2         # hop-by-hop, by RFC 9110 section 7.6.1 or because Connection names it
    OURS = 4        # set by the gateway: a client's Connection header cannot remove it
    HEARD = 8       # a policy goes by it on the way out, whatever becomes of it on the way in


cdef struct Header:
    uint32_t name           # offsets into Head.data
    uint32_t value
    uint32_t value_length
    uint16_t name_length
    uint8_t known
    uint8_t mark


cdef struct Head:
    # The start line and header fields of one message: bytes and a table of offsets into them. Order, spelling
    # and duplicates are the sender's. Offsets stay true when `data` moves.
    char* data
    Header* headers
    uint32_t length
    uint32_t capacity
    uint32_t count
    uint32_t room
    uint32_t method
    uint32_t method_length
    uint32_t target
    uint32_t target_length
    uint32_t reason
    uint32_t reason_length
    int64_t content_length      # -1: none announced
    uint16_t status
    uint8_t minor               # HTTP/1.minor
    bint chunked
    bint keep_alive             # what the sender's version and Connection header ask for
    bint upgrade                # Connection: upgrade, with an Upgrade field
    bint expect_continue
    bint has_body               # a body may follow


cdef void head_free(Head* head) noexcept nogil
cdef void head_reset(Head* head) noexcept nogil
# The functions that grow a head return -1 or NULL when there is no memory.
cdef int64_t head_append(Head* head, const char* data, size_t n) noexcept nogil
cdef int head_reserve(Head* head, size_t n) noexcept nogil
cdef int64_t head_copy(Head* head, uint32_t start, uint32_t n) noexcept nogil
cdef int head_clone(Head* head, const Head* other) noexcept nogil
cdef int head_more_lines(Head* head) noexcept nogil
cdef int head_add(Head* head, const char* name, size_t name_n, const char* value, size_t value_n,
                  uint8_t mark) noexcept nogil
cdef int head_length(Head* head, size_t n) noexcept nogil
cdef Header* head_find(const Head* head, const char* lower_name, size_t n) noexcept nogil
cdef Header* head_known(const Head* head, uint8_t known) noexcept nogil
cdef uint8_t known_name(const char* s, size_t n) noexcept nogil


cdef inline Header* head_line(Head* head) noexcept nogil:
    # A new, empty line at the end of the table; NULL: no memory.
    cdef Header* line
    if head.count == head.room and head_more_lines(head) < 0:
        return NULL
    line = &head.headers[head.count]
    head.count += 1
    memset(line, 0, sizeof(Header))
    return line


cdef inline bint same_name(const char* s, const char* lower, size_t n) noexcept nogil:
    # In a token (RFC 9110 section 5.1), folding bit 5 folds letters, and otherwise `^` into `~` alone.
    # Most that differ do so in the first; after it eight at a time, while all of them are alike when folded.
    cdef size_t i = 0
    cdef uint64_t given = 0, wanted = 0
    if n and (s[0] | 0x20) != lower[0] and s[0] != lower[0]:
        return False
    while n - i >= 8:
        memcpy(&given, s + i, 8)
        memcpy(&wanted, lower + i, 8)
        if given | 0x2020202020202020ULL != wanted:
            break
        i += 8
    while i < n:
        if (s[i] | 0x20) != lower[i] and s[i] != lower[i]:
            return False
        i += 1
    return True


cdef inline bint same_variable(const char* s, const char* dashed, size_t n) noexcept nogil:
    # Are they one name to CGI and WSGI, to which `_` and `-` are the same (RFC 3875 section 4.1.18)?
    # `dashed` is in lower case and without underscores.
    cdef size_t i
    for i in range(n):
        if (s[i] | 0x20) != dashed[i] and s[i] != dashed[i] and not (s[i] == c"_" and dashed[i] == c"-"):
            return False
    return True


cdef inline char* put(char* at, const char* data, size_t n) noexcept nogil:
    memcpy(at, data, n)
    return at + n


cdef inline char* put_number(char* at, uint64_t number) noexcept nogil:
    # In decimal digits, at most 20, two at a time.
    cdef const char* pairs = (
        b"000102030405060708091011121314151617181920212223242526272829"
        b"303132333435363738394041424344454647484950515253545556575859"
        b"606162636465666768697071727374757677787980818283848586878889"
        b"90919293949596979899")
    cdef char[20] digits
    cdef int i = 20
    while number >= 100:
        i -= 2
        memcpy(&digits[i], pairs + 2 * (number % 100), 2)
        number //= 100
    if number >= 10:
        i -= 2
        memcpy(&digits[i], pairs + 2 * number, 2)
    else:
        i -= 1
        digits[i] = <char>(c"0" + number)
    return put(at, &digits[i], 20 - i)


@cython.final
cdef class Buffer:
    # Bytes that wait: appended at the tail, taken from the front, freed when empty.
    cdef char* data
    cdef size_t start
    cdef size_t end
    cdef size_t capacity

    cdef int append(self, const char* data, size_t n) except -1
    cdef void take(self, size_t n) noexcept
    cdef void clear(self) noexcept
