from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy


# What a raw byte means inside a path (RFC 3986 3.3).
cdef enum Kind:
    PLAIN            # unreserved, sub-delims, ":" and "@": passes
    SLASH
    ESCAPE           # "%"
    ENCODE           # not allowed raw, harmless: becomes %XX
    REFUSE           # controls, space, "?" and "#"
    REFUSE_NUL
    REFUSE_BACKSLASH

cdef uint8_t[256] KIND
cdef uint8_t[256] UNRESERVED
cdef uint8_t[256] HEX            # value of a hex digit, or NOT_HEX
cdef enum:
    NOT_HEX = 255
cdef const char* DIGITS = b"0123456789ABCDEF"


cdef int fill_tables() except -1:
    cdef int c
    cdef bytes alphanumeric = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    for c in range(256):
        KIND[c] = ENCODE if c > 0x20 and c != 0x7F else REFUSE
        UNRESERVED[c] = 0
        HEX[c] = NOT_HEX
    for c in alphanumeric + b"-._~":
        UNRESERVED[c] = 1
    for c in alphanumeric + b"-._~" + b"!$&'()*+,;=" + b":@":
        KIND[c] = PLAIN
    for c in range(10):
        HEX[ord("0") + c] = c
    for c in range(6):
        HEX[ord("A") + c] = HEX[ord("a") + c] = 10 + c
    KIND[0] = REFUSE_NUL
    KIND[ord("/")] = SLASH
    KIND[ord("%")] = ESCAPE
    KIND[ord("\\")] = REFUSE_BACKSLASH
    KIND[ord("?")] = KIND[ord("#")] = REFUSE
    return 0

fill_tables()


cdef inline int refusal(uint8_t kind) noexcept nogil:
    if kind == REFUSE_NUL:
        return PATH_NUL
    return PATH_BACKSLASH if kind == REFUSE_BACKSLASH else PATH_BAD_CHARACTER


