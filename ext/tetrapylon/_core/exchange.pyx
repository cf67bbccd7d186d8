from tetrapylon._core.buffer cimport head_free, head_reset
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
    x.entered = 0
    x.ticket = 0
    x.fault = NO_FAULT
    x.body_in = x.bytes_in = x.bytes_out = 0
    x.began = x.sent = x.answered = x.waited = 0
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
    x.answer = None
    x.upstream_name = None
    live -= 1
    if free_count < FREE_MAX:
        x.next_free = free_list
        free_list = x
        free_count += 1
