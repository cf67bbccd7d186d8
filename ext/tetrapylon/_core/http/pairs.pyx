from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

from tetrapylon._core.buffer cimport DROPPED, Head, Header, same_name


cdef inline int hex_digit(char c) noexcept:
    if c"0" <= c <= c"9":
        return c - c"0"
    if c"a" <= (c | 0x20) <= c"f":
        return (c | 0x20) - c"a" + 10
    return -1


cdef str unescape(const char* text, size_t n, bint plus):
    """Percent-decoded UTF-8; with `plus`, as HTML forms write it. Bad escapes stay."""
    cdef size_t i = 0, out = 0
    cdef bint plain = True
    cdef char* made
    for i in range(n):
        if text[i] == c"%" or text[i] & 0x80 or (plus and text[i] == c"+"):
            plain = False
            break
    if plain:
        return PyUnicode_DecodeASCII(text, n, NULL)
    made = <char*>malloc(n)
    if made is NULL:
        raise MemoryError
    try:
        i = 0
        while i < n:
            if text[i] == c"%" and i + 2 < n and hex_digit(text[i + 1]) >= 0 and hex_digit(text[i + 2]) >= 0:
                made[out] = <char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]))
                i += 3
            else:
                made[out] = c" " if plus and text[i] == c"+" else text[i]
                i += 1
            out += 1
        return PyUnicode_DecodeUTF8(made, out, "replace")
    finally:
        free(made)


cdef list query_pairs(const char* text, size_t n):
    """The pairs of a query, in order, as HTML forms write them (WHATWG URL section 5.1)."""
    cdef list pairs = []
    cdef size_t at = 0, end, equals
    while at <= n and n:
        end = at
        equals = n + 1
        while end < n and text[end] != c"&":
            if text[end] == c"=" and equals > n:
                equals = end
            end += 1
        if end > at:
            if equals > n:
                pairs.append((unescape(text + at, end - at, True), ""))
            else:
                pairs.append((unescape(text + at, equals - at, True),
                              unescape(text + equals + 1, end - equals - 1, True)))
        at = end + 1
    return pairs


cdef bint next_crumb(const char* text, size_t n, size_t* at, size_t* name, size_t* name_n, size_t* value,
                     size_t* value_n) noexcept:
    """The next `name=value` of a Cookie field (RFC 6265 section 4.2.1); quotes around a value are not its."""
    cdef size_t i = at[0], end, equals
    while i < n:
        while i < n and (text[i] == c" " or text[i] == c";" or text[i] == c"\t"):
            i += 1
        end = i
        equals = n
        while end < n and text[end] != c";":
            if text[end] == c"=" and equals == n:
                equals = end
            end += 1
        at[0] = end
        if equals < end and equals > i:
            name[0] = i
            name_n[0] = equals - i
            value[0] = equals + 1
            while end > value[0] and (text[end - 1] == c" " or text[end - 1] == c"\t"):
                end -= 1
            value_n[0] = end - value[0]
            if value_n[0] >= 2 and text[value[0]] == c'"' and text[end - 1] == c'"':
                value[0] += 1
                value_n[0] -= 2
            return True
        i = end
    at[0] = n
    return False


cdef bint cookie_value(const Head* head, bytes name, const char** value, size_t* n) noexcept:
    cdef uint32_t i
    cdef const Header* line
    cdef const char* text
    cdef size_t at, start = 0, length = 0, value_at = 0, k
    for i in range(head.count):
        line = &head.headers[i]
        if line.mark & DROPPED or line.name_length != 6 or not same_name(head.data + line.name, b"cookie", 6):
            continue
        text = head.data + line.value
        at = 0
        while next_crumb(text, line.value_length, &at, &start, &length, &value_at, n):
            if length != <size_t>len(name):
                continue
            for k in range(length):
                if text[start + k] != (<const char*>name)[k]:
                    break
            else:
                value[0] = text + value_at
                return True
    return False
