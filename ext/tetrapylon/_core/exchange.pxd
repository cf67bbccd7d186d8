from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport Buffer, Head
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed
from tetrapylon._core.routing.trie cimport Match
from tetrapylon._core.stream cimport Stream
from tetrapylon._core.telemetry.counters cimport RouteCounters


cdef enum Fault:
    # Why the gateway itself ends an exchange. respond.pyx gives each its status and its Proxy-Status error
    # (RFC 9209).
    NO_FAULT = 0
    BAD_REQUEST             # framing or syntax
    BAD_TARGET              # a path or target that is refused
    BAD_HOST
    TLS_UNEXPECTED          # a TLS handshake where plain text is expected
    NO_SUCH_ROUTE
    NO_SUCH_METHOD
    REQUEST_TIMEOUT
    BODY_TOO_LARGE
    TARGET_LONG
    HEAD_LARGE
    BAD_VERSION
    BAD_EXPECTATION
    LOOPED
    DNS_FAILED
    CONNECT_FAILED
    CONNECT_TIMEOUT
    TLS_FAILED              # the handshake with the upstream, or a record of its
    CERTIFICATE_REFUSED     # the upstream's, by us
    TLS_ALERTED             # the upstream refuses: our certificate, most likely
    UPSTREAM_CLOSED         # before the response's head was complete
    RESPONSE_MALFORMED
    RESPONSE_CUT            # after it had begun
    RESPONSE_TIMEOUT
    RESPONSE_STALLED        # after it had begun
    RESPONSE_LARGE          # larger than a policy that wants it whole takes
    NO_TARGET
    QUEUE_FULL
    QUEUE_TIMEOUT
    TOTAL_TIMEOUT
    CIRCUIT_OPEN
    SHED                    # for a request that matters more
    STOPPING
    INTERNAL_FAULT
    CLIENT_GONE
    CLIENT_STALLED          # does not read its response
    FAULTS                  # how many there are


cdef enum Whom:
    # Who is waited for. Of an exchange's time, what is no wait for others is the gateway's own.
    NO_WAIT = 0
    FOR_UPSTREAM            # for a connection, for the answer, for more of it, or to take more of the request
    FOR_CLIENT              # for more of the request, or to take more of the answer; tunnels are its affair


cdef class Source:
    # Where a message's body comes from: it pushes, until it is paused.
    cdef void pause(self, Exchange x) noexcept
    cdef void resume(self, Exchange x) noexcept
    cdef void finished(self, Exchange x) noexcept       # over; only its source may still use it


cdef class Sink(Source):
    # Where a message goes. Each end of an exchange is the Source of one message and the Sink of the other,
    # hence the inheritance. Bytes handed to `body` last for the current piece of work (see Stream.write).
    cdef void head(self, Exchange x) noexcept
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept
    cdef void end(self, Exchange x) noexcept
    cdef void abort(self, Exchange x) noexcept          # the message will never be complete
    cdef Stream detach(self, Exchange x)                # the stream below, for a tunnel


cdef class Destination:
    # What a route leads to. `start` answers by Stages.head/body/end/fail, now or later. To take the request's
    # body it sets `Exchange.destination`; until then the source is to be paused.
    cdef void start(self, Exchange x) noexcept
    cdef void cancel(self, Exchange x) noexcept         # give it up: its source is gone or it was answered


cdef class Stages:
    # The stages of an exchange's life, as the ends see them; downstream.pyx drives them.
    cdef readonly Reactor reactor
    cdef bytes pseudonym                # this gateway's name in Via and Proxy-Status
    cdef object pages                   # the config's own error bodies, or None

    cdef void start(self, Exchange x) noexcept          # the request's head is there
    cdef void interim(self, Exchange x) noexcept        # a 1xx response, in x.response
    cdef void head(self, Exchange x) noexcept           # the response's head is there
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept
    cdef void end(self, Exchange x) noexcept
    cdef void fail(self, Exchange x, Fault fault) noexcept      # no answer, or no more of it, will come
    cdef void cancel(self, Exchange x, Fault fault) noexcept    # no answer is wanted any more
    cdef void finish(self, Exchange x) noexcept         # count it, log it, give it back to its source
    cdef void upgrade(self, Exchange x, Stream upstream, const char* early, size_t n) noexcept
    cdef void collected(self, Exchange x) noexcept      # the request's body is whole, in x.body
    cdef void refused(self, Exchange x) noexcept        # a policy answers instead of the destination
    cdef void wake(self, Ticket ticket) noexcept        # what an exchange waited for has come


