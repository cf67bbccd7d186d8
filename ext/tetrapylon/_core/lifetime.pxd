from libc.stdint cimport uint32_t, uint64_t


cdef class Lifetime:
    # How long connections of one kind may live. Each draws its own share of it, so that those which were
    # opened together do not all end together.
    cdef uint64_t age           # ns; 0: no limit
    cdef uint32_t messages      # 0: no limit

    cdef void begin(self, Span* span, uint64_t now) noexcept


cdef struct Span:
    # What is left of one connection's life.
    uint64_t ends               # ns, monotonic
    uint32_t messages


cdef inline bint spent(Span* span, uint64_t now) noexcept:
    # One message more was carried: was it the last?
    span.messages -= 1
    return span.messages == 0 or now >= span.ends
