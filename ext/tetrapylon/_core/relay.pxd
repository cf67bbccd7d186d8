from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor
from tetrapylon._core.stream cimport Connection, Stream
from tetrapylon._core.telemetry.counters cimport WorkerCounters


cdef class Tunnel:
    # Two streams joined after an upgrade; bytes pass untouched, each side at the other's pace.
    cdef Exchange exchange
    cdef TunnelEnd downstream
    cdef TunnelEnd upstream
    cdef Reactor reactor
    cdef DeadlineQueue* idle
    cdef DeadlineQueue* patience        # for what is queued when it is over
    cdef bint over
    cdef WorkerCounters* counters

    cdef void touch(self) noexcept
    cdef void finish(self) noexcept


cdef class TunnelEnd(Connection):
    cdef Tunnel tunnel
    cdef TunnelEnd other
    cdef bint ended             # its peer has sent its last byte

    cdef void part(self, Stream stream, Reactor reactor, DeadlineQueue* patience) noexcept


cdef Tunnel join(Exchange x, Reactor reactor, Stream downstream, Stream upstream, DeadlineQueue* idle,
                 DeadlineQueue* patience, WorkerCounters* counters)
