from libc.stdint cimport int64_t
from libc.string cimport memcmp

from tetrapylon._core.buffer cimport Head, Header, head_find, same_name
from tetrapylon._core.http.fields cimport Items, Piece, items_of, next_item, read_date, trimmed


cdef bint same_tag(Piece one, Piece other, bint strong) noexcept:
    """Entity tags compared (RFC 9110 section 8.8.3.2)."""
    cdef bint weak = False
    if one.n > 2 and one.data[0] == c"W" and one.data[1] == c"/":
        one.data += 2
        one.n -= 2
        weak = True
    if other.n > 2 and other.data[0] == c"W" and other.data[1] == c"/":
        other.data += 2
        other.n -= 2
        weak = True
    if weak and strong:
        return False
    return one.n == other.n and one.n >= 2 and memcmp(one.data, other.data, one.n) == 0


cdef inline Piece value_of(const Head* head, const Header* line) noexcept:
    return trimmed(head.data + line.value, head.data + line.value + line.value_length)


cdef int64_t changed_at(const Head* response, int64_t otherwise) noexcept:
    cdef const Header* line = head_find(response, b"last-modified", 13)
    return otherwise if line is NULL else read_date(response.data + line.value, line.value_length)


cdef bint unchanged(const Head* request, const Head* response, int64_t dated) noexcept:
    """Is what the client has still true (RFC 9110 section 13.2.2)? `dated` is when the response was made,
    for one without Last-Modified (RFC 9111 section 4.3.2), in seconds since 1970."""
    cdef Items tags = items_of(request, b"if-none-match", 13)
    cdef const Header* line = head_find(request, b"if-none-match", 13)
    cdef const Header* own
    cdef Piece tag, have
    cdef int64_t since, changed
    if line is not NULL:
        own = head_find(response, b"etag", 4)
        while next_item(&tags, &tag):
            if tag.n == 1 and tag.data[0] == c"*":
                return True
            if own is not NULL:
                have = value_of(response, own)
                if same_tag(tag, have, False):
                    return True
        return False
    line = head_find(request, b"if-modified-since", 17)
    if line is NULL:
        return False
    since = read_date(request.data + line.value, line.value_length)
    changed = changed_at(response, dated)
    return since >= 0 and 0 <= changed <= since


cdef bint still_good(const Head* request, const Head* response) noexcept:
    """If-Range (RFC 9110 section 13.1.5): by a strong tag, or the very date of Last-Modified."""
    cdef const Header* line = head_find(request, b"if-range", 8)
    cdef const Header* own
    cdef Piece asked
    cdef int64_t date
    if line is NULL:
        return True
    asked = value_of(request, line)
    if asked.n and (asked.data[0] == c'"' or asked.data[0] == c"W"):
        own = head_find(response, b"etag", 4)
        return own is not NULL and same_tag(asked, value_of(response, own), True)
    date = read_date(asked.data, asked.n)
    return date >= 0 and changed_at(response, -1) == date


cdef int64_t digits(const char** at, const char* end) noexcept:
    """A number, and `at` behind it; -1: there is none."""
    cdef int64_t found = -1
    while at[0] < end and c"0" <= at[0][0] <= c"9":
        found = max(found, <int64_t>0)
        if found < 1 << 53:
            found = found * 10 + (at[0][0] - c"0")
        at[0] += 1
    return found


cdef Wanted part_of(const Head* request, const Head* response, size_t size, size_t* start,
                    size_t* length) noexcept:
    """Which part of `size` bytes a GET asks for. Several are answered with the whole, as is what cannot be
    read (RFC 9110 section 14.2)."""
    cdef const Header* line = head_find(request, b"range", 5)
    cdef Piece asked
    cdef const char* at
    cdef const char* end
    cdef int64_t first, last
    start[0] = 0
    length[0] = size
    if line is NULL or not still_good(request, response):
        return WHOLE
    asked = value_of(request, line)
    if asked.n < 7 or not same_name(asked.data, b"bytes=", 6):
        return WHOLE
    at = asked.data + 6
    end = asked.data + asked.n
    first = digits(&at, end)
    if at == end or at[0] != c"-":
        return WHOLE
    at += 1
    last = digits(&at, end)
    if at != end or (first < 0 and last < 0) or (first >= 0 and 0 <= last < first):
        return WHOLE
    if first < 0:                       # the last so many
        if last == 0 or size == 0:
            return NO_SUCH_PART
        length[0] = <size_t>min(last, <int64_t>size)
        start[0] = size - length[0]
        return PART
    if first >= <int64_t>size:
        return NO_SUCH_PART
    if last < 0 or last >= <int64_t>size:
        last = <int64_t>size - 1
    start[0] = <size_t>first
    length[0] = <size_t>(last - first + 1)
    return PART