# Length of the segment at `s` if it starts with one or two dots that make it special ("." and "..", alone
# or before a ";"), else 0.
cdef inline Py_ssize_t dots(const uint8_t* s, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    while i < n and i < 3 and s[i] == c".":
        i += 1
    if 0 < i < 3 and (i == n or s[i] == c"/" or s[i] == c";"):
        return i
    return 0


# Index of the first byte that keeps the path from being normal; n when there is none.
cdef inline Py_ssize_t scan(const uint8_t* src, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef uint8_t kind, high, low
    while i < n:
        kind = KIND[src[i]]
        i += 1
        if kind == PLAIN:
            continue
        if kind == SLASH:
            if i < n and (src[i] == c"/" or (src[i] == c"." and dots(src + i, n - i))):
                return i
        elif kind == ESCAPE:
            if n - i < 2:
                return i - 1
            high = HEX[src[i]]
            low = HEX[src[i + 1]]
            if (high | low) > 15 or src[i] > c"F" or src[i + 1] > c"F":
                return i - 1
            if (high | low) == 0 or UNRESERVED[high << 4 | low]:
                return i - 1
            i += 2
        else:
            return i - 1
    return n


cdef int normalise(const char* source, Py_ssize_t n, char* target, Py_ssize_t* dst_n) noexcept nogil:
    cdef const uint8_t* src = <const uint8_t*> source
    cdef uint8_t* dst = <uint8_t*> target
    cdef Py_ssize_t i, length, out, segment
    cdef uint8_t c, kind, high, low
    if n == 0 or src[0] != c"/":
        return PATH_NOT_ABSOLUTE
    i = scan(src, n)
    if i == n:
        return PATH_NORMAL

    # Back to the start of the segment that is not normal; all before it is.
    while src[i - 1] != c"/":
        i -= 1
    memcpy(dst, src, i)
    out = segment = i
    while True:
        c = src[i] if i < n else c"/"
        kind = KIND[c]
        if kind == PLAIN:
            dst[out] = c
            out += 1
        elif kind == SLASH:
            length = out - segment
            if length and dst[segment] == c".":
                # RFC 3986 5.2.4, with a floor at the root. "..;x" is a segment of its own
                # in the RFC and ".." in servers that strip parameters first: two readings,
                # so it is refused.
                length = dots(dst + segment, length)
                if length and length < out - segment:
                    return PATH_DOT_PARAMETERS
                if length:
                    out = segment
                if length == 2 and segment > 1:
                    out = segment - 1
                    while dst[out - 1] != c"/":
                        out -= 1
            if i >= n:
                break
            if dst[out - 1] != c"/":
                dst[out] = c"/"
                out += 1
            segment = out
        elif kind == ESCAPE:
            if n - i < 3:
                return PATH_BAD_ESCAPE
            high = HEX[src[i + 1]]
            low = HEX[src[i + 2]]
            if high == NOT_HEX or low == NOT_HEX:
                return PATH_BAD_ESCAPE
            if (high | low) == 0:
                return PATH_NUL
            c = high << 4 | low
            if UNRESERVED[c]:
                dst[out] = c
                out += 1
            else:
                dst[out] = c"%"
                dst[out + 1] = DIGITS[high]
                dst[out + 2] = DIGITS[low]
                out += 3
            i += 2
        elif kind == ENCODE:
            dst[out] = c"%"
            dst[out + 1] = DIGITS[c >> 4]
            dst[out + 2] = DIGITS[c & 15]
            out += 3
        else:
            return refusal(kind)
        i += 1
    dst_n[0] = out
    return PATH_REWRITTEN


cdef bint is_normal(const char* src, Py_ssize_t n) noexcept nogil:
    return n > 0 and src[0] == c"/" and scan(<const uint8_t*> src, n) == n


cdef const char* reason(int code) noexcept nogil:
    if code == PATH_NOT_ABSOLUTE:
        return b"the path does not start with '/'"
    if code == PATH_BAD_ESCAPE:
        return b"'%' is not followed by two hexadecimal digits"
    if code == PATH_NUL:
        return b"the path contains a NUL character"
    if code == PATH_BAD_CHARACTER:
        return b"the path contains a space, a control character, '?' or '#'"
    if code == PATH_BACKSLASH:
        return b"the path contains a backslash"
    if code == PATH_DOT_PARAMETERS:
        return b"a '.' or '..' segment carries ';' parameters"
    return b""


cdef Py_ssize_t path_length(const char* target, Py_ssize_t n) noexcept nogil:
    cdef const char* mark = <const char*> memchr(target, c"?", n)
    return n if mark == NULL else mark - target


cdef str decode(const char* source, Py_ssize_t n):
    cdef const uint8_t* src = <const uint8_t*> source
    cdef char* plain
    cdef Py_ssize_t i = 0, out = 0
    if memchr(source, c"%", n) == NULL:
        return PyUnicode_DecodeUTF8(source, n, "replace")
    plain = <char*> malloc(n)
    if plain == NULL:
        raise MemoryError
    try:
        while i < n:
            if src[i] == c"%" and n - i > 2:
                plain[out] = <char> (HEX[src[i + 1]] << 4 | HEX[src[i + 2]])
                i += 3
            else:
                plain[out] = source[i]
                i += 1
            out += 1
        return PyUnicode_DecodeUTF8(plain, out, "replace")
    finally:
        free(plain)


class BadPath(ValueError):
    """A path no request may carry: answered with 400."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r}: {reason}")
        self.path = path
        self.reason = reason


def normalise_path(path, /):
    cdef bytes raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    cdef Py_ssize_t n = len(raw), length = 0
    cdef char* buffer = <char*> malloc(PATH_GROWTH * n + 1)
    cdef int code
    if buffer == NULL:
        raise MemoryError
    try:
        code = normalise(raw, n, buffer, &length)
        if code < 0:
            raise BadPath(raw.decode("utf-8", "replace"), (<bytes> reason(code)).decode())
        return raw.decode("ascii") if code == PATH_NORMAL else buffer[:length].decode("ascii")
    finally:
        free(buffer)
