"""The adaptive concurrency limit of an upstream."""

from libc.math cimport sqrt
from libc.stdint cimport uint64_t


cdef class Limiter:
    def __init__(self, *, double least=4.0, double most=256.0, double initial=16.0, double tolerance=1.5):
        """`tolerance`: how many times its usual time a request may take before the limit shrinks."""
        self.least = least
        self.most = most
        self.limit = min(max(initial, least), most)
        self.tolerance = tolerance

    cdef void observe(self, uint64_t took, bint good, double active) noexcept:
        cdef double ns = <double>took
        cdef double gradient, wanted
        if not good:
            # No time to learn from: what failed asks for less.
            self.limit = max(self.least, self.limit * 0.98)
            return
        if self.short_ns == 0:
            self.short_ns = self.lowest_ns = ns
        self.short_ns += (ns - self.short_ns) * 0.05
        self.counted += 1
        if self.counted % 32:
            return
        # The least that was seen is what an idle upstream takes. It is forgotten within minutes, so that one
        # which has become slower for good gets another.
        if self.short_ns < self.lowest_ns:
            self.lowest_ns += (self.short_ns - self.lowest_ns) * 0.5
        else:
            self.lowest_ns += (self.short_ns - self.lowest_ns) * 0.0002
        gradient = self.tolerance * self.lowest_ns / self.short_ns
        if gradient >= 1.0:
            # Room is only proven where it was used.
            if active * 2 < self.limit:
                return
            wanted = self.limit + sqrt(self.limit)
        else:
            wanted = self.limit * max(gradient, 0.5) + sqrt(self.limit) * 0.5
        self.limit = min(self.most, max(self.least, self.limit + (wanted - self.limit) * 0.2))

    def feed(self, double seconds, int count=32, double active=1e9, bint good=True):
        """As if so many requests had taken so long. Tests steer with it."""
        for _ in range(count):
            self.observe(<uint64_t>(seconds * 1e9), good, active)
        return self.limit
