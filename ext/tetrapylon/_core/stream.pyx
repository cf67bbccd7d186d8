from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EAGAIN, ECONNRESET, EINTR, errno
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset
from posix.unistd cimport close as close_descriptor

from tetrapylon._core.buffer cimport Buffer
from tetrapylon._core.reactor cimport (
    EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, MAX_PIECES, SCRATCH, Handle, Reactor, Timed, iovec,
)

import asyncio

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        MSG_NOSIGNAL
        SHUT_RDWR
        SHUT_WR
        SOL_SOCKET
        SO_ERROR
        SO_LINGER
    cdef struct linger:
        int l_onoff
        int l_linger
    cdef struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t recv(int fd, void* data, size_t n, int flags)
    ssize_t send(int fd, const void* data, size_t n, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int socket_shutdown "shutdown"(int fd, int how)
    int setsockopt(int fd, int level, int name, const void* value, unsigned int n)
    int getsockopt(int fd, int level, int name, void* value, unsigned int* n)

cdef extern from "Python.h":
    int PyBUF_WRITE


cdef enum:
    SMALL = 1024


cdef class Connection(Timed):
    cdef void connected(self) noexcept:
        pass

    cdef void secured(self) noexcept:
        pass

    cdef void data_received(self, const char* data, size_t n) noexcept:
        pass

    cdef void eof_received(self) noexcept:
        pass

    cdef void congested(self) noexcept:
        pass

    cdef void drained(self) noexcept:
        pass

    cdef void lost(self, int error) noexcept:
        pass


cdef class Stream(Handle):
    cdef void write(self, const char* data, size_t n) noexcept:
        if n == 0:
            return
        cdef Reactor reactor = self.reactor
        if reactor.corked is self:
            if reactor.piece_count == MAX_PIECES:
                self.flush()
            elif n <= SMALL and reactor.arena_used + n <= reactor.arena_size:
                # Behind a head, copying a little is cheaper than another piece for the kernel to walk.
                memcpy(reactor.arena + reactor.arena_used, data, n)
                self.commit(reactor.arena + reactor.arena_used + n)
                return
        put_piece(self, data, n)

    cdef char* reserve(self, size_t n) noexcept:
        return self.reactor.reserve(self, n)

    cdef void commit(self, char* end) noexcept:
        cdef char* begin = self.reactor.arena + self.reactor.arena_used
        if end == begin:
            return
        put_piece(self, begin, end - begin)
        self.reactor.arena_used = end - self.reactor.arena

    cdef void catch_up(self) noexcept:
        pass

    cdef void pause_reading(self) noexcept:
        pass

    cdef void resume_reading(self) noexcept:
        pass

    cdef void shutdown(self) noexcept:
        pass

    cdef void close(self) noexcept:
        pass

    cdef void abort(self, bint reset) noexcept:
        pass

    cdef size_t queued(self) noexcept:
        return 0

    cdef str peer_name(self):
        return ""

    cdef bint speaks_tls(self) noexcept:
        return False


cdef class DeadStream(Stream):
    cdef void write(self, const char* data, size_t n) noexcept:
        pass

    cdef char* reserve(self, size_t n) noexcept:
        return NULL

    cdef void commit(self, char* end) noexcept:
        pass


NOWHERE = DeadStream()
NOBODY = Connection()


cdef void reset_on_close(int fd) noexcept:
    cdef linger now
    now.l_onoff = 1
    now.l_linger = 0
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now))


