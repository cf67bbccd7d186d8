# Bodies that somebody wants whole, or changes.

from tetrapylon._core.exchange cimport Exchange, Held, Sink


cdef class Collector(Sink):
    # Takes a request's body until it is whole, on behalf of a policy or a destination.
    cdef size_t limit
    cdef object pieces


cdef void collect(Exchange x, size_t limit) noexcept            # Stages.collected comes when it is there
cdef int set_request_body(Exchange x, bytes body) except -1
cdef int set_response_body(Exchange x, bytes body) except -1    # of one that is held: within whole_response
cdef bytes held_bytes(Held held)
cdef void unframe(Exchange x) noexcept          # the response's length will be another: it goes out chunked
cdef void say_continue(Exchange x) noexcept     # to who waits for leave to send its body
