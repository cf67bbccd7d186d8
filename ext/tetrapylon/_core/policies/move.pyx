"""How either side of a move does: what became of each request, and how long its upstream took."""

from tetrapylon._core.exchange cimport (
    BODY_TOO_LARGE, CLIENT_GONE, CLIENT_STALLED, NO_FAULT, REQUEST_TIMEOUT, STOPPING, Destination, Exchange,
)
from tetrapylon._core.policy cimport Policy
from tetrapylon._core.shared.moves cimport NEW, OLD, Moves, MoveSlot, note


cdef class Watch(Policy):
    """On a route that moves. What a policy answers is on neither side."""
    cdef Destination old
    cdef Destination new
    cdef Moves moves                # keeps the slot
    cdef MoveSlot* slot

    def __init__(self, Destination old not None, Destination new not None, Moves moves not None,
                 str route not None):
        self.old = old
        self.new = new
        self.moves = moves
        self.slot = moves.claim(route)

    cdef void end(self, Exchange x) noexcept:
        cdef Destination way = x.plan.destination
        cdef int side
        cdef bint error
        if way is self.new:
            side = NEW
        elif way is self.old:
            side = OLD
        else:
            return
        # What the client or this gateway has ended says nothing of the upstream.
        error = x.fault not in (
            NO_FAULT, CLIENT_GONE, CLIENT_STALLED, REQUEST_TIMEOUT, BODY_TOO_LARGE, STOPPING)
        note(&self.slot.sides[side], error or x.status >= 500, 400 <= x.status < 500,
             x.answered != 0 and x.status != 101, x.waited)
