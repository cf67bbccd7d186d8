# Routes that are on their way from one upstream to another: how far they are, and how each side does. Shared
# memory, one slot a route, found by its name: written by all workers, steered by the control process.

from libc.stdint cimport uint64_t

from tetrapylon._core.shared.board cimport add, load, store
from tetrapylon._core.shared.segment cimport Segment


cdef enum:
    OLD = 0
    NEW = 1
    NAME = 128
    # Times are counted in classes: 32 to each power of two from 2**13 ns (8 us) to 2**37 ns (137 s), so that
    # a quantile is known to 3%; and one on either side.
    LOWEST = 13
    POWERS = 24
    EACH = 32
    CLASSES = POWERS * EACH + 2


cdef struct Side:
    uint64_t started
    uint64_t ended
    uint64_t errors             # 5xx, or no whole answer
    uint64_t refusals           # 4xx
    uint64_t times[CLASSES]     # of what was answered without an error


cdef struct MoveSlot:
    uint64_t share              # of 2**32: those drawn below go to the new side
    char[NAME] name
    Side[2] sides


cdef class Moves(Segment):
    cdef uint64_t* keys         # of names; 0: free
    cdef MoveSlot* slots
    cdef readonly Py_ssize_t capacity

    cdef MoveSlot* claim(self, str route) except NULL
    cdef Py_ssize_t find(self, uint64_t key) noexcept


cdef void note(Side* side, bint error, bint refusal, bint timed, uint64_t ns) noexcept nogil


cdef extern from * nogil:
    int __builtin_clzll(unsigned long long) noexcept


cdef inline unsigned int class_of(uint64_t ns) noexcept nogil:
    cdef unsigned int power
    if ns < (<uint64_t>1 << LOWEST):
        return 0
    power = 63 - __builtin_clzll(ns)
    if power >= LOWEST + POWERS:
        return CLASSES - 1
    return 1 + (power - LOWEST) * EACH + <unsigned int>((ns >> (power - 5)) & (EACH - 1))