cdef class SocketStream(Stream):
    cdef void released(self) noexcept:
        self.owner = NOBODY

    cdef int attach(self, Reactor reactor, Connection owner, int fd, bint connecting) except -1:
        """Take over the descriptor, also when this raises."""
        self.fd = fd
        self.reactor = reactor
        self.owner = owner
        self.connecting = connecting
        self.reading = True
        try:
            reactor.register(self, EPOLLOUT if connecting else EPOLLIN | EPOLLRDHUP)
        except OSError:
            close_descriptor(fd)
            self.fd = -1
            self.owner = NOBODY
            raise
        return 0

    cdef void ready(self, uint32_t events) noexcept:
        if self.connecting:
            self.finish_connect()
            return
        if events & EPOLLOUT:
            self.send_queued()
            if self.fd < 0:
                return
        if events & EPOLLIN and self.reading:
            self.receive()
        elif events & (EPOLLERR | EPOLLHUP):
            self.hung_up(events)
        elif events & EPOLLRDHUP:
            # Reading is paused; its end is read when it resumes.
            self.reactor.modify(self, self.interest & ~<uint32_t>EPOLLRDHUP)

    cdef void finish_connect(self) noexcept:
        cdef int error = self.socket_error()
        cdef Connection owner = self.owner
        if error:
            self.abort(False)
            owner.lost(error)
            return
        self.connecting = False
        self.reactor.modify(self, EPOLLIN | EPOLLRDHUP)
        self.established()

    cdef void established(self) noexcept:
        self.owner.connected()

    cdef int socket_error(self) noexcept:
        cdef int error = 0
        cdef unsigned int n = sizeof(error)
        getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &error, &n)
        return error

    cdef void receive(self) noexcept:
        cdef ssize_t n = recv(self.fd, self.reactor.scratch, SCRATCH, 0)
        cdef Connection owner = self.owner
        if n > 0:
            owner.data_received(self.reactor.scratch, n)
            return
        if n < 0:
            if errno != EAGAIN and errno != EINTR:
                self.vanish(errno)
            return
        self.ended = True
        self.reading = False
        owner.eof_received()
        if self.fd >= 0:
            self.reactor.modify(self, self.interest & ~<uint32_t>(EPOLLIN | EPOLLRDHUP))

    cdef void hung_up(self, uint32_t events) noexcept:
        """Both directions are over. Bytes that arrived before may wait behind a pause: then stand aside."""
        if events & EPOLLERR or self.ended or self.broken:
            self.vanish(self.socket_error() or ECONNRESET)
        elif not self.parked:
            self.parked = True
            self.reactor.park(self)

    cdef void vanish(self, int error) noexcept:
        cdef Connection owner = self.owner
        self.abort(False)
        owner.lost(error)

    cdef void flush(self) noexcept:
        cdef Reactor reactor = self.reactor
        cdef int count = reactor.piece_count
        cdef iovec* pieces = reactor.pieces
        cdef ssize_t sent = 0
        cdef msghdr message
        cdef int i
        reactor.corked = None
        reactor.piece_count = 0
        reactor.arena_used = 0
        if self.fd < 0 or self.broken:
            return
        if self.out is None and not self.connecting:
            if count == 1:
                sent = send(self.fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
            else:
                memset(&message, 0, sizeof(message))
                message.msg_iov = pieces
                message.msg_iovlen = count
                sent = sendmsg(self.fd, &message, MSG_NOSIGNAL)
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.fail_output()
                    return
                sent = 0
        for i in range(count):
            if <size_t>sent >= pieces[i].iov_len:
                sent -= pieces[i].iov_len
                continue
            self.queue(<char*>pieces[i].iov_base + sent, pieces[i].iov_len - sent)
            sent = 0
        if self.out is not None and not self.congested and self.out.end - self.out.start > HIGH_WATER:
            self.congested = True
            self.owner.congested()

    cdef void fail_output(self) noexcept:
        """Nothing can be sent any more; what the peer said before may still be read (RFC 9112 section 9.5).

        The shutdown makes sure that epoll reports it, in its next batch, whatever the error was.
        """
        self.broken = True
        self.out = None
        self.reactor.modify(self, self.interest & ~<uint32_t>EPOLLOUT)
        socket_shutdown(self.fd, SHUT_RDWR)

    cdef void queue(self, const char* data, size_t n) noexcept:
        if self.out is None:
            self.out = Buffer()
            if not self.connecting:
                self.reactor.modify(self, self.interest | EPOLLOUT)
        try:
            self.out.append(data, n)
        except MemoryError:
            self.out.clear()
            self.abort(True)

    cdef void send_queued(self) noexcept:
        cdef ssize_t sent
        if self.out is not None:
            sent = send(self.fd, self.out.data + self.out.start, self.out.end - self.out.start, MSG_NOSIGNAL)
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.fail_output()
                return
            self.out.take(sent)
            if self.out.end == 0:
                self.out = None
        if self.out is None:
            self.reactor.modify(self, self.interest & ~<uint32_t>EPOLLOUT)
            if self.closing:
                self.vanish(0)
                return
            if self.half_closed:
                socket_shutdown(self.fd, SHUT_WR)
        if self.congested and self.queued() <= LOW_WATER:
            self.congested = False
            self.owner.drained()

    cdef size_t queued(self) noexcept:
        return 0 if self.out is None else self.out.end - self.out.start

    cdef void catch_up(self) noexcept:
        if self.fd >= 0 and self.reading and not self.connecting:
            self.ready(EPOLLIN)
            if self.reactor.corked is not None:
                self.reactor.corked.flush()

    cdef void pause_reading(self) noexcept:
        if self.reading:
            self.reading = False
            self.reactor.modify(self, self.interest & ~<uint32_t>EPOLLIN)

    cdef void resume_reading(self) noexcept:
        if self.reading or self.ended or self.fd < 0:
            return
        self.reading = True
        if self.parked:
            self.parked = False
            self.reactor.unpark(self, self.interest | EPOLLIN | EPOLLRDHUP)
        else:
            self.reactor.modify(self, self.interest | EPOLLIN | EPOLLRDHUP)

    cdef void shutdown(self) noexcept:
        if self.fd < 0:
            return
        if self.reactor.corked is self:
            self.flush()
        if self.half_closed:
            return
        self.half_closed = True
        if self.out is None:
            socket_shutdown(self.fd, SHUT_WR)

    cdef void close(self) noexcept:
        if self.fd < 0:
            return
        if self.reactor.corked is self:
            self.flush()
        if self.out is None:
            self.abort(False)
            return
        self.closing = True
        self.pause_reading()

    cdef void abort(self, bint reset) noexcept:
        if self.fd < 0:
            return
        if reset:
            reset_on_close(self.fd)
        self.out = None
        self.reactor.close_handle(self, False)


class StreamProtocol(asyncio.BufferedProtocol):
    """The asyncio side of a TransportStream."""

    def __init__(self, TransportStream stream not None):
        self.stream = stream

    def connection_made(self, transport):
        (<TransportStream>self.stream).made(transport)

    def get_buffer(self, sizehint):
        cdef TransportStream stream = self.stream
        return PyMemoryView_FromMemory(stream.reactor.scratch, SCRATCH, PyBUF_WRITE)

    def buffer_updated(self, nbytes):
        cdef TransportStream stream = self.stream
        stream.reactor.enter()
        if stream.transport is not None:
            stream.owner.data_received(stream.reactor.scratch, nbytes)
        stream.reactor.leave()

    def eof_received(self):
        cdef TransportStream stream = self.stream
        stream.ended = True
        stream.reactor.enter()
        if stream.transport is not None:
            stream.owner.eof_received()
        stream.reactor.leave()
        return stream.transport is not None     # True keeps our side open

    def pause_writing(self):
        cdef TransportStream stream = self.stream
        stream.congested = True
        stream.reactor.enter()
        if stream.transport is not None:
            stream.owner.congested()
        stream.reactor.leave()

    def resume_writing(self):
        cdef TransportStream stream = self.stream
        stream.congested = False
        stream.reactor.enter()
        if stream.transport is not None:
            stream.owner.drained()
        stream.reactor.leave()

    def connection_lost(self, exc):
        cdef TransportStream stream = self.stream
        stream.reactor.enter()
        stream.gone(exc)
        stream.reactor.leave()


cdef class TransportStream(Stream):
    def __cinit__(self, Reactor reactor not None):
        self.reactor = reactor

    cdef void made(self, object transport) noexcept:
        self.transport = transport
        self.reading = True
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self.reactor.enter()
        self.owner.connected()
        self.reactor.leave()

    cdef void gone(self, object error) noexcept:
        cdef bint open = self.transport is not None
        self.transport = None
        if open:
            self.owner.lost(getattr(error, "errno", None) or (0 if error is None else ECONNRESET))
        self.owner = NOBODY

    cdef void flush(self) noexcept:
        cdef Reactor reactor = self.reactor
        cdef size_t total = 0
        cdef int i
        cdef int count = reactor.piece_count
        cdef char* at
        reactor.corked = None
        reactor.piece_count = 0
        reactor.arena_used = 0
        if self.transport is None:
            return
        for i in range(count):
            total += reactor.pieces[i].iov_len
        data = PyBytes_FromStringAndSize(NULL, total)
        at = PyBytes_AS_STRING(data)
        for i in range(count):
            memcpy(at, reactor.pieces[i].iov_base, reactor.pieces[i].iov_len)
            at += reactor.pieces[i].iov_len
        self.transport.write(data)

    cdef size_t queued(self) noexcept:
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    cdef void pause_reading(self) noexcept:
        if self.reading and self.transport is not None and not self.ended:
            self.reading = False
            self.transport.pause_reading()

    cdef void resume_reading(self) noexcept:
        if not self.reading and self.transport is not None and not self.ended:
            self.reading = True
            self.transport.resume_reading()

    cdef void shutdown(self) noexcept:
        if self.reactor.corked is self:
            self.flush()
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()

    cdef void close(self) noexcept:
        if self.reactor.corked is self:
            self.flush()
        if self.transport is not None:
            self.closing = self.transport.get_write_buffer_size() > 0
            self.transport.close()
            if not self.closing:
                self.transport = None

    cdef void abort(self, bint reset) noexcept:
        transport = self.transport
        if transport is None:
            return
        self.transport = None
        sock = transport.get_extra_info("socket") if reset else None
        if sock is not None:
            reset_on_close(sock.fileno())
        transport.abort()

    cdef str peer_name(self):
        peer = self.transport.get_extra_info("peername") if self.transport is not None else None
        return peer[0] if isinstance(peer, tuple) else ""

    cdef bint speaks_tls(self) noexcept:
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is not None
