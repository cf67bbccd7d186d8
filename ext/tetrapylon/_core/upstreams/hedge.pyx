"""After how long a request is asked twice."""

from libc.math cimport ceil, log

from tetrapylon._core.reactor cimport Reactor

cdef double STEP = 1.25         # of the lengths that are waited for, one queue of deadlines each
cdef double SHORTEST = 1e6      # ns
cdef int STEPS = 48
cdef double RATE = 0.05         # by which an answer moves the estimate


cdef class Hedge:
    def __init__(self, Reactor reactor not None, *, double percentile=0.95, double floor=0.002,
                 int least=100):
        """`floor` in seconds: never sooner. `least`: answers that must have come first."""
        self.reactor = reactor
        self.percentile = percentile
        self.floor = floor * 1e9
        self.least = least
        self.step = -1

    cdef void learn(self, double took) noexcept:
        """Up where an answer took longer, down where not: the shares balance at the percentile."""
        if self.after == 0:
            self.after = max(took, 1.0)
        elif took > self.after:
            self.after *= 1 + RATE * self.percentile
        else:
            self.after *= 1 - RATE * (1 - self.percentile)
        self.seen += 1
        if self.seen >= self.least and self.seen % 16 == 0:
            self.settle()

    cdef void longer(self) noexcept:
        self.after *= 1 + RATE * self.percentile

    cdef void settle(self) noexcept:
        cdef double wait = max(self.after, self.floor, SHORTEST)
        cdef int step = min(STEPS, <int>ceil(log(wait / SHORTEST) / log(STEP)))
        if step == self.step:
            return
        try:
            self.patience = self.reactor.queue(SHORTEST * STEP ** step / 1e9)
        except MemoryError:
            return                  # the last length does meanwhile
        self.step = step

    def feed(self, list seconds not None):
        """As if answers had taken so long; what the percentile is then, in seconds. Tests steer with it."""
        for each in seconds:
            self.learn(<double>each * 1e9)
        return self.after / 1e9
