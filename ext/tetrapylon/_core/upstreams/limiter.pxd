from libc.stdint cimport uint64_t


cdef class Limiter:
    # How many requests an upstream is given at once, found from how long they take: while that stays near the
    # least that was seen there is room for more; when it grows away from it, a queue grows over there.
    cdef readonly double limit
    cdef double least
    cdef double most
    cdef double tolerance
    cdef double short_ns            # moving average of the time a request takes
    cdef double lowest_ns           # what it takes when nothing queues, forgotten slowly
    cdef uint64_t counted

    cdef void observe(self, uint64_t took, bint good, double active) noexcept
