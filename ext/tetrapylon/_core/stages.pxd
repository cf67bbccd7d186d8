from libc.stdint cimport uint64_t

from tetrapylon._core.buffer cimport Head, Header
from tetrapylon._core.exchange cimport Exchange, Fault, Held, Stages
from tetrapylon._core.http.message cimport Limits
from tetrapylon._core.http.pages cimport Pages
from tetrapylon._core.http.respond cimport Answer
from tetrapylon._core.http.wire cimport Via
from tetrapylon._core.lifetime cimport Lifetime
from tetrapylon._core.policy cimport Policy, Verdict
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed
from tetrapylon._core.routing.route cimport Router
from tetrapylon._core.telemetry.counters cimport Slab, WorkerCounters
from tetrapylon._core.telemetry.log cimport AccessLog


cdef class Snapshot:
    # What one config means to the data plane. Immutable; swapped whole.
    cdef readonly Router router         # its destinations are Plans
    cdef readonly Limits limits
    cdef Via via
    cdef DeadlineQueue* header
    cdef DeadlineQueue* handshake
    cdef DeadlineQueue* body_idle
    cdef DeadlineQueue* keepalive       # NULL: connections are not kept
    cdef readonly Py_ssize_t max_connections
    cdef readonly Py_ssize_t max_connections_per_client     # 0: as many as in all
    cdef readonly tuple reserved        # names of fields that no client may set, in lower case; () for none
    cdef Lifetime lifetime              # of client connections
    cdef readonly Pages pages           # the config's own error bodies, or None
    cdef readonly object trusts         # (address text) -> bool, or None: no proxy is trusted
    cdef readonly tuple stamps          # the policies of all routes that mark answers without a route, too


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
    cdef int find(self, Exchange x, const char* method, size_t method_n, const Header* host) noexcept
    cdef bint finds_preflight(self, Exchange x, const Header* host) noexcept
    cdef void hide(self, Head* head) noexcept
    cdef Fault introduce(self, Exchange x) noexcept
    cdef void proceed(self, Exchange x) noexcept
    cdef bint goes_on(self, Exchange x, Policy policy, Verdict verdict) noexcept
    cdef void leave(self, Exchange x) noexcept
    cdef bint passes_policies(self, Exchange x) noexcept
    cdef bint leaves(self, Exchange x, Policy policy, Verdict verdict) noexcept
    cdef bint whole(self, Exchange x) noexcept
    cdef void replace(self, Exchange x) noexcept
    cdef void give_up(self, Exchange x) noexcept
    cdef void let_go(self, Exchange x, Held held) noexcept
    cdef bint filters_end(self, Exchange x) noexcept
    cdef void write_log(self, Exchange x, uint64_t total, uint64_t gateway, uint64_t upstream) noexcept
    cdef bint last_hop(self, Exchange x) noexcept
    cdef void refuse_method(self, Exchange x, uint64_t allowed) noexcept
    cdef void answer_fault(self, Exchange x, Fault fault, bytes allow) noexcept
    cdef tuple stamps_of(self, Exchange x)
    cdef void answer_early(self, Exchange x, Answer answer) noexcept
