cimport cython
from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange, Fault
from tetrapylon._core.reactor cimport DeadlineQueue
from tetrapylon._core.shared.board cimport Board, Slot
from tetrapylon._core.upstreams.balance cimport Balancer
from tetrapylon._core.upstreams.health cimport Breaker, Health
from tetrapylon._core.upstreams.hedge cimport Hedge
from tetrapylon._core.upstreams.limiter cimport Limiter
from tetrapylon._core.upstreams.line cimport Line
from tetrapylon._core.upstreams.pool cimport Pool, UpstreamConnection
from tetrapylon._core.upstreams.retry cimport Retry
from tetrapylon._core.upstreams.target cimport Target


cdef class Tier:
    # Targets that are asked alike: of one priority, and in the gateway's zone or out of it.
    cdef list targets               # that may take a request
    cdef Balancer balancer
    cdef double upto                # its share of the requests, added to those of the tiers before


@cython.final
cdef class Upstream(Pool):
    # A group of targets: which of them gets a request, when, and what becomes of it when that one fails.
    cdef readonly list targets
    cdef Py_ssize_t max_connections
    cdef Py_ssize_t max_pending
    cdef Py_ssize_t max_uploads
    cdef Line ready                     # exchanges that wait for a connection, their request complete,
    cdef Line uploading                 # and others: slow clients must not take every place
    cdef DeadlineQueue* connect_timeout
    cdef DeadlineQueue* queue_timeout
    cdef bint serving                   # those who wait, at this moment

    cdef Board board
    cdef Slot* slot                     # of the upstream as a whole
    cdef object tell                    # called with a target's name, what became of it, and why; or None
    cdef Balancer balancer
    cdef dict balancers                 # one a tier, kept while that comes and goes
    cdef str zone
    cdef Health health                  # or None, like those below
    cdef Breaker breaker                # of each target
    cdef Breaker main_breaker           # of all together
    cdef Limiter limiter
    cdef Retry retry
    cdef Hedge hedge
    cdef double panic                   # share of the targets below which health is ignored
    cdef uint64_t slow_start            # ns
    cdef bint observes

    # Who may be picked, as of `epoch` and until `review_at`
    cdef uint64_t epoch
    cdef uint64_t review_at
    cdef Target sole                    # the only one that there is
    cdef list tiers
    cdef bint trials                    # is one of them on trial?

    cdef void review(self) noexcept
    cdef bint fit(self, Target target, uint64_t now) noexcept
    cdef void bound(self, list usable) noexcept
    cdef int arrange(self, list usable) except -1
    cdef Target pick(self, Exchange x)
    cdef Target pick_other(self, Tier first, Exchange x)
    cdef Target pick_beside(self, Target asked, Exchange x)
    cdef Target pick_roomy(self, Target full, Exchange x)
    cdef void unavailable(self, Exchange x) noexcept
    cdef Exchange any_waiting(self)
    cdef bint again(self, Exchange x, Target target) noexcept
    cdef UpstreamConnection take_idle(self, Target target)
    cdef bint makes_room(self) noexcept
    cdef void connect(self, Exchange x, Target target) noexcept
    cdef void enqueue(self, Exchange x) noexcept
    cdef bint has_room(self) noexcept
