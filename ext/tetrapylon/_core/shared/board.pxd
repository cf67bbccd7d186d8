# What all processes know of the targets: shared memory, one slot a target, found by the names of its upstream
# and its own. So it outlives configs, workers and the control process.

from libc.stdint cimport uint64_t

from tetrapylon._core.shared.segment cimport Segment


cdef extern from "words.h" nogil:
    uint64_t load "tetrapylon_load"(const uint64_t* word)
    void store "tetrapylon_store"(uint64_t* word, uint64_t value)
    uint64_t add "tetrapylon_add"(uint64_t* word, uint64_t value)
    uint64_t exchange "tetrapylon_exchange"(uint64_t* word, uint64_t value)
    bint swap "tetrapylon_swap"(uint64_t* word, uint64_t expected, uint64_t value)


cdef enum Checked:
    # What active checks say.
    UNCHECKED = 0
    HEALTHY = 1
    UNHEALTHY = 2


cdef enum Circuit:
    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


cdef struct RateWindow:
    # Calls of a span of time, counted by all workers together.
    uint64_t began              # ns, monotonic
    uint64_t calls
    uint64_t failures
    uint64_t slow
    uint64_t spent              # us


cdef struct Slot:
    uint64_t key                # of both names; 0: free
    uint64_t seen               # ns, monotonic: a worker had the target then
    uint64_t weight             # set at run time, plus one; 0: as the config says
    uint64_t checked            # Checked
    uint64_t since              # ns, monotonic: when it last came back; slow start counts from here
    uint64_t row                # failures since the last success
    uint64_t ejected_until      # ns, monotonic; 0: it is not
    uint64_t ejections          # since it was last well for long
    uint64_t trial              # it is back, and has yet to answer well
    uint64_t mean               # us, of the last whole window
    RateWindow recent               # for ejection
    uint64_t circuit            # Circuit
    uint64_t opened             # ns, monotonic
    uint64_t trials             # that went well while half open
    RateWindow breaker
    # Totals
    uint64_t checks
    uint64_t check_failures
    uint64_t became_unhealthy
    uint64_t became_healthy
    uint64_t ejected
    uint64_t returned
    uint64_t circuit_opened
    uint64_t circuit_closed
    uint64_t retries            # an upstream's own slot, and those below
    uint64_t retries_denied
    uint64_t hedges
    uint64_t shed
    uint64_t unavailable        # requests for which no target was left
    char[64] upstream
    char[128] target            # empty: the upstream as a whole


cdef struct Front:
    uint64_t epoch              # counts the changes that a picker must know of
    uint64_t leader             # pid of the worker that checks for all
    uint64_t leader_seen        # ns, monotonic


cdef class Board(Segment):
    cdef Front* front
    cdef Slot* slots
    cdef readonly Py_ssize_t capacity
    cdef list spare             # slots of this process alone, once all are taken

    cdef Slot* claim(self, str upstream, str target) except NULL
    cdef Slot* find(self, str upstream, str target) except? NULL


cdef inline void bump(Board board) noexcept nogil:
    add(&board.front.epoch, 1)
