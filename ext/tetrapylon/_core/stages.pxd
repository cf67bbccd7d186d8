from libc.stdint cimport uint64_t

from tetrapylon._core.counters cimport Slab, WorkerCounters
from tetrapylon._core.exchange cimport Exchange, Fault, Stages
from tetrapylon._core.lifetime cimport Lifetime
from tetrapylon._core.log cimport AccessLog
from tetrapylon._core.message cimport Limits
from tetrapylon._core.policy cimport Ticket
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed
from tetrapylon._core.route cimport Router
from tetrapylon._core.wire cimport Via


cdef class Snapshot:
    # What one config means to the data plane. Immutable; swapped whole.
    cdef readonly Router router         # its destinations are Plans
    cdef readonly Limits limits
    cdef Via via
    cdef DeadlineQueue* header
    cdef DeadlineQueue* body_idle
    cdef DeadlineQueue* keepalive       # NULL: connections are not kept
    cdef readonly Py_ssize_t max_connections
    cdef readonly Py_ssize_t max_connections_per_client     # 0: as many as in all
    cdef Lifetime lifetime              # of client connections
    cdef readonly object trusts         # (address text) -> bool, or None: no proxy is trusted


cdef class Flusher(Timed):
    # Writes the access log out a moment after the first line that waits.
    cdef AccessLog log
    cdef DeadlineQueue* delay


cdef class Pipeline(Stages):
    # Drives every exchange through its stages, in order; what an exchange comes from and goes to is not its
    # concern.
    cdef Snapshot snapshot
    cdef Slab slab
    cdef WorkerCounters* counters
    cdef AccessLog log                  # or None
    cdef Flusher flusher
    cdef readonly bint draining
    cdef char* path_scratch
    cdef size_t path_scratch_n

    cdef void proceed(self, Exchange x) noexcept
    cdef void write_log(self, Exchange x, uint64_t total) noexcept
    cdef Fault read_target(self, Exchange x) noexcept
    cdef Fault read_path(self, Exchange x) noexcept
    cdef Fault rewrite(self, Exchange x) noexcept
    cdef void refuse_method(self, Exchange x, uint64_t allowed) noexcept
    cdef void answer_fault(self, Exchange x, Fault fault, bytes allow) noexcept
    cdef void wake(self, Ticket ticket) noexcept
