# Bodies that somebody wants whole, or changes.

from tetrapylon._core.exchange cimport Exchange, Filter, Held, Sink


cdef class Collector(Sink):
    # Takes a request's body until it is whole, on behalf of a policy or a destination.
    cdef size_t limit
    cdef object pieces


cdef class Gatherer(Filter):
    # The last of the filters that a collected response passes before the policy has it.
    pass


cdef void collect(Exchange x, size_t limit) noexcept            # Stages.collected comes when it is there
cdef void gather(Exchange x) noexcept           # what is collected passes the filters first that are there
cdef void keep(Exchange x, Held held, const char* data, size_t n) noexcept
cdef int set_request_body(Exchange x, bytes body) except -1
cdef int set_response_body(Exchange x, bytes body) except -1    # of one that is held: within whole_response
cdef bytes held_bytes(Held held)
cdef void unframe(Exchange x) noexcept          # the response's length will be another: it goes out chunked
cdef void say_continue(Exchange x) noexcept     # to who waits for leave to send its body
