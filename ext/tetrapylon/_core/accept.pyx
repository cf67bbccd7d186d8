"""Listeners: which clients may connect, and who they are."""

from libc.errno cimport EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno
from libc.stdint cimport uint32_t
from posix.unistd cimport close

from tetrapylon._core.exchange cimport Peer
from tetrapylon._core.net.address cimport network, spell
from tetrapylon._core.net.tls cimport Tls
from tetrapylon._core.proxy_protocol cimport HEADER_MAX, MORE_NEEDED, NO_PROXY_HEADER, read_header
from tetrapylon._core.reactor cimport (
    EPOLLEXCLUSIVE, EPOLLIN, DeadlineQueue, Handle, Reactor, Timed, arm, disarm,
)
from tetrapylon._core.stages cimport Pipeline, Snapshot
from tetrapylon._core.telemetry.counters cimport Reject

import socket

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        MSG_PEEK
    ctypedef unsigned int socklen_t
    cdef struct sockaddr_storage:
        pass
    cdef struct sockaddr:
        pass
    int accept4(int fd, sockaddr* address, socklen_t* n, int flags)
    ssize_t recv(int fd, void* data, size_t n, int flags)

cdef enum:
    ACCEPTS = 64                # connections taken in one go
    LAST_ROUNDS = 128           # such goes at the end: more than any backlog holds

cdef double ACCEPT_PAUSE = 0.1  # s
cdef double SOON = 0.5          # s


# Bytes that the kernel may hold of a connection beyond what is on its way. Without a bound these are
# megabytes for a client that is slow, and its socket is said to be writable only when a third of them has
# gone: one that takes less than that within `body_idle` would be cut as a client that has stopped reading.
MOST_UNSENT = 256 * 1024


cdef class Acceptor(Pipeline):
    def __init__(self, Reactor reactor, Snapshot snapshot, slab, log=None):
        self.listeners = []
        self.announced = set()
        self.crowd = {}
        self.soon = reactor.queue(SOON)

    def listen(self, sock not None, *, Tls tls=None, bint proxy_protocol=False):
        """Accept connections from a listening, non-blocking socket; its descriptor stays the caller's.

        Returns what `stop_listening` takes.
        """
        cdef Listener listener = Listener.__new__(Listener)
        listener.acceptor = self
        listener.announces = proxy_protocol
        listener.tls = tls
        if sock.family != socket.AF_UNIX:
            # What is accepted inherits both.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT)
        listener.fd = socket.dup(sock.fileno())
        self.reactor.register(listener, EPOLLIN | EPOLLEXCLUSIVE)
        self.listeners.append(listener)
        return listener

    def stop_listening(self, Listener listener not None):
        """Take what is queued already, then no more from this one."""
        cdef int _round
        self.listeners.remove(listener)
        self.reactor.enter()
        for _round in range(LAST_ROUNDS):
            if not listener.accept_some():
                break
        self.reactor.close_handle(listener, True)
        self.reactor.leave()

    @property
    def active(self):
        """Client connections still open."""
        return self.connections

    cdef bint full(self) noexcept:
        """Has this gateway all the connections it may have? Then one is refused."""
        if self.connections < self.snapshot.max_connections:
            return False
        self.counters.rejects[<int>Reject.CONNECTION_LIMIT] += 1
        return True

    cdef bint admit(self, Peer peer) noexcept:
        """Count a client's connection, unless there are too many: in all, or from its address."""
        cdef Py_ssize_t limit = self.snapshot.max_connections_per_client
        if self.full():
            return False
        if limit and not peer.trusted and peer.address[0] != c"u":      # of a Unix socket, all are one
            address = network(peer.address, peer.address_n)
            here = self.crowd.get(address, 0)
            if here >= limit:
                self.counters.rejects[<int>Reject.CLIENT_CONNECTION_LIMIT] += 1
                return False
            self.crowd[address] = here + 1
            peer.crowded = True
        self.connections += 1
        self.counters.accepted += 1
        self.counters.now.connections += 1
        return True

    cdef void part(self, Peer peer) noexcept:
        """A client that was admitted has left."""
        self.connections -= 1
        self.counters.now.connections -= 1
        if peer.crowded:
            address = network(peer.address, peer.address_n)
            left = self.crowd[address] - 1
            if left:
                self.crowd[address] = left
            else:
                del self.crowd[address]

    cdef void accepted(self, int fd, Peer peer, Listener listener) noexcept:
        close(fd)

    cdef DeadlineQueue* first_deadline(self) noexcept:
        """By then a new connection has to say something."""
        return self.soon if self.draining else self.snapshot.header

    cdef void take_queued(self) noexcept:
        """Accept all that is queued: nobody else may ever do."""
        cdef int _round
        for listener in self.listeners:
            for _round in range(LAST_ROUNDS):
                if not (<Listener>listener).accept_some():
                    break
        for waiting in list(self.announced):
            (<Announced>waiting).ready(EPOLLIN)
            if waiting in self.announced:
                arm(self.reactor, (<Announced>waiting).patience, self.first_deadline())

    cdef void stop_accepting(self) noexcept:
        for listener in self.listeners:
            self.reactor.close_handle(<Handle>listener, True)
        self.listeners.clear()