cdef class Ticket:
    # The right to resume an exchange that waits. Late or repeated use is a counted no-op: the object may be
    # another client's exchange by now, and then it has another generation.
    cdef Exchange exchange
    cdef Stages stages
    cdef uint32_t generation
    cdef uint64_t number


cdef class Consumer:
    # Who a request is from, once a policy knows. Immutable; shared by all its requests.
    cdef readonly str name
    cdef bytes label                    # the name, for logs and header fields
    cdef readonly frozenset groups
    cdef readonly dict metadata


cdef class Filter:
    # A step of a response's body on its way down, installed by a policy's response side.
    cdef Filter next                    # None: the sink comes next
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept
    cdef void end(self, Exchange x) noexcept            # the body is complete: emit what is left
    cdef void abort(self, Exchange x) noexcept          # it never will be
    cdef void emit(self, Exchange x, const char* data, size_t n) noexcept   # what lasts for the piece of work
    cdef void emit_bytes(self, Exchange x, bytes data) noexcept             # kept alive as long as it needs


cdef class Held:
    # A response that waits for a policy: its head in Exchange.response, and what has come of its body.
    cdef Buffer body
    cdef Head trailers
    cdef bint has_trailers
    cdef bint ended
    cdef bint collecting                # for the policy to have it whole; else for its verdict
    cdef bint filtered                  # collecting behind the filters: what comes passes these first
    cdef size_t limit
    cdef Destination answer             # Exchange.answer as the wait began

    cdef int keep(self, const char* data, size_t n) except -1
    cdef void keep_trailers(self, const Head* trailers) noexcept


cdef class Peer:
    # Who is on the other side of a client connection.
    cdef char[64] address       # as text, without port
    cdef size_t address_n
    cdef bint tls
    cdef bint trusted           # its X-Forwarded-* are believed
    cdef bint crowded           # counted among the connections of its address
    cdef readonly bytes subject         # of its client certificate, as RFC 4514 has it; None: none was shown
    cdef bytes subject_header           # in which upstreams are told; None: they are not


cdef class Plan:
    # What happens to the requests of one route. Immutable; an exchange keeps the one that it started with.
    cdef readonly str name
    cdef bytes label                    # the name, for logs
    cdef Destination destination
    cdef RouteCounters* counters
    cdef object slab                    # keeps `counters` alive
    cdef int64_t body_limit             # -1: none
    cdef uint64_t body_time             # ns for a whole request to arrive; 0: no limit
    cdef DeadlineQueue* body_idle       # NULL: no such timeout
    cdef DeadlineQueue* response
    cdef DeadlineQueue* idle
    cdef DeadlineQueue* total
    cdef DeadlineQueue* tunnel
    cdef list rewrite                   # bytes and parameter indices in turn; None: as it came
    cdef tuple policies
    cdef uint64_t logged                # the share of its answers that is logged; as AccessRecord.share
    cdef int priority                   # who waits longer and is shed first; 0 is served first
    cdef tuple parameters               # names of what the path matches, in the order of Match.params


