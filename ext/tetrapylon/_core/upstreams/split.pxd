from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Destination, Exchange, Plan
from tetrapylon._core.shared.moves cimport Moves, MoveSlot
from tetrapylon._core.upstreams.balance cimport KeyKind


cdef class Branch:
    # One way that a route's requests may go: those it names, or a share of those that none names.
    cdef Plan plan
    cdef uint64_t weight
    cdef list headers               # (name in lower case, value); all must be there
    cdef list cookies               # (name, value)
    cdef frozenset consumers        # names, or None

    cdef bint names(self, Exchange x) noexcept


cdef class Lot:
    # A number for each request: by chance, or the same for the same key.
    cdef bint keyed
    cdef KeyKind kind
    cdef bytes key
    cdef bytes salt                 # so that a share of one route is not the same clients as of another

    cdef uint64_t number(self, Exchange x) noexcept


cdef class Split(Destination):
    # Where a route leads to several upstreams.
    cdef list named                 # branches that name their requests, in order
    cdef list shared                # and those that share the rest
    cdef uint64_t total
    cdef Lot lot

    cdef Branch choose(self, Exchange x)


cdef class Moving(Destination):
    # Where a route leads from one upstream to another, by a share that changes while it serves.
    cdef Plan old
    cdef Plan new
    cdef Moves moves                # keeps the slot
    cdef MoveSlot* slot
    cdef Lot lot
