from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport Buffer
from tetrapylon._core.reactor cimport Handle, Reactor, Timed


cdef enum:
    HIGH_WATER = 65536      # queued output above which a stream is congested
    LOW_WATER = 16384       # and below which it is so no longer


cdef class Connection(Timed):
    # What stands on a stream and speaks a protocol. All calls come from the reactor's thread; `data` lasts
    # for the call.
    cdef Stream stream

    cdef void connected(self) noexcept
    cdef void secured(self) noexcept                    # a client's TLS handshake is complete
    cdef void data_received(self, const char* data, size_t n) noexcept
    cdef void eof_received(self) noexcept               # the peer will send no more; writing may still work
    cdef void congested(self) noexcept                  # output is piling up
    cdef void drained(self) noexcept                    # and has been sent
    cdef void lost(self, int error) noexcept            # gone: 0, an errno or a TlsError; the last call


cdef class Stream(Handle):
    # Bytes in and out, flow control, and nothing of the protocol above. Output is gathered ("corked") in the
    # reactor and sent at the end of the current piece of work, so a head, its framing and a body's first
    # bytes cost one system call. What is handed to `write` must stay where it is until then.
    cdef Connection owner
    cdef bint reading
    cdef bint congested
    cdef bint closing           # close once the queue is empty
    cdef bint ended             # the peer has sent its last byte
    cdef bint broken            # output has failed; what is written is dropped

    cdef void write(self, const char* data, size_t n) noexcept
    cdef char* reserve(self, size_t n) noexcept         # room in the arena; NULL: no memory
    cdef void commit(self, char* end) noexcept          # what was put there, up to `end`, is output
    cdef void catch_up(self) noexcept                   # read what has arrived, where that can be known
    cdef void pause_reading(self) noexcept
    cdef void resume_reading(self) noexcept
    cdef void shutdown(self) noexcept                   # no more output, once the queue is empty
    cdef void close(self) noexcept                      # once the queue is empty
    cdef void abort(self, bint reset) noexcept          # now; queued output is lost
    cdef size_t queued(self) noexcept
    cdef str peer_name(self)
    cdef bint speaks_tls(self) noexcept     # below us


cdef Stream NOWHERE             # where a connection stands once its own stream is gone
cdef Connection NOBODY          # who owns a stream once its connection is gone


cdef class SocketStream(Stream):
    # A plain TCP or Unix socket in the reactor's epoll set.
    cdef Buffer out
    cdef bint connecting
    cdef bint parked            # out of the epoll set: the peer hung up while reading was paused
    cdef bint half_closed       # shutdown once the queue is empty

    cdef int attach(self, Reactor reactor, Connection owner, int fd, bint connecting) except -1
    cdef void finish_connect(self) noexcept
    cdef void established(self) noexcept
    cdef int socket_error(self) noexcept
    cdef void receive(self) noexcept
    cdef void hung_up(self, uint32_t events) noexcept
    cdef void vanish(self, int error) noexcept
    cdef void queue(self, const char* data, size_t n) noexcept
    cdef void send_queued(self) noexcept
    cdef void fail_output(self) noexcept


cdef class TransportStream(Stream):
    # An asyncio transport, of any loop, behind the same surface: for embedding and tests.
    cdef object transport
    cdef object protocol

    cdef void made(self, object transport) noexcept
    cdef void gone(self, object error) noexcept


cdef inline void put_piece(Stream stream, const char* data, size_t n) noexcept:
    cdef Reactor reactor = stream.reactor
    cdef int last
    if reactor.corked is not stream:
        if reactor.corked is not None:
            reactor.corked.flush()
        reactor.corked = stream
    last = reactor.piece_count - 1
    if last >= 0 and <char*>reactor.pieces[last].iov_base + reactor.pieces[last].iov_len == data:
        reactor.pieces[last].iov_len += n
        return
    reactor.pieces[reactor.piece_count].iov_base = <void*>data
    reactor.pieces[reactor.piece_count].iov_len = n
    reactor.piece_count += 1
