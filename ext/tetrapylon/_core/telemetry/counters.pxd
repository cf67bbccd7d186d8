"""Counters and histograms in memory that all processes share.

One slab a worker, and it alone writes there: plain increments of aligned 64-bit words, no lock and no atomic.
A worker's successor goes on in the same slab, so totals survive a death. Pages that nothing was counted on
cost nothing.
"""

from libc.stdint cimport uint64_t

from tetrapylon._core.shared.amounts cimport Amounts
from tetrapylon._core.shared.board cimport Board
from tetrapylon._core.shared.marks cimport Marks
from tetrapylon._core.shared.moves cimport Moves
from tetrapylon._core.shared.segment cimport Segment
from tetrapylon._core.shared.series cimport Series


cdef extern from "counters.h" nogil:
    ctypedef struct Scale "tetrapylon_scale":
        uint64_t bound[15]

    void set_scale "tetrapylon_set_scale"(Scale *scale, const uint64_t *bounds, unsigned int n) noexcept
    unsigned int bucket_of "tetrapylon_bucket"(const Scale *scale, uint64_t ns) noexcept
    unsigned int method_of "tetrapylon_method"(const char *method, size_t n) noexcept


cdef enum:
    BUCKETS = 15
    METHODS = 10            # as `method_of` numbers them
    OUTCOMES = 6            # 0 aborted, 1-5 the class of the status sent
    REJECT_SLOTS = 32


cpdef enum State:
    """What a worker is doing, as it says itself."""
    VACANT = 0
    STARTING = 1
    SERVING = 2
    DRAINING = 3


cpdef enum Reject:
    """Why the gateway itself refused a request or a connection. Append only; at most REJECT_SLOTS."""
    MALFORMED = 0           # 400
    TARGET_TOO_LONG = 1     # 414
    HEAD_TOO_LARGE = 2      # 431
    BODY_TOO_LARGE = 3      # 413
    HEAD_TIMEOUT = 4        # 408 before the head was complete
    BODY_TIMEOUT = 5        # 408 while the body came
    VERSION = 6             # 505
    EXPECTATION = 7         # 417
    LOOP = 8                # 508
    NOT_FOUND = 9           # 404, no route
    METHOD = 10             # 405
    CONNECTION_LIMIT = 11   # closed at accept
    UPSTREAM_CONNECT = 12   # 502
    UPSTREAM_RESPONSE = 13  # 502, malformed or cut before the head
    UPSTREAM_TIMEOUT = 14   # 504
    NO_TARGET = 15          # 503, no healthy one
    POOL_FULL = 16          # 503, pending queue full or waited too long
    DRAINING_NOW = 17       # 503
    POLICY = 18             # a policy answered instead
    INTERNAL = 19           # 500, the gateway's own fault
    CLIENT_CONNECTION_LIMIT = 20    # closed at accept: too many from one address
    PROXY_HEADER = 21       # closed: no valid PROXY header, or none in time
    TLS_HANDSHAKE = 22      # closed: it failed, or took too long
    TLS_ABSENT = 23         # closed: plain text where TLS is expected
    TLS_UNEXPECTED = 24     # 400: TLS where plain text is expected
    CIRCUIT_OPEN = 25       # 503
    SHED = 26               # 503, for a request that matters more


# All members are 64-bit words: sums run over the words.

cdef struct Histogram:
    uint64_t buckets[BUCKETS]
    uint64_t sum_ns


# The bounds in force, set before the workers are forked and the same in all processes.
cdef Scale DURATION             # of requests, the clients' and those to upstreams
cdef Scale SHARE                # of the gateway's own part, and of its loop's delays


cdef struct RouteCounters:
    Histogram gateway               # of requests' times, what was spent in the gateway
    uint64_t upstream_ns            # of that, what was spent waiting for the upstream
    uint64_t bytes_in               # request bytes from clients, heads included
    uint64_t bytes_out              # response bytes to clients, heads included
    uint64_t in_flight              # a gauge
    # By method, how many bytes from here its Durations are; 0: no such request has been counted. So a route
    # takes memory for those methods alone that it was asked by.
    uint64_t durations[METHODS]
    uint64_t unused[2]              # sixteen to a page, and none on two


