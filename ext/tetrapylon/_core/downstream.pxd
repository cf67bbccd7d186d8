cimport cython
from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.accept cimport Acceptor
from tetrapylon._core.buffer cimport Buffer
from tetrapylon._core.exchange cimport Exchange, Fault, Peer, Sink
from tetrapylon._core.http.message cimport Parser
from tetrapylon._core.http.wire cimport Framing
from tetrapylon._core.lifetime cimport Span
from tetrapylon._core.reactor cimport DeadlineQueue
from tetrapylon._core.stream cimport Connection, Stream


cdef class Gateway(Acceptor):
    # The pipeline with its client connections.
    cdef tuple closing
    cdef DownstreamConnection newest    # of the list of open connections
    cdef DeadlineQueue* patience        # of a gateway that drains with idle connections; NULL: none


@cython.final
cdef class DownstreamConnection(Connection):
    # One client connection, HTTP/1. Exchanges follow each other on it; a pipelined request waits for its turn
    # as bytes.
    cdef Gateway gateway
    cdef Peer peer
    cdef Parser parser
    cdef Exchange exchange
    cdef ClientSide port
    cdef Buffer leftover                # bytes read that cannot be parsed yet
    cdef DownstreamConnection newer
    cdef DownstreamConnection older
    cdef Span span
    cdef bint counted
    cdef bint heard                     # the client has said something
    cdef bint handshaking               # TLS is not agreed on yet
    cdef bint consuming
    cdef bint paused                    # the exchange takes no body now
    cdef bint keep                      # another request may follow
    cdef bint half_closed               # the client will send no more
    cdef bint lingering                 # only reading until the client has seen our end
    cdef bint discarding                # the answer is out; the rest of the body is read and dropped
    cdef uint32_t discarded

    cdef size_t consume(self, const char* data, size_t n) noexcept
    cdef void consume_leftover(self) noexcept
    cdef void wind_up(self) noexcept
    cdef void await_first(self) noexcept
    cdef bint blocked(self) noexcept
    cdef void refuse(self, Exchange x, Fault fault) noexcept
    cdef void next_request(self) noexcept
    cdef void rest(self) noexcept
    cdef void hang_up(self, bint linger) noexcept
    cdef void forget(self) noexcept
    cdef void take_body(self, Exchange x) noexcept
    cdef bint is_late(self, Exchange x) noexcept
    cdef void give_up_on_body(self, Exchange x, Fault fault) noexcept
    cdef DeadlineQueue* body_deadline(self, Exchange x) noexcept
    cdef void cut(self) noexcept
    cdef void stop(self) noexcept
    cdef void drop_exchange(self) noexcept


@cython.final
cdef class ClientSide(Sink):
    # The exchange's view of a client connection: source of the request, sink of the response.
    cdef DownstreamConnection connection
    cdef Framing framing
