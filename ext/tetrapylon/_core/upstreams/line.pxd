from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed


cdef class Line:
    # Exchanges that wait for their turn: by the priority of their route, and in order.
    cdef Waiter first
    cdef Waiter last
    cdef readonly Py_ssize_t length
    cdef uint64_t* waiting      # where it is told how many wait, with other lines

    cdef Waiter add(self, Exchange x, Reactor reactor, DeadlineQueue* patience)


cdef class Waiter(Timed):
    # A place in a line. It has its own patience: the exchange's total goes on meanwhile.
    cdef Exchange exchange
    cdef Line line
    cdef int priority
    cdef Waiter before
    cdef Waiter after

    cdef void leave(self) noexcept
