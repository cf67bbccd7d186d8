from libc.stdint cimport uint64_t

from tetrapylon._core.shared.board cimport Board, Slot
from tetrapylon._core.upstreams.target cimport Target


cdef class Health:
    # When a target is left alone because of how it answers, and when it is tried again. The facts are on the
    # board; these are one upstream's rules. Times in ns.
    cdef uint64_t consecutive           # failures in a row; 0: no such rule
    cdef double failure_rate            # of a window's calls; 0: no such rule
    cdef double latency                 # times the median of the others; 0: no such rule
    cdef uint64_t least                 # calls that a window must have for a verdict
    cdef uint64_t window
    cdef uint64_t eject
    cdef uint64_t longest               # ejection
    cdef double max_ejected             # share of the targets

    cdef void observe(self, Target target, list all, bint good, uint64_t took, uint64_t now,
                      object tell) noexcept
    cdef void judge(self, Target target, list all, uint64_t now, object tell) noexcept
    cdef void remove(self, Target target, list all, uint64_t now, str why, object tell) noexcept
    cdef bint back(self, Target target, uint64_t now, object tell) noexcept


cdef class Breaker:
    # Closed: calls pass and are counted. Open: none does. Half open: one at a time, until enough went well.
    cdef double failure_rate            # 0: no such rule
    cdef double slow_rate               # 0: no such rule
    cdef uint64_t slow                  # ns that a call may take
    cdef uint64_t least
    cdef uint64_t window
    cdef uint64_t open
    cdef uint64_t trials

    cdef void observe(self, Slot* slot, Board board, bint good, uint64_t took, uint64_t now, str name,
                      object tell) noexcept
    cdef void trip(self, Slot* slot, Board board, uint64_t now, str name, str why, object tell) noexcept
    cdef bint refuses(self, Slot* slot, uint64_t now) noexcept


cdef void told(object tell, str name, str what, str detail) noexcept
