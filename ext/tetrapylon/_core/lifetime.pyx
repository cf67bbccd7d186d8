"""The age and the number of messages at which a connection is given up, so that new ones spread anew."""

from libc.stdint cimport UINT32_MAX, UINT64_MAX, uint32_t, uint64_t
from libc.stdlib cimport rand

cdef extern from "<stdlib.h>" nogil:
    int RAND_MAX

cdef double JITTER = 0.1        # of the limit, more or less


cdef double share() noexcept:
    return 1.0 + JITTER * (2.0 * rand() / <double>RAND_MAX - 1.0)


cdef class Lifetime:
    def __init__(self, *, age=None, messages=None):
        """`age` in seconds; None: no limit."""
        self.age = 0 if age is None else <uint64_t>(<double>age * 1e9)
        self.messages = 0 if messages is None else messages

    cdef void begin(self, Span* span, uint64_t now) noexcept:
        span.ends = UINT64_MAX if not self.age else now + <uint64_t>(self.age * share())
        span.messages = UINT32_MAX
        if self.messages:
            span.messages = max(<uint32_t>1, <uint32_t>(self.messages * share()))
