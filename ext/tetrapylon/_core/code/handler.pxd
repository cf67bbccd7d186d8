# A route's destination that is a function of the user's.

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.buffer cimport Buffer
from tetrapylon._core.code.arguments cimport BadArgument
from tetrapylon._core.code.coroutine cimport Carrier, Runner, Waiter
from tetrapylon._core.code.guard cimport Work
from tetrapylon._core.code.surface cimport Request, Response
from tetrapylon._core.exchange cimport Destination, Exchange, Sink


cdef class Made(Destination):
    # Answers with a Response that user code made; one each.
    cdef Response response
    cdef Answerer answerer
    cdef Work work


cdef class Answerer:
    # Puts what user code returns on the wire; one a gateway, with its encoder and the buffer that it fills.
    cdef Runner runner
    cdef object encode_into
    cdef object buffer

    cdef int answer(self, Exchange x, object result, bint is_json) except -1
    cdef int json(self, Exchange x, object value, int status, Response response) except -1
    cdef int send(self, Exchange x, int status, bytes content_type, Response response,
                  const char* data, size_t n) except -1
    cdef int head(self, Exchange x, int status, bytes content_type, Response response, Py_ssize_t n) except -1


cdef class Call(Waiter):
    # What a handler knows of an exchange that it has not answered yet.
    cdef Handler handler
    cdef Exchange x
    cdef uint32_t generation
    cdef Buffer pieces                  # of the body, while it comes
    cdef bytes body
    cdef Carrier carrier
    cdef bint streaming
    cdef bint paused                    # the client takes no more of a stream for now
    cdef object gate                    # the future that the stream waits for, or None
    cdef uint64_t yields                # when others get their turn (ns)
    cdef Response response              # whose content the stream is, or None

    cdef bint live(self) noexcept
    cdef void finish_stream(self) noexcept


cdef class Intake(Sink):
    # Takes the request's body, and its client's pauses of the stream.
    cdef Handler handler


cdef class Handler(Destination):
    cdef readonly str name
    cdef object function
    cdef tuple arguments                # of Argument, in the order of the call
    cdef tuple keywords                 # names of the last ones, given by name
    cdef bint wants_body
    cdef bint wants_request
    cdef bint plain_json                # returns what is JSON, by its annotation
    cdef size_t body_limit
    cdef dict shared
    cdef Answerer answerer
    cdef Runner runner
    cdef Work work
    cdef Intake intake

    cdef Call new_call(self, Exchange x)
    cdef object explained(self, Exchange x, BadArgument first)
    cdef void invoke(self, Exchange x) noexcept
    cdef object call(self, Exchange x)
    cdef void settle(self, Exchange x, object result) noexcept
    cdef void refuse(self, Exchange x, object error) noexcept
    cdef void stream(self, Exchange x, object iterator, Response response) noexcept


cdef bytes problem_text(int status, object detail, list errors)
cdef void send_problem(Exchange x, int status, bytes text, list headers) noexcept
