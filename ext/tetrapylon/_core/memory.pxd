from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Destination, Exchange, Filter, Peer, Sink
from tetrapylon._core.policy cimport Policy, Verdict
from tetrapylon._core.stages cimport Pipeline


cdef class MemoryExchange(Sink):
    # Both client-side ends of one exchange, and no connection: source of the request, sink of the response.
    cdef Pipeline pipeline
    cdef Exchange exchange              # None: not begun, or over
    cdef Peer peer
    cdef list pieces                    # of the request's body
    cdef Py_ssize_t said                # how many of them have gone
    cdef bint complete                  # no more pieces will be added
    cdef bint paused
    cdef bint pushing
    cdef Head request_trailers
    cdef readonly object slot           # which Exchange object served it, and in which of its lives
    cdef readonly object generation
    cdef readonly list interims
    cdef readonly int status
    cdef readonly list headers
    cdef readonly list pieces_out
    cdef readonly list trailers
    cdef readonly object fault
    cdef readonly int heads
    cdef readonly int ends
    cdef readonly int aborts
    cdef readonly int finishes
    cdef readonly int pauses
    cdef readonly int resumes

    cdef void push(self) noexcept
    cdef void begin(self, bytes method, bytes target, list headers) except *


cdef class MemoryDestination(Destination):
    # Answers by a script, one exchange at a time.
    cdef Exchange exchange
    cdef MemoryPort port
    cdef bint takes
    cdef list script
    cdef Py_ssize_t at
    cdef bint running
    cdef readonly int starts
    cdef readonly int cancels

    cdef void run(self) noexcept
    cdef void step(self, Exchange x, tuple step) except *


cdef class MemoryPort(Sink):
    # The destination's end of the exchange: takes the request's body.
    cdef readonly list pieces
    cdef readonly list trailers
    cdef readonly bint ended
    cdef readonly int pauses
    cdef readonly int resumes


cdef class MemoryPolicy(Policy):
    # Says its verdicts from lists and keeps the tickets and the bodies it was given.
    cdef list verdicts
    cdef list on_response
    cdef Destination answer
    cdef Filter filter
    cdef object whole                   # what it makes of a whole body; None: it stays
    cdef readonly list tickets
    cdef readonly list bodies
    cdef readonly int requests
    cdef readonly int responses
    cdef readonly int ends

    cdef Verdict say(self, Exchange x, list verdicts) noexcept


cdef class MemoryFilter(Filter):
    # Puts something before each piece, and something behind the last.
    cdef bytes before
    cdef bytes after
    cdef readonly int ends
    cdef readonly int aborts
