# Values of header fields that are lists, parameters, numbers and dates (RFC 9110 section 5.6).

from libc.stdint cimport int64_t, uint8_t, uint32_t

from tetrapylon._core.buffer cimport DROPPED, Head


cdef struct Piece:
    # Bytes that lie in somebody else's memory.
    const char* data
    size_t n


cdef struct Items:
    # Walks a comma-separated list over all lines of one name.
    const Head* head
    const char* name        # in lower case
    size_t name_n
    uint8_t mask            # lines count whose marks of these are `marks`: unless said otherwise, what is
    uint8_t marks           # not DROPPED
    uint32_t line           # the next one to look at
    const char* data        # what is left of the current one
    const char* end


cdef bint next_item(Items* items, Piece* item) noexcept nogil   # trimmed, not empty; False: there are no more
cdef bint next_part(Piece* rest, Piece* part) noexcept nogil    # of an item, at `;`
cdef bint is_word(Piece piece, const char* lower, size_t n) noexcept nogil
cdef bint has_item(const Head* head, const char* name, size_t name_n, const char* item,
                   size_t n) noexcept nogil
cdef Piece media_type(const Head* head) noexcept nogil          # of Content-Type, no parameters; empty: none
cdef Piece content_coding(const Head* head) noexcept nogil      # the first of Content-Encoding; empty: none
cdef bint is_json(Piece type) noexcept nogil                    # or has the suffix +json
cdef int64_t read_seconds(Piece piece) noexcept nogil           # RFC 9111 section 1.2.2; -1: is none
cdef int read_quality(Piece parameters) noexcept nogil          # in thousandths
cdef int64_t read_date(const char* s, size_t n) noexcept nogil  # seconds since 1970; -1: is none


cdef inline Items items_of(const Head* head, const char* name, size_t name_n) noexcept nogil:
    cdef Items items
    items.head = head
    items.name = name
    items.name_n = name_n
    items.mask = DROPPED
    items.marks = 0
    items.line = 0
    items.data = items.end = NULL
    return items


cdef inline Piece trimmed(const char* start, const char* end) noexcept nogil:
    cdef Piece piece
    while start < end and (start[0] == c" " or start[0] == c"\t"):
        start += 1
    while end > start and ((end - 1)[0] == c" " or (end - 1)[0] == c"\t"):
        end -= 1
    piece.data = start
    piece.n = end - start
    return piece
