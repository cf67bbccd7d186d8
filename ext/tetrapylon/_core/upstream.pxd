cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tetrapylon._core.counters cimport WorkerCounters
from tetrapylon._core.exchange cimport Destination, Exchange, Fault, Sink
from tetrapylon._core.lifetime cimport Lifetime, Span
from tetrapylon._core.line cimport Line
from tetrapylon._core.message cimport Limits, Parser
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor
from tetrapylon._core.stream cimport Connection
from tetrapylon._core.tls cimport Tls
from tetrapylon._core.wire cimport Additions, HostKind, Via


cdef class Target:
    # One server of an upstream: its addresses, all used in turn, and its idle connections, most recently used
    # first.
    cdef readonly str name
    cdef bytes label
    cdef bytes host                     # what `host: target` sends
    cdef readonly int weight
    cdef readonly Tls tls               # None: it speaks plain HTTP
    cdef int credit                     # smooth weighted round robin
    cdef readonly list addresses
    cdef Py_ssize_t turn
    cdef UpstreamConnection idle
    cdef readonly Py_ssize_t connections


@cython.final
cdef class Upstream(Destination):
    # A group of targets with one pool. Outlives the configs that name it.
    cdef Reactor reactor
    cdef readonly str name
    cdef readonly list targets
    cdef HostKind host_kind
    cdef bytes host
    cdef Via via
    cdef Additions additions            # or None
    cdef Lifetime lifetime              # of its connections
    cdef Limits limits
    cdef WorkerCounters* counters
    cdef object slab
    cdef Py_ssize_t max_connections
    cdef Py_ssize_t max_pending
    cdef readonly Py_ssize_t connections
    cdef Py_ssize_t uploads             # connections whose request is still coming from its client
    cdef Py_ssize_t max_uploads
    cdef Line ready                     # exchanges that wait for a connection, their request complete,
    cdef Line uploading                 # and others: slow clients must not take every place
    cdef DeadlineQueue* connect_timeout
    cdef DeadlineQueue* queue_timeout
    cdef DeadlineQueue* pool_idle       # NULL: idle connections are not kept
    cdef bint closing
    cdef bint serving                   # those who wait, at this moment

    cdef Target pick(self)
    cdef UpstreamConnection take_idle(self, Target target)
    cdef void dispatch(self, Exchange x) noexcept
    cdef void connect(self, Exchange x, Target target) noexcept
    cdef void enqueue(self, Exchange x) noexcept
    cdef Exchange next_waiting(self)
    cdef bint has_room(self) noexcept
    cdef void serve_waiting(self) noexcept
    cdef void connect_failed(self, Exchange x, Fault fault) noexcept


@cython.final
cdef class UpstreamConnection(Connection):
    # One HTTP/1.1 connection to a target. Carries one exchange at a time.
    cdef Upstream upstream
    cdef Target target
    cdef Exchange exchange
    cdef Requester port
    cdef Parser parser
    cdef UpstreamConnection newer       # neighbours in the target's idle list
    cdef UpstreamConnection older
    cdef Span span
    cdef bint connecting
    cdef bint pooled
    cdef bint reused
    cdef bint heard                     # the response has begun
    cdef bint alive
    cdef bint uploading                 # its exchange's request is not complete

    cdef void assign(self, Exchange x) noexcept
    cdef void claim(self, Exchange x) noexcept
    cdef void uploaded(self) noexcept
    cdef void complete(self, bint keep) noexcept
    cdef void pool(self) noexcept
    cdef void unpool(self) noexcept
    cdef void drop(self) noexcept
    cdef void lose(self, Fault fault) noexcept
    cdef void switch_protocols(self, Exchange x, const char* early, size_t n) noexcept
    cdef void leave(self) noexcept


@cython.final
cdef class Requester(Sink):
    # The exchange's view of an upstream connection: takes the request, is the source of the response.
    cdef UpstreamConnection connection
