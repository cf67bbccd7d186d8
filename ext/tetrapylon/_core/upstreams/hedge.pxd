from libc.stdint cimport uint64_t

from tetrapylon._core.reactor cimport DeadlineQueue, Reactor


cdef class Hedge:
    # When a request is asked of a second target before the first has answered: after a percentile of what
    # answers take. One worker's.
    cdef Reactor reactor
    cdef double percentile
    cdef double floor               # ns
    cdef readonly double after      # ns: the percentile, as far as it is known
    cdef uint64_t least             # answers before it is known
    cdef uint64_t seen
    cdef int step                   # which of the lengths `after` is nearest to, from above
    cdef DeadlineQueue* patience    # NULL: it is not known yet

    cdef void learn(self, double took) noexcept
    cdef void longer(self) noexcept         # an answer takes longer than `after`
    cdef void settle(self) noexcept
