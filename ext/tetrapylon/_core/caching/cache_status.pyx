from libc.stdint cimport int64_t, uint64_t
from libc.string cimport strlen

from tetrapylon._core.buffer cimport head_add, put
from tetrapylon._core.caching.freshness cimport current_age
from tetrapylon._core.caching.store cimport Stored
from tetrapylon._core.exchange cimport Exchange

cdef int64_t SECOND = 1_000_000_000


cdef int say_used(Exchange x, Stored stored, bytes name, const char* how, bint ttl) noexcept:
    """Age (RFC 9111 section 5.1), and Cache-Status with what is left of its freshness, if `ttl`."""
    cdef char[160] text
    cdef char* at
    cdef int64_t age = current_age(&stored.terms, x.stages.reactor.now)
    at = put_number(text, max(<int64_t>0, age // SECOND))
    if head_add(&x.response, b"Age", 3, text, at - text, 0) < 0:
        return -1
    if name is None:
        return 0
    at = put(text, <const char*>name, len(name))
    at = put(at, how, strlen(how))
    if ttl:
        at = put(at, b"; ttl=", 6)
        at = put_number(at, (stored.terms.lifetime - age) // SECOND)
    return head_add(&x.response, b"Cache-Status", 12, text, at - text, 0)


cdef int say_forwarded(Exchange x, bytes name, const char* why, bint stored) noexcept:
    cdef char[160] text
    cdef char* at
    if name is None:
        return 0
    at = put(text, <const char*>name, len(name))
    at = put(at, b"; fwd=", 6)
    at = put(at, why, strlen(why))
    if stored:
        at = put(at, b"; stored", 8)
    return head_add(&x.response, b"Cache-Status", 12, text, at - text, 0)


cdef char* put_number(char* at, int64_t number) noexcept:
    cdef char[24] digits
    cdef int n = 0
    cdef uint64_t left = <uint64_t>(number if number >= 0 else -number)
    if number < 0:
        at[0] = c"-"
        at += 1
    while True:
        digits[n] = <char>(c"0" + left % 10)
        left //= 10
        n += 1
        if left == 0:
            break
    while n:
        n -= 1
        at[0] = digits[n]
        at += 1
    return at
