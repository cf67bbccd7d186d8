from tetrapylon._core.exchange cimport Exchange


cdef class Line:
    # Exchanges that wait for their turn, in order.
    cdef Exchange first
    cdef Exchange last
    cdef readonly Py_ssize_t length

    cdef void add(self, Exchange x) noexcept
    cdef bint take(self, Exchange x) noexcept
