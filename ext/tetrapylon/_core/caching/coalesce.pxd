# Many requests for one thing at once: one goes for it, the others wait for what it brings.

from tetrapylon._core.caching.draft cimport Asked
from tetrapylon._core.caching.store cimport Stored
from tetrapylon._core.exchange cimport Plan, Ticket
from tetrapylon._core.policy cimport Policy
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed


cdef class Patience(Timed):
    # How long the others wait.
    cdef Coalescing policy
    cdef Errand leader


cdef class Errand(Asked):
    # What becomes of a request that the store does not answer at once.
    cdef bytes name                 # of its key
    cdef Plan plan                  # that it was looked up for
    cdef bint keeps                 # its answer may be stored
    cdef bint leads                 # others wait for it, or will
    cdef bint shared                # and its answer is stored
    cdef bint lost                  # its client has gone
    cdef list waiting               # Errands
    cdef Patience patience          # since somebody waits
    cdef Ticket ticket              # of its own, while it waits
    cdef int turns                  # how many it has waited for
    cdef bint collapsed             # it got what another one brought
    cdef const char* why            # it was sent on (RFC 9211 section 2.2)


cdef class Coalescing(Policy):
    cdef Reactor reactor
    cdef DeadlineQueue* wait_time   # NULL: nobody waits
    cdef dict leaders               # key -> Errand

    cdef void lead(self, Errand errand) noexcept
    cdef bint follow(self, Errand leader, Errand errand) noexcept       # False: too many do
    cdef list dismiss(self, Errand leader)
    cdef void let_go(self, Errand leader) noexcept
    cdef void resume(self, Errand errand, Stored stored) noexcept       # None: it goes itself
