from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.buffer cimport Buffer, Header, head_add, head_free, head_reset
from tetrapylon._core.reactor cimport Timed, disarm
from tetrapylon._core.stream cimport NOWHERE, Stream


cdef class Source:
    cdef void pause(self, Exchange x) noexcept:
        pass

    cdef void resume(self, Exchange x) noexcept:
        pass

    cdef void finished(self, Exchange x) noexcept:
        pass


cdef class Sink(Source):
    cdef void head(self, Exchange x) noexcept:
        pass

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        pass

    cdef void end(self, Exchange x) noexcept:
        pass

    cdef void abort(self, Exchange x) noexcept:
        pass

    cdef Stream detach(self, Exchange x):
        return NOWHERE


cdef class Destination:
    cdef void start(self, Exchange x) noexcept:
        x.stages.fail(x, INTERNAL_FAULT)

    cdef void cancel(self, Exchange x) noexcept:
        pass


cdef class Stages:
    cdef void start(self, Exchange x) noexcept:
        pass

    cdef void interim(self, Exchange x) noexcept:
        pass

    cdef void head(self, Exchange x) noexcept:
        pass

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        pass

    cdef void end(self, Exchange x) noexcept:
        pass

    cdef void fail(self, Exchange x, Fault fault) noexcept:
        pass

    cdef void cancel(self, Exchange x, Fault fault) noexcept:
        pass

    cdef void finish(self, Exchange x) noexcept:
        pass

    cdef void upgrade(self, Exchange x, Stream upstream, const char* early, size_t n) noexcept:
        pass

    cdef void collected(self, Exchange x) noexcept:
        pass

    cdef void refused(self, Exchange x) noexcept:
        pass

    cdef void wake(self, Ticket ticket) noexcept:
        pass


cdef uint64_t issued = 0


cdef Ticket wait(Exchange x):
    global issued
    cdef Ticket ticket = Ticket.__new__(Ticket)
    issued += 1
    x.ticket = issued
    ticket.exchange = x
    ticket.stages = x.stages
    ticket.generation = x.generation
    ticket.number = issued
    return ticket


cdef bint current(Ticket ticket) noexcept:
    cdef Exchange x = ticket.exchange
    return x.generation == ticket.generation and x.ticket == ticket.number and not x.over


cdef class Ticket:
    def resume(self):
        self.stages.wake(self)


cdef class Consumer:
    def __init__(self, str name not None, *, groups=(), metadata=None):
        self.name = name
        self.label = name.encode()
        self.groups = frozenset(groups)
        self.metadata = dict(metadata or {})


cdef class Filter:
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        self.emit(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        pass

    cdef void abort(self, Exchange x) noexcept:
        pass

    cdef void emit(self, Exchange x, const char* data, size_t n) noexcept:
        if self.next is not None:
            self.next.body(x, data, n)
        else:
            x.sink.body(x, data, n)

    cdef void emit_bytes(self, Exchange x, bytes data) noexcept:
        if data:
            x.stages.reactor.keep(data)
            self.emit(x, data, len(data))


cdef void install(Exchange x, Filter filter) noexcept:
    cdef Filter last = x.filter
    if last is None:
        x.filter = filter
        return
    while last.next is not None:
        last = last.next
    last.next = filter


cdef void dam_up(Exchange x) noexcept:
    if x.dam is None:           # else the filter waits again before what is behind the dam has gone on
        x.dam = Held.__new__(Held)
    if x.destination is not None:
        x.destination.pause(x)


cdef void drop_filters(Exchange x) noexcept:
    """The body that they were for will not be complete."""
    cdef Filter filter = x.filter
    x.filter = None
    while filter is not None:
        filter.abort(x)
        filter = filter.next


cdef void deliver(Exchange x, const char* data, size_t n) noexcept:
    """`data` NULL: the body lies in the head, as its `target`, which a response has no other use for."""
    cdef uint64_t response = response_of(x)
    cdef uint32_t at = x.response.target
    x.stages.head(x)
    if n and still_wanted(x, response):
        if data is NULL:
            data = x.response.data + at
        x.stages.body(x, data, n)
    if still_wanted(x, response):
        x.stages.end(x)


cdef class Held:
    def __dealloc__(self):
        head_free(&self.trailers)

    cdef int keep(self, const char* data, size_t n) except -1:
        if self.body is None:
            self.body = Buffer()
        self.body.append(data, n)
        return 0

    cdef void keep_trailers(self, const Head* trailers) noexcept:
        cdef const Header* line
        cdef uint32_t i
        if trailers is NULL or trailers == &self.trailers:
            return
        head_reset(&self.trailers)
        self.has_trailers = True
        for i in range(trailers.count):
            line = &trailers.headers[i]
            if head_add(&self.trailers, trailers.data + line.name, line.name_length,
                        trailers.data + line.value, line.value_length, line.mark) < 0:
                self.has_trailers = False


cdef class Peer:
    pass


cdef class Plan:
    pass


cdef class Exchange(Timed):
    def __dealloc__(self):
        head_free(&self.request)
        head_free(&self.response)

    cdef void timed_out(self) noexcept:
        if not self.over:
            self.stages.fail(self, TOTAL_TIMEOUT)


cdef enum:
    FREE_MAX = 256

cdef Exchange free_list = None
cdef Py_ssize_t free_count = 0
cdef Py_ssize_t live = 0


cpdef Py_ssize_t live_exchanges():
    return live


cdef Exchange acquire(Stages stages, Source source, Sink sink, Peer peer):
    """An exchange whose request is about to be read into `x.request`."""
    global free_list, free_count, live
    cdef Exchange x = free_list
    if x is None:
        x = Exchange.__new__(Exchange)
    else:
        free_list = x.next_free
        x.next_free = None
        free_count -= 1
    live += 1
    head_reset(&x.request)
    head_reset(&x.response)
    x.stages = stages
    x.source = source
    x.sink = sink
    x.peer = peer
    x.trailers = NULL
    x.match.n_params = 0
    x.asked = x.asked_length = x.path_length = 0
    x.routed = x.request_complete = x.response_started = x.over = x.replayed = False
    x.body_here = False
    x.connects = 0
    x.client_n = 0
    x.told = x.congested = False
    x.entered = 0
    x.leaving = -1
    x.ticket = 0
    x.fault = NO_FAULT
    x.body_in = x.bytes_in = x.bytes_out = 0
    x.began = x.sent = x.answered = x.waited = x.since = 0
    x.whom = NO_WAIT
    x.spent[<int>FOR_UPSTREAM] = x.spent[<int>FOR_CLIENT] = 0
    x.status = 0
    return x


cdef void release(Exchange x) noexcept:
    """Back to the free list: whoever still holds the object finds another generation."""
    global free_list, free_count, live
    disarm(x)
    x.generation += 1
    x.stages = None
    x.source = None
    x.sink = None
    x.destination = None
    x.plan = None
    x.peer = None
    x.attempt = None
    x.tunnel = None
    x.upstream_name = None
    # Most exchanges have none of these, and to look is cheaper than to forget.
    if x.answer is not None:
        x.answer = None
    if x.consumer is not None:
        x.consumer = None
    if x.reason is not None:
        x.reason = None
    if x.notes is not None:
        x.notes = None
    if x.body is not None:
        x.body = None
    if x.filter is not None:
        x.filter = None
    if x.held is not None:
        x.held = None
    if x.dam is not None:
        x.dam = None
    if x.tries is not None:
        x.tries = None
    live -= 1
    if free_count < FREE_MAX:
        x.next_free = free_list
        free_list = x
        free_count += 1
