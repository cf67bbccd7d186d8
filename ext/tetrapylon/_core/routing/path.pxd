# The path: its one spelling, and the types of its parameters.
#
# Normalising leaves one spelling for every path, so that what is matched, limited, logged and forwarded is
# the same.

from libc.string cimport memcmp

cdef enum PathCode:
    PATH_NORMAL = 0
    PATH_REWRITTEN = 1
    PATH_NOT_ABSOLUTE = -1
    PATH_BAD_ESCAPE = -2
    PATH_NUL = -3
    PATH_BAD_CHARACTER = -4
    PATH_BACKSLASH = -5
    PATH_DOT_PARAMETERS = -6

# How many bytes `normalise` may write for one byte of input: a raw byte becomes %XX.
cdef enum:
    PATH_GROWTH = 3

# `src` is the path alone, without the query. PATH_NORMAL leaves `dst` and `dst_n` untouched; PATH_REWRITTEN
# has written `dst_n` bytes (`dst` holds PATH_GROWTH * n); below zero the path is refused and `reason` says
# why.
cdef int normalise(const char* src, Py_ssize_t n, char* dst, Py_ssize_t* dst_n) noexcept nogil

cdef bint is_normal(const char* src, Py_ssize_t n) noexcept nogil

# The sentence for a refusal; static text.
cdef const char* reason(int code) noexcept nogil

# Length of the path in a request target: up to the first `?`, or all of it.
cdef Py_ssize_t path_length(const char* target, Py_ssize_t n) noexcept nogil

# The value of part of a normal path: percent-decoded, UTF-8; bytes that are not UTF-8 become U+FFFD.
cdef str decode(const char* src, Py_ssize_t n)


# `{name:int}`: 1 to 19 decimal digits without a sign, at most 2**63 - 1.
cdef inline bint is_int(const char* s, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if n < 1 or n > 19:
        return False
    for i in range(n):
        if s[i] < c"0" or s[i] > c"9":
            return False
    return n < 19 or memcmp(s, b"9223372036854775807", 19) <= 0


# `{name:uuid}`: 8-4-4-4-12 hexadecimal digits (RFC 9562 4), in any case.
cdef inline bint is_uuid(const char* s, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if n != 36:
        return False
    for i in range(36):
        if i == 8 or i == 13 or i == 18 or i == 23:
            if s[i] != c"-":
                return False
        elif not (c"0" <= s[i] <= c"9" or c"a" <= (s[i] | 0x20) <= c"f"):
            return False
    return True