cdef class Listener(Handle):
    def change(self, *, Tls tls=None, bint proxy_protocol=False):
        """What connections accepted from now on speak."""
        self.tls = tls
        self.announces = proxy_protocol

    cdef void ready(self, uint32_t events) noexcept:
        self.accept_some()

    cdef bint accept_some(self) noexcept:
        """Accept a few. May there be more?"""
        cdef sockaddr_storage address
        cdef socklen_t n
        cdef int fd, _i
        cdef int taken = 0
        for _i in range(ACCEPTS):
            n = sizeof(address)
            fd = accept4(self.fd, <sockaddr*>&address, &n, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
                    # Stand back until descriptors are free again; the backlog keeps the clients.
                    self.reactor.park(self)
                    self.timer = self.reactor.loop.call_later(ACCEPT_PAUSE, self._resume)
                    return False
                if errno == EAGAIN:
                    return False
                continue            # of one connection alone, which has ended in the queue (accept(2))
            taken += 1
            self.accept_one(fd, &address)
        return taken > 0

    def _resume(self):
        self.timer = None
        if self.fd >= 0:
            self.reactor.unpark(self, EPOLLIN | EPOLLEXCLUSIVE)

    cdef void accept_one(self, int fd, const void* address) noexcept:
        cdef Acceptor acceptor = self.acceptor
        cdef Announced waiting
        cdef Peer peer
        if acceptor.full():
            close(fd)
            return
        peer = Peer.__new__(Peer)
        peer.address_n = spell(address, peer.address)
        if not self.announces:
            acceptor.accepted(fd, peer, self)
            return
        waiting = Announced.__new__(Announced)
        waiting.listener = self
        waiting.peer = peer
        waiting.fd = fd
        try:
            self.reactor.register(waiting, EPOLLIN)
        except OSError:
            close(fd)
            return
        acceptor.announced.add(waiting)
        acceptor.connections += 1
        waiting.patience = Patience.__new__(Patience)
        waiting.patience.waiting = waiting
        arm(self.reactor, waiting.patience, acceptor.first_deadline())


cdef class Patience(Timed):
    cdef void timed_out(self) noexcept:
        self.waiting.refuse()


cdef class Announced(Handle):
    cdef void ready(self, uint32_t events) noexcept:
        cdef ssize_t n = recv(self.fd, self.header + self.length, HEADER_MAX - self.length, MSG_PEEK)
        cdef int verdict
        if n <= 0:
            if n == 0 or errno not in (EAGAIN, EINTR):
                self.refuse()
            return
        verdict = read_header(self.header, self.length + n, self.peer)
        if verdict == NO_PROXY_HEADER:
            self.refuse()
            return
        # What follows the header stays in the socket: it is for the stream.
        if verdict != MORE_NEEDED:
            n = verdict - <ssize_t>self.length
        recv(self.fd, self.header + self.length, n, 0)
        self.length += n
        if verdict != MORE_NEEDED:
            self.welcome()

    cdef void leave(self) noexcept:
        disarm(self.patience)
        self.patience.waiting = None
        self.listener.acceptor.announced.discard(self)
        self.listener.acceptor.connections -= 1
        if self.fd >= 0:
            self.reactor.close_handle(self, False)

    cdef void refuse(self) noexcept:
        self.listener.acceptor.counters.rejects[<int>Reject.PROXY_HEADER] += 1
        self.leave()

    cdef void welcome(self) noexcept:
        cdef int fd = self.fd
        self.reactor.forget_handle(self)
        self.leave()
        self.listener.acceptor.accepted(fd, self.peer, self.listener)
