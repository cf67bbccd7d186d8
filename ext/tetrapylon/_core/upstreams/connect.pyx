"""A connection to a target, being opened."""

from libc.errno cimport EINPROGRESS, errno
from posix.unistd cimport close

from tetrapylon._core.http.parse cimport response_parser
from tetrapylon._core.net.address cimport Address
from tetrapylon._core.net.tls cimport tls_stream
from tetrapylon._core.reactor cimport DeadlineQueue, arm, clock
from tetrapylon._core.stream cimport SocketStream
from tetrapylon._core.upstreams.pool cimport Pool, Requester, UpstreamConnection
from tetrapylon._core.upstreams.target cimport Target

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        AF_UNIX
    cdef struct sockaddr:
        pass
    ctypedef unsigned int socklen_t
    int socket_ "socket"(int domain, int type, int protocol)
    int connect_ "connect"(int fd, const sockaddr* address, socklen_t n)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t n)

cdef extern from "<netinet/in.h>" nogil:
    cdef enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    cdef enum:
        TCP_NODELAY


cdef UpstreamConnection begin(Pool upstream, Target target, DeadlineQueue* patience):
    """Its upstream hears when it is open, or after `patience` that it is not. None: it cannot begin."""
    cdef Address address
    cdef UpstreamConnection connection
    cdef SocketStream stream
    cdef int fd
    cdef int one = 1
    target.turn = (target.turn + 1) % len(target.addresses)
    address = <Address>target.addresses[target.turn]
    fd = socket_(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return None
    if address.family != AF_UNIX:
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    if connect_(fd, <sockaddr*>address.raw, address.raw_n) < 0 and errno != EINPROGRESS:
        close(fd)
        return None
    connection = UpstreamConnection.__new__(UpstreamConnection)
    connection.upstream = upstream
    connection.target = target
    connection.port = Requester.__new__(Requester)
    connection.port.connection = connection
    connection.parser = response_parser(upstream.limits)
    connection.connecting = connection.alive = True
    connection.dialled = clock()
    stream = SocketStream.__new__(SocketStream) if target.tls is None else tls_stream(target.tls)
    connection.stream = stream
    upstream.connections += 1
    target.connections += 1
    upstream.tally.connections += 1
    arm(upstream.reactor, connection, patience)
    try:
        stream.attach(upstream.reactor, connection, fd, True)
    except (OSError, ValueError, MemoryError):
        connection.drop()
        return None
    return connection
