"""Exchanges in a queue, linked through themselves."""

from tetrapylon._core.exchange cimport Exchange


cdef class Line:
    cdef void add(self, Exchange x) noexcept:
        x.next_waiting = None
        if self.last is None:
            self.first = x
        else:
            self.last.next_waiting = x
        self.last = x
        self.length += 1

    cdef bint take(self, Exchange x) noexcept:
        """Take one out, wherever it stands; False: it is not here."""
        cdef Exchange before = None
        cdef Exchange at = self.first
        while at is not None and at is not x:
            before = at
            at = at.next_waiting
        if at is None:
            return False
        if before is None:
            self.first = x.next_waiting
        else:
            before.next_waiting = x.next_waiting
        if self.last is x:
            self.last = before
        x.next_waiting = None
        self.length -= 1
        return True
