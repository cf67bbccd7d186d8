"""The guard: names the user code that holds the loop, while it does and afterwards."""

from libc.stdint cimport uint64_t

from tetrapylon._core.reactor cimport clock
from tetrapylon._core.telemetry.counters cimport Slab


cdef class Guard:
    pass


GUARD = Guard()


cdef class Work:
    def __init__(self, str name not None, *, double limit=0.1, told=None, complains=None, Slab slab=None):
        """`limit`: seconds of the loop's time at a stretch that pass unremarked."""
        self.name = name
        self.limit = <uint64_t>(limit * 1e9)
        self.told = told
        self.complains = complains
        self.keeper = slab
        if slab is not None:
            labels = {"code": name}
            self.blocked = slab.series("tetrapylon_code_blocked_total", labels)
            self.blocked_ms = slab.series("tetrapylon_code_blocked_milliseconds_total", labels)
            self.errors = slab.series("tetrapylon_code_errors_total", labels)
            self.timeouts = slab.series("tetrapylon_code_timeouts_total", labels)

    cdef void held(self, uint64_t ns) noexcept:
        if self.blocked is not NULL:
            self.blocked[0] += 1
            self.blocked_ms[0] += ns // 1_000_000
        if self.told is not None:
            self.told(self, ns / 1e9)

    cdef void raised(self, object error) noexcept:
        if self.errors is not NULL:
            self.errors[0] += 1
        if self.complains is not None:
            self.complains(self, error)


def holding():
    """The user code that holds the loop now, and for how many seconds: (name, seconds), or None."""
    cdef Work work = GUARD.running
    cdef uint64_t since
    if work is None:
        return None
    since = work.since
    return (work.name, (clock() - since) / 1e9) if since else None
