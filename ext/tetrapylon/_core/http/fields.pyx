from libc.stdint cimport int64_t
from libc.string cimport memcmp

from tetrapylon._core.buffer cimport CONTENT_TYPE, Head, Header, head_known, same_name

cdef enum:
    MOST_SECONDS = 2147483648       # what an overlong delta-seconds is taken for (RFC 9111 section 1.2.2)


cdef const char* until(const char* at, const char* end, char stop) noexcept nogil:
    """The first `stop` outside of quoted strings (RFC 9110 section 5.6.4), or `end`."""
    cdef bint quoted = False
    while at < end:
        if quoted and at[0] == c"\\":
            at += 1
            if at == end:
                break
        elif at[0] == c'"':
            quoted = not quoted
        elif at[0] == stop and not quoted:
            break
        at += 1
    return at


cdef bint next_item(Items* items, Piece* item) noexcept nogil:
    cdef const Head* head = items.head
    cdef const Header* line
    cdef const char* comma
    while True:
        while items.data == items.end:
            if items.line == head.count:
                return False
            line = &head.headers[items.line]
            items.line += 1
            if (line.name_length == items.name_n and line.mark & items.mask == items.marks
                    and same_name(head.data + line.name, items.name, items.name_n)):
                items.data = head.data + line.value
                items.end = items.data + line.value_length
        comma = until(items.data, items.end, c",")
        item[0] = trimmed(items.data, comma)
        items.data = comma + 1 if comma < items.end else comma
        if item.n:
            return True


cdef bint next_part(Piece* rest, Piece* part) noexcept nogil:
    cdef const char* end = rest.data + rest.n
    cdef const char* stop
    if rest.n == 0:
        return False
    stop = until(rest.data, end, c";")
    part[0] = trimmed(rest.data, stop)
    rest.data = stop + 1 if stop < end else end
    rest.n = end - rest.data
    return True


cdef bint is_word(Piece piece, const char* lower, size_t n) noexcept nogil:
    return piece.n == n and same_name(piece.data, lower, n)


cdef bint has_item(const Head* head, const char* name, size_t name_n, const char* item,
                   size_t n) noexcept nogil:
    cdef Items items = items_of(head, name, name_n)
    cdef Piece piece
    while next_item(&items, &piece):
        if is_word(piece, item, n):
            return True
    return False


cdef Piece media_type(const Head* head) noexcept nogil:
    cdef const Header* line = head_known(head, CONTENT_TYPE)
    cdef const char* at
    if line is NULL:
        return trimmed(NULL, NULL)
    at = head.data + line.value
    return trimmed(at, until(at, at + line.value_length, c";"))


cdef Piece content_coding(const Head* head) noexcept nogil:
    cdef Items items = items_of(head, b"content-encoding", 16)
    cdef Piece item
    while next_item(&items, &item):
        if not is_word(item, b"identity", 8):
            return item
    return trimmed(NULL, NULL)


cdef bint is_json(Piece type) noexcept nogil:
    """application/json, or a type with the suffix +json (RFC 6839 section 3.1)."""
    cdef Piece suffix
    if is_word(type, b"application/json", 16):
        return True
    if type.n <= 5:
        return False
    suffix.data = type.data + type.n - 5
    suffix.n = 5
    return is_word(suffix, b"+json", 5)


cdef int64_t read_seconds(Piece piece) noexcept nogil:
    cdef int64_t seconds = 0
    cdef size_t i
    if piece.n >= 2 and piece.data[0] == c'"' and piece.data[piece.n - 1] == c'"':
        piece.data += 1
        piece.n -= 2
    if piece.n == 0:
        return -1
    for i in range(piece.n):
        if not c"0" <= piece.data[i] <= c"9":
            return -1
        if seconds < MOST_SECONDS:
            seconds = seconds * 10 + (piece.data[i] - c"0")
    return min(seconds, <int64_t>MOST_SECONDS)


cdef int read_quality(Piece parameters) noexcept nogil:
    """The weight among an item's parameters (RFC 9110 section 12.4.2); one that is malformed counts as 0."""
    cdef Piece part
    cdef int quality = 0, scale = 100
    cdef size_t i
    while next_part(&parameters, &part):
        if part.n < 2 or (part.data[0] | 0x20) != c"q" or part.data[1] != c"=":
            continue
        if (part.n < 3 or part.n > 7 or part.data[2] not in (c"0", c"1")
                or (part.n > 3 and part.data[3] != c".")):
            return 0
        quality = 1000 if part.data[2] == c"1" else 0
        for i in range(4, part.n):
            if not c"0" <= part.data[i] <= c"9":
                return 0
            quality += scale * (part.data[i] - c"0")
            scale //= 10
        return min(quality, 1000)
    return 1000


cdef inline int number(const char* s, int n) noexcept nogil:
    """Decimal digits, a leading blank allowed; -1: are none."""
    cdef int value = 0, i
    for i in range(n):
        if s[i] == c" " and i == 0 and n > 1:
            continue
        if not c"0" <= s[i] <= c"9":
            return -1
        value = value * 10 + (s[i] - c"0")
    return value


cdef int month_of(const char* s) noexcept nogil:
    cdef const char* names = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef int i
    for i in range(12):
        if memcmp(names + 3 * i, s, 3) == 0:
            return i
    return -1


cdef int64_t seconds_of(int year, int month, int day, const char* clock) noexcept nogil:
    """Of a date in the Gregorian calendar and a time `hh:mm:ss`; -1: there is none such."""
    cdef int hour = number(clock, 2), minute = number(clock + 3, 2), second = number(clock + 6, 2)
    cdef int64_t days
    cdef int m, y
    if (year < 0 or month < 0 or not 1 <= day <= 31 or not 0 <= hour <= 23 or not 0 <= minute <= 59
            or not 0 <= second <= 60 or clock[2] != c":" or clock[5] != c":"):
        return -1
    # Days from 1970 by the civil calendar, the year taken to begin in March so that the leap day comes last.
    y = year - (1 if month < 2 else 0)
    m = (month + 10) % 12
    days = 365 * <int64_t>y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468
    return ((days * 24 + hour) * 60 + minute) * 60 + second


cdef int64_t read_date(const char* s, size_t n) noexcept nogil:
    """An HTTP date in any of its three forms (RFC 9110 section 5.6.7)."""
    cdef size_t i
    cdef int year
    if n == 29 and s[3] == c"," and s[7] == c" " and memcmp(s + 25, b" GMT", 4) == 0:
        return seconds_of(number(s + 12, 4), month_of(s + 8), number(s + 5, 2), s + 17)
    if n == 24 and s[3] == c" ":                        # asctime: Sun Nov  6 08:49:37 1994
        return seconds_of(number(s + 20, 4), month_of(s + 4), number(s + 8, 2), s + 11)
    for i in range(n):                                  # RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
        if s[i] != c",":
            continue
        s += i + 2
        if n != i + 24 or s[2] != c"-" or s[6] != c"-" or memcmp(s + 18, b" GMT", 4):
            return -1
        year = number(s + 7, 2)
        # Two digits that seem to lie far ahead mean the century before; 70 is the year that time begins in.
        return seconds_of(-1 if year < 0 else year + (1900 if year >= 70 else 2000), month_of(s + 3),
                          number(s, 2), s + 10)
    return -1


def date_seconds(bytes text not None):
    """Seconds since 1970 in an HTTP date, or None: for tests."""
    cdef int64_t seconds = read_date(text, len(text))
    return None if seconds < 0 else seconds
