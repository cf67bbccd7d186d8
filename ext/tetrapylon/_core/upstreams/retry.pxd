from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tetrapylon._core.exchange cimport Destination, Exchange
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed


cdef enum Cause:
    # Why a try did not do.
    CONNECT = 1
    RESET = 2
    TIMEOUT = 4
    STATUS = 8


cdef enum:
    SPANS = 10              # of a budget's window
    PAUSES = 8              # lengths that a back-off is drawn from,
    STEPS = 3               # in each of so many steps, each twice as long


cdef class Budget:
    # Retries as a share of the requests of the last seconds: an outage is never multiplied. One worker's.
    # Retries are remembered for a whole window and the span that has begun, requests for one span less: so of
    # any window, wherever it begins, its retries are within the share of its own requests.
    cdef double share
    cdef uint32_t floor             # so many are allowed whatever the traffic
    cdef uint64_t span              # ns
    cdef uint64_t now               # which span it is
    cdef uint32_t[SPANS] requests
    cdef uint32_t[11] retries           # SPANS + 1
    cdef uint64_t requested
    cdef uint64_t retried

    cdef void turn(self, uint64_t now) noexcept
    cdef void request(self, uint64_t now) noexcept
    cdef bint has(self, uint64_t now) noexcept          # is there one?
    cdef bint take(self, uint64_t now) noexcept


cdef class Retry:
    # The rules of one upstream. Immutable but for the budget's account.
    cdef uint32_t attempts
    cdef uint32_t causes            # Cause
    cdef uint8_t[600] statuses
    cdef frozenset methods          # of bytes; None: the idempotent ones
    cdef DeadlineQueue* patience    # for one try; NULL: that of the response
    cdef DeadlineQueue* pauses[24]           # PAUSES * STEPS
    cdef bint pausing
    cdef readonly Budget budget

    cdef bint may(self, Exchange x) noexcept            # can it be sent again at all, and is a try left?
    cdef bint listed(self, Exchange x) noexcept         # is the response one to try again after?


cdef class Tries(Timed):
    # What an upstream remembers of a request that was sent more than once, or could not reach a target.
    cdef Exchange exchange
    cdef Destination upstream
    cdef list tried                 # targets
    cdef uint32_t count             # retries

    cdef bint has(self, object target) noexcept


cdef Tries tries_of(Exchange x, Destination upstream)
cdef bint idempotent(Exchange x) noexcept
