"""Exchanges in a queue."""

from tetrapylon._core.exchange cimport QUEUE_TIMEOUT, Exchange
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed, arm, disarm


cdef class Line:
    cdef Waiter add(self, Exchange x, Reactor reactor, DeadlineQueue* patience):
        cdef Waiter waiter = Waiter.__new__(Waiter)
        waiter.exchange = x
        waiter.line = self
        waiter.priority = x.plan.priority
        waiter.before = self.last
        while waiter.before is not None and waiter.before.priority > waiter.priority:
            waiter.before = waiter.before.before
        if waiter.before is None:
            waiter.after = self.first
            self.first = waiter
        else:
            waiter.after = waiter.before.after
            waiter.before.after = waiter
        if waiter.after is None:
            self.last = waiter
        else:
            waiter.after.before = waiter
        self.length += 1
        self.waiting[0] += 1
        arm(reactor, waiter, patience)
        return waiter


cdef class Waiter(Timed):
    cdef void leave(self) noexcept:
        """Out of the line, wherever it stands."""
        cdef Line line = self.line
        disarm(self)
        if self.before is None:
            line.first = self.after
        else:
            self.before.after = self.after
        if self.after is None:
            line.last = self.before
        else:
            self.after.before = self.before
        line.length -= 1
        line.waiting[0] -= 1
        self.exchange = None
        self.line = None
        self.before = self.after = None

    cdef void timed_out(self) noexcept:
        self.exchange.stages.fail(self.exchange, QUEUE_TIMEOUT)
