# Which user code holds the loop, and for how long.

from libc.stdint cimport uint64_t

from tetrapylon._core.reactor cimport clock


cdef class Work:
    # One piece of user code as operators know it. The words are in shared memory.
    cdef readonly str name              # "plugin shop.policies:Tenant"
    cdef object told                    # called with (work, seconds) when it has held the loop too long
    cdef object complains               # called with (work, error) when it raised
    cdef object keeper                  # keeps the words alive
    cdef uint64_t* blocked              # times
    cdef uint64_t* blocked_ms
    cdef uint64_t* errors
    cdef uint64_t* timeouts
    cdef uint64_t limit                 # ns
    cdef uint64_t since
    cdef Work outer

    cdef void held(self, uint64_t ns) noexcept
    cdef void raised(self, object error) noexcept


cdef class Guard:
    cdef Work running                   # now, in this process; None: no user code


cdef Guard GUARD


cdef inline void begin(Work work) noexcept:
    if work.since:                      # a stretch within one of its own is a part of it
        return
    work.outer = GUARD.running
    work.since = clock()
    GUARD.running = work


cdef inline void end(Work work) noexcept:
    cdef uint64_t ns
    if GUARD.running is not work:
        return
    ns = clock() - work.since
    GUARD.running = work.outer
    work.outer = None
    work.since = 0
    if ns > work.limit:
        work.held(ns)
