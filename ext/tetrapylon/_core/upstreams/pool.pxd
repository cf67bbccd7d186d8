cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tetrapylon._core.exchange cimport Destination, Exchange, Fault, Sink
from tetrapylon._core.http.message cimport Limits, Parser
from tetrapylon._core.http.wire cimport Additions, HostKind, Via
from tetrapylon._core.lifetime cimport Lifetime, Span
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed
from tetrapylon._core.stream cimport Connection
from tetrapylon._core.telemetry.counters cimport UpstreamCounters, WorkerCounters
from tetrapylon._core.upstreams.target cimport Target


cdef class Pool(Destination):
    # What the connections of an upstream share: settings, books, and the questions they ask of it.
    cdef Reactor reactor
    cdef readonly str name
    cdef HostKind host_kind
    cdef bytes host
    cdef Via via
    cdef Additions additions            # or None
    cdef bytes deadline_header          # in which the target is told how long it has; None: it is not
    cdef Lifetime lifetime              # of its connections
    cdef Limits limits
    cdef WorkerCounters* counters
    cdef UpstreamCounters* tally
    cdef object slab
    cdef readonly Py_ssize_t connections
    cdef readonly Py_ssize_t active     # of these, carrying a request
    cdef Py_ssize_t uploads             # connections whose request is still coming from its client
    cdef DeadlineQueue* pool_idle       # NULL: idle connections are not kept
    cdef bint closing
    cdef bint hedging                   # may a request be asked of two targets at once?

    cdef DeadlineQueue* patience(self, Exchange x) noexcept     # for this try, where it hurries
    cdef bint hurries(self, Exchange x) noexcept                # is there another try after this one?
    cdef bint would_retry(self, Exchange x) noexcept            # after a timeout, now
    cdef bint withholds(self, Exchange x) noexcept              # is the response not to go down?
    cdef void answered(self, Target target, Exchange x) noexcept    # its head is about to go down
    cdef void observe(self, Target target, bint good, uint64_t took) noexcept
    cdef bint admits(self) noexcept                             # may one more request be under way?
    cdef void dispatch(self, Exchange x) noexcept
    cdef void plan_hedge(self, UpstreamConnection first) noexcept
    cdef void hedge_now(self, UpstreamConnection first) noexcept
    cdef void retry_after(self, Exchange x, Target target) noexcept     # a response that was withheld
    cdef void connect_failed(self, Exchange x, Target target, Fault fault) noexcept
    cdef void failed(self, Exchange x, Target target, Fault fault) noexcept
    cdef Exchange next_waiting(self)
    cdef void serve_waiting(self) noexcept


@cython.final
cdef class UpstreamConnection(Connection):
    # One HTTP/1.1 connection to a target. Carries one exchange at a time.
    cdef Pool upstream
    cdef Target target
    cdef Exchange exchange              # set and cleared by `take` and `part` alone
    cdef Requester port
    cdef Parser parser
    cdef UpstreamConnection newer       # neighbours in the target's idle list
    cdef UpstreamConnection older
    cdef Span span
    # While two targets are asked the same: whichever says the first byte carries the exchange from there.
    cdef UpstreamConnection rival
    cdef HedgeTimer hedge_timer         # made on the first need
    cdef uint64_t asked                 # ns, of a hedge: when it was sent
    cdef uint64_t dialled               # ns, monotonic
    cdef bint connecting
    cdef bint pooled
    cdef bint reused
    cdef bint heard                     # the response has begun
    cdef bint hurried                   # the deadline is that of one try of several
    cdef bint alive
    cdef bint uploading                 # its exchange's request is not complete

    cdef void assign(self, Exchange x) noexcept
    cdef void put(self, Exchange x) noexcept
    cdef void ask_too(self, Exchange x) noexcept
    cdef void win(self, Exchange x) noexcept
    cdef void give_way(self) noexcept
    cdef void leave_to_client(self, Exchange x, uint64_t now) noexcept
    cdef void await_head(self, Exchange x) noexcept
    cdef void take(self, Exchange x) noexcept
    cdef void part(self) noexcept
    cdef void claim(self, Exchange x) noexcept
    cdef void uploaded(self) noexcept
    cdef void complete(self, bint keep) noexcept
    cdef void discard(self, Exchange x, const char* data, size_t n) noexcept
    cdef void let_go(self, bint keep) noexcept
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


@cython.final
cdef class HedgeTimer(Timed):
    cdef UpstreamConnection connection


cdef bint is_upload(Exchange x) noexcept