cdef class Exchange(Timed):
    # One request in flight and its answer. Taken from a free list by its source, given back by it. Where the
    # answer goes (`sink`) and where the request goes (`destination`) are all it knows of the world: no
    # connection, no socket.
    cdef Exchange next_free
    cdef Stages stages
    cdef Source source
    cdef Sink sink
    cdef Sink destination               # None: nobody takes the body yet
    cdef Plan plan
    cdef Peer peer
    cdef char[64] client                # whose request the peer passes on, as trusted proxies say
    cdef size_t client_n                # 0: the peer's own
    cdef Head request
    cdef Head response
    cdef Head* trailers                 # of the message that is about to end; NULL: none
    cdef Match match
    cdef uint32_t asked                 # the normalised target as the client sent it: offset in request.data,
    cdef uint32_t asked_length          # length and that of its path; a rewrite changes request.target alone
    cdef uint32_t path_length
    cdef uint32_t generation            # counts the uses of this object: what a late caller holds is stale
    cdef uint32_t given_up              # and the responses in whose place another came, or none
    cdef object tunnel                  # what it has become after an upgrade
    cdef object attempt                 # the destination's own record, if it needs one
    cdef bytes upstream_name
    cdef object tries                   # what the destination knows of earlier tries; None: there were none

    cdef Consumer consumer              # None: nobody was identified
    cdef bytes reason                   # why a policy refused, for the log; None: none did
    cdef dict notes                     # what policies and plugins keep for themselves; None until used
    cdef bytes body                     # the request's, whole, where a policy or destination asked for it
    cdef Filter filter                  # the response's body passes these
    cdef Held held                      # the response waits for a policy
    cdef Held dam                       # its body waits for a filter

    cdef uint16_t entered               # policies whose request side has run
    cdef int leaving                    # of these, those whose response side is to come; -1: no response yet
    cdef Destination answer             # what a policy answers with
    cdef uint64_t ticket                # of the policy that is waited for; 0: none

    cdef bint routed
    cdef bint request_complete          # its last byte has come
    cdef bint body_here                 # or is in memory already
    cdef bint response_started          # its head is there
    cdef bint told                      # and has gone to the sink
    cdef bint congested                 # the sink takes no more for now
    cdef bint over                      # counted and logged; nothing more happens
    cdef bint replayed
    cdef uint8_t connects               # connection attempts that failed
    cdef uint8_t resends                # tries after the first, at another target or a fresh connection
    cdef Fault fault
    cdef uint64_t body_in
    cdef uint64_t bytes_in
    cdef uint64_t bytes_out
    cdef uint64_t began                 # ns, monotonic: first byte of the request's head
    cdef uint64_t sent                  # request handed to the destination
    cdef uint64_t answered              # first byte of the response; 0: none yet
    cdef uint64_t waited                # ns that the upstream had been waited for by then, all tries together
    cdef Whom whom                      # who is waited for now,
    cdef uint64_t since                 # ns, monotonic: and since when
    cdef uint64_t[3] spent              # ns on each before that; what is the gateway's is what is left
    cdef uint16_t status                # what the client was told


cdef Exchange acquire(Stages stages, Source source, Sink sink, Peer peer)
cdef void release(Exchange x) noexcept
cpdef Py_ssize_t live_exchanges()
cdef Ticket wait(Exchange x)                            # for a policy that says WAIT
cdef bint current(Ticket ticket) noexcept               # does the exchange still wait for it?
cdef void install(Exchange x, Filter filter) noexcept   # behind those that are there
cdef void dam_up(Exchange x) noexcept                   # a filter waits: what comes is held before the first
cdef void drop_filters(Exchange x) noexcept
cdef void deliver(Exchange x, const char* data, size_t n) noexcept      # a response whose head is made, whole


cdef inline uint64_t response_of(Exchange x) noexcept:
    # Whoever sends a response piece by piece asks, when others have had a say, whether it is `still_wanted`:
    # a policy may have put another in its place, or the object may be the next exchange's by now.
    return <uint64_t>x.generation << 32 | x.given_up


cdef inline bint still_wanted(Exchange x, uint64_t response) noexcept:
    return not x.over and response_of(x) == response


cdef inline void turn_to(Exchange x, Whom whom, uint64_t now) noexcept:
    # From now on it is another that is waited for. At any moment it is one alone: all times together are the
    # exchange's.
    if now > x.since:           # the reactor's clock stands still for a piece of work
        x.spent[<int>x.whom] += now - x.since
        x.since = now
    x.whom = whom


cdef inline bint is_method(Exchange x, const char* name, size_t n) noexcept:
    cdef size_t i
    if x.request.method_length != n:
        return False
    for i in range(n):
        if x.request.data[x.request.method + i] != name[i]:
            return False
    return True