cdef struct Durations:
    Histogram outcomes[OUTCOMES]    # first byte of the request to last byte of the response


# Of one upstream, in `Slabs.upstreams`.
cdef struct UpstreamCounters:
    Histogram connect               # until a connection is open, its TLS handshake included
    Histogram first_byte            # from the request handed over to the response's first byte
    Histogram total                 # and to its last
    # Gauges, as many as UPSTREAM_GAUGES says
    uint64_t connections            # open, idle ones included
    uint64_t idle
    uint64_t waiting                # requests in the queue


cdef enum:
    UPSTREAM_GAUGES = 3
    UPSTREAM_WORDS = 3 * (BUCKETS + 1) + UPSTREAM_GAUGES


# True now; cleared when a worker starts and when it is reaped.
cdef struct Gauges:
    uint64_t pid
    uint64_t state                  # State
    uint64_t heartbeat_ns           # CLOCK_MONOTONIC, written by the worker's loop
    uint64_t started_ns             # CLOCK_MONOTONIC
    uint64_t connections            # open client connections
    uint64_t exchanges              # requests in flight
    uint64_t tunnels                # open ones; each is an exchange in flight too


cdef struct WorkerCounters:
    Gauges now
    uint64_t accepted               # client connections
    uint64_t rejects[REJECT_SLOTS]  # by Reject
    uint64_t upstream_connects      # connections established
    uint64_t upstream_connect_failures
    uint64_t upstream_reuses        # requests sent on a pooled connection
    uint64_t upstream_replays       # requests sent again after a reused connection died
    uint64_t late_resumes           # tickets resumed after their exchange had gone
    uint64_t log_drops              # access-log lines that could not be written
    uint64_t restarts               # the supervisor's slab: workers replaced
    uint64_t durations              # how many of the slab's Durations are in use
    Histogram lag                   # how late the loop's timer ran


cdef inline void observe(Histogram *histogram, const Scale *scale, uint64_t ns) noexcept nogil:
    histogram.buckets[bucket_of(scale, ns)] += 1
    histogram.sum_ns += ns


cdef class Slabs(Segment):
    cdef readonly Series series
    cdef readonly Series upstreams      # by name: UpstreamCounters
    cdef readonly Py_ssize_t workers
    cdef readonly Py_ssize_t routes
    cdef readonly Amounts amounts       # what policies count by key
    cdef size_t durations               # where in a slab they begin
    cdef Py_ssize_t most_durations      # further ones are counted as the overflow's, route 0
    cdef size_t stride
    cdef readonly Board board
    cdef readonly Marks marks           # of what is cached, when it has changed
    cdef readonly Moves moves

    cdef tuple segments(self)


cdef class Slab:
    cdef Slabs owner
    cdef readonly Py_ssize_t index
    cdef WorkerCounters *worker
    cdef RouteCounters *first       # [0] is `unmatched`, route i is [i + 1]
    cdef Durations *durations

    cdef RouteCounters *route(self, Py_ssize_t i) except NULL
    cdef RouteCounters *unmatched(self) noexcept
    cdef Durations *claim_durations(self, RouteCounters *route, unsigned int method) noexcept
    cdef uint64_t *series(self, str family, dict labels, bint gauge=*) except NULL
    cdef UpstreamCounters *upstream(self, str name) except NULL


cdef inline void count_exchange(
    Slab slab, RouteCounters *route, unsigned int method, unsigned int outcome, uint64_t total_ns,
    uint64_t gateway_ns, uint64_t upstream_ns, uint64_t bytes_in, uint64_t bytes_out,
) noexcept:
    """One finished exchange. `method` as of `method_of`; `outcome`: status // 100, or 0: it was cut short."""
    cdef uint64_t at = route.durations[method]
    cdef Durations *durations = <Durations *>(<char *>route + at)
    if at == 0:
        durations = slab.claim_durations(route, method)
    observe(&durations.outcomes[outcome if outcome < OUTCOMES else 0], &DURATION, total_ns)
    observe(&route.gateway, &SHARE, gateway_ns)
    route.upstream_ns += upstream_ns
    route.bytes_in += bytes_in
    route.bytes_out += bytes_out
