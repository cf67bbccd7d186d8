"""What a response tells of an amount: RateLimit and RateLimit-Policy, Retry-After.

draft-ietf-httpapi-ratelimit-headers-10; RFC 9110 section 10.2.3.
"""

cimport cython
from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.limiting.kept cimport Kept


@cython.final
cdef class Fields:
    cdef Kept kept              # [remaining, or seconds to wait], [seconds to the reset, refused, window]
    cdef bytes policy
    cdef list names             # of the windows, as RateLimit begins
    cdef bint told              # of what is allowed, too
    cdef bint told_refused

    cdef void note(self, Exchange x, bint allowed, unsigned int window, uint64_t remaining, uint64_t reset,
                   uint64_t retry) noexcept                 # from the request side; times in ns
    cdef void put(self, Exchange x) noexcept                # from the response side
    cdef void forget(self, Exchange x) noexcept             # at the end
