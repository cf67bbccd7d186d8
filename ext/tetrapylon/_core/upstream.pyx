cimport cython
from libc.errno cimport EINPROGRESS, errno
from posix.unistd cimport close

from libc.stdint cimport uint32_t

from tetrapylon._core.address cimport Address
from tetrapylon._core.buffer cimport UPGRADE, Head, Header, head_known
from tetrapylon._core.counters cimport Slab
from tetrapylon._core.exchange cimport *
from tetrapylon._core.lifetime cimport Lifetime, spent
from tetrapylon._core.line cimport Line, Waiter
from tetrapylon._core.message cimport *
from tetrapylon._core.parse cimport response_parser
from tetrapylon._core.reactor cimport Reactor, arm, clock, disarm
from tetrapylon._core.stream cimport NOWHERE, Connection, SocketStream, Stream
from tetrapylon._core.tls cimport TLS_ALERT, TLS_CERTIFICATE, TLS_PROTOCOL, Tls, tls_stream
from tetrapylon._core.wire cimport FIXED, PRESERVE, Additions, Via, put_chunk, put_last_chunk, put_request

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* a, const char* b, size_t n)

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


cdef class Target:
    def __init__(self, str name not None, *, bytes host not None, int weight=1, addresses=(), Tls tls=None):
        self.name = name
        self.label = name.encode()
        self.host = host
        self.weight = weight
        self.addresses = list(addresses)
        self.tls = tls

    def set_addresses(self, list addresses not None):
        """Replace the addresses; connections that are open stay."""
        self.addresses = list(addresses)


@cython.final
cdef class Upstream(Destination):
    def __init__(self, Reactor reactor not None, str name not None, list targets not None,
                 Via via not None, *, Slab slab not None, host=None, double connect=2.0, double wait=5.0,
                 double idle=55.0, Py_ssize_t max_connections=256, Py_ssize_t max_pending=1024,
                 Limits limits=None, Additions additions=None, Lifetime lifetime=None):
        """`host` None sends the client's Host on, b"" the target's own, other bytes themselves."""
        self.reactor = reactor
        self.name = name
        self.targets = list(targets)
        self.via = via
        self.host_kind = PRESERVE if host is None else FIXED
        self.host = host or None
        self.limits = limits or Limits()
        self.additions = additions
        self.lifetime = lifetime or Lifetime()
        self.max_connections = max_connections
        self.max_pending = max_pending
        self.max_uploads = max_connections - max_connections // 4
        self.ready = Line()
        self.uploading = Line()
        self.connect_timeout = reactor.queue(connect)
        self.queue_timeout = reactor.queue(wait)
        self.pool_idle = reactor.queue(idle) if idle > 0 else NULL
        self.slab = slab
        self.counters = slab.worker

    # Destination

    cdef void start(self, Exchange x) noexcept:
        if x.request.has_body and not x.request_complete:
            x.source.pause(x)
        self.dispatch(x)

    cdef void cancel(self, Exchange x) noexcept:
        cdef UpstreamConnection connection
        if type(x.attempt) is Waiter:
            (<Waiter>x.attempt).leave()
            x.attempt = None
        elif x.attempt is not None:
            connection = <UpstreamConnection>x.attempt
            x.attempt = None
            connection.exchange = None
            connection.drop()

    # Choice of a connection

    cdef Target pick(self):
        """Smooth weighted round robin over the targets that have an address."""
        cdef Target target
        cdef Target best = None
        cdef int total = 0
        for item in self.targets:
            target = <Target>item
            if not target.addresses:
                continue
            target.credit += target.weight
            total += target.weight
            if best is None or target.credit > best.credit:
                best = target
        if best is not None:
            best.credit -= total
        return best

    cdef UpstreamConnection take_idle(self, Target target):
        cdef UpstreamConnection connection = target.idle
        while connection is not None and connection.span.ends <= self.reactor.now:
            connection.drop()           # too old by now
            connection = target.idle
        if connection is not None:
            connection.unpool()
        return connection

    cdef void dispatch(self, Exchange x) noexcept:
        cdef Target target
        cdef UpstreamConnection connection
        target = <Target>self.targets[0] if len(self.targets) == 1 else self.pick()
        if target is None or not target.addresses:
            x.stages.fail(x, DNS_FAILED)
            return
        if self.uploads >= self.max_uploads and is_upload(x):
            self.enqueue(x)
            return
        connection = self.take_idle(target) if not x.replayed else None
        if connection is not None:
            self.counters.upstream_reuses += 1
            connection.reused = True
            connection.assign(x)
            return
        if self.connections < self.max_connections:
            self.connect(x, target)
            return
        for item in self.targets:
            connection = self.take_idle(<Target>item)
            if connection is not None:
                if x.replayed or <Target>item is not target:
                    connection.drop()           # its place goes to a fresh one
                    self.connect(x, target)
                else:
                    connection.reused = True
                    connection.assign(x)
                return
        self.enqueue(x)

    cdef void connect(self, Exchange x, Target target) noexcept:
        cdef Address address
        cdef UpstreamConnection connection
        cdef SocketStream stream
        cdef int fd
        cdef int one = 1
        target.turn = (target.turn + 1) % len(target.addresses)
        address = <Address>target.addresses[target.turn]
        fd = socket_(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if fd < 0:
            self.connect_failed(x, CONNECT_FAILED)
            return
        if address.family != AF_UNIX:
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
        if connect_(fd, <sockaddr*>address.raw, address.raw_n) < 0 and errno != EINPROGRESS:
            close(fd)
            self.connect_failed(x, CONNECT_FAILED)
            return
        connection = UpstreamConnection.__new__(UpstreamConnection)
        connection.upstream = self
        connection.target = target
        connection.port = Requester.__new__(Requester)
        connection.port.connection = connection
        connection.parser = response_parser(self.limits)
        connection.connecting = connection.alive = True
        connection.claim(x)
        connection.exchange = x
        x.attempt = connection
        stream = SocketStream.__new__(SocketStream) if target.tls is None else tls_stream(target.tls)
        connection.stream = stream
        self.connections += 1
        target.connections += 1
        self.counters.now.upstream_connections += 1
        arm(self.reactor, connection, self.connect_timeout)
        try:
            stream.attach(self.reactor, connection, fd, True)
        except (OSError, MemoryError):
            connection.exchange = None
            connection.drop()
            self.connect_failed(x, CONNECT_FAILED)

    cdef void connect_failed(self, Exchange x, Fault fault) noexcept:
        """Another address or target may do: nothing of the request has left, whatever its method."""
        cdef Py_ssize_t addresses = 0
        self.counters.upstream_connect_failures += 1
        x.attempt = None
        x.connects += 1
        for item in self.targets:
            addresses += len((<Target>item).addresses)
        if x.connects < min(addresses, 8):
            self.dispatch(x)
        else:
            x.stages.fail(x, fault)

    # The queue of exchanges that wait for a connection

    cdef void enqueue(self, Exchange x) noexcept:
        cdef Line line = self.uploading if is_upload(x) else self.ready
        if self.ready.length + self.uploading.length >= self.max_pending:
            x.stages.fail(x, QUEUE_FULL)
            return
        x.attempt = line.add(x, self.reactor, self.queue_timeout)

    cdef Exchange next_waiting(self):
        """The one that has waited longest of those that may have a connection; it waits no more."""
        cdef Waiter waiter = self.ready.first
        cdef Waiter other = self.uploading.first
        cdef Exchange x
        if other is not None and self.uploads < self.max_uploads and (
                waiter is None or other.exchange.began < waiter.exchange.began):
            waiter = other
        if waiter is None:
            return None
        x = waiter.exchange
        waiter.leave()
        x.attempt = None
        return x

    cdef bint has_room(self) noexcept:
        """Is there a connection for one more, open or yet to be opened?"""
        if self.connections < self.max_connections:
            return True
        for target in self.targets:
            if (<Target>target).idle is not None:
                return True
        return False

    cdef void serve_waiting(self) noexcept:
        """A connection was freed or closed. Whose turn it is may fail at once: then it is the next one's."""
        cdef Exchange x
        if self.serving:
            return
        self.serving = True
        while self.has_room():
            x = self.next_waiting()
            if x is None:
                break
            self.dispatch(x)
        self.serving = False

    @property
    def pending(self):
        return self.ready.length + self.uploading.length

    def close(self):
        """Drop the idle connections; those in use end with their exchange."""
        self.closing = True
        for target in self.targets:
            while (<Target>target).idle is not None:
                (<Target>target).idle.drop()


@cython.final
cdef class UpstreamConnection(Connection):
    cdef void connected(self) noexcept:
        cdef Exchange x = self.exchange
        self.connecting = False
        self.upstream.lifetime.begin(&self.span, self.upstream.reactor.now)
        disarm(self)
        self.upstream.counters.upstream_connects += 1
        if x is None:
            self.pool()
        else:
            self.assign(x)

    cdef void claim(self, Exchange x) noexcept:
        if not self.uploading and is_upload(x):
            self.uploading = True
            self.upstream.uploads += 1

    cdef void uploaded(self) noexcept:
        if self.uploading:
            self.uploading = False
            self.upstream.uploads -= 1

    cdef void assign(self, Exchange x) noexcept:
        """Send the request's head; its body follows through the port."""
        cdef Upstream upstream = self.upstream
        cdef bytes host = upstream.host if upstream.host is not None else self.target.host
        self.claim(x)
        self.exchange = x
        self.heard = False
        x.attempt = self
        x.destination = self.port
        x.upstream_name = self.target.label
        x.answered = 0
        x.sent = clock()
        self.parser.head = &x.response
        self.parser.no_body = is_method(x, b"HEAD", 4)
        put_request(x, self.stream, upstream.host_kind, host, upstream.via, upstream.additions)
        if not x.request.has_body or x.request_complete:
            arm(upstream.reactor, self, x.plan.response)
        else:
            arm(upstream.reactor, self, x.plan.idle)
            x.source.resume(x)

    cdef void data_received(self, const char* data, size_t n) noexcept:
        cdef Exchange x = self.exchange
        cdef Event event
        cdef Stages stages
        if x is None:
            self.drop()             # nothing was asked: a response before its request
            return
        stages = x.stages
        if not self.heard:
            self.heard = True
            x.answered = self.upstream.reactor.now
            x.waited += x.answered - x.sent
        while True:
            event = self.parser.next(data, n)
            data += self.parser.consumed
            n -= self.parser.consumed
            if event == MORE:
                if x.response_started and self.stream.reading:      # else the wait is the client's
                    arm(self.upstream.reactor, self, x.plan.idle)
                return
            if event == HEAD:
                if x.response.status < 200 and x.response.status != 101:
                    stages.interim(x)
                    continue
                if x.response.status == 101:
                    self.switch_protocols(x, data, n)
                    return
                stages.head(x)
                if self.exchange is not x:
                    return
                if self.parser.ended:
                    self.complete(n == 0)
                    return
            elif event == BODY:
                stages.body(x, self.parser.body, self.parser.body_length)
                if self.exchange is not x:
                    return
            elif event == END:
                if self.parser.has_trailers:
                    x.trailers = &self.parser.trailers
                self.complete(n == 0)
                return
            else:
                self.lose(RESPONSE_CUT if x.response_started else RESPONSE_MALFORMED)
                return

    cdef void switch_protocols(self, Exchange x, const char* early, size_t n) noexcept:
        """RFC 9110 section 7.8: only what the client offered can be switched to."""
        cdef Stream stream = self.stream
        if not x.request.upgrade or not x.request_complete or not offered(&x.request, &x.response):
            self.lose(RESPONSE_MALFORMED)
            return
        disarm(self)
        self.exchange = None
        x.attempt = None
        self.leave()
        self.stream = NOWHERE
        x.stages.upgrade(x, stream, early, n)
        self.upstream.serve_waiting()

    cdef void complete(self, bint keep) noexcept:
        """The response is whole. The connection goes back first: the exchange's end may start another."""
        cdef Exchange x = self.exchange
        cdef Stages stages = x.stages
        disarm(self)
        self.uploaded()
        self.exchange = None
        x.attempt = None
        x.destination = None
        if (not spent(&self.span, self.upstream.reactor.now) and keep and x.request_complete
                and x.response.keep_alive and self.stream.queued() == 0
                and not self.stream.broken and not self.upstream.closing):
            self.stream.resume_reading()        # a client that was slow to the end left it paused
            self.pool()
        else:
            self.drop()
        stages.end(x)

    cdef void pool(self) noexcept:
        cdef Upstream upstream = self.upstream
        x = upstream.next_waiting()
        if x is not None:
            upstream.counters.upstream_reuses += 1
            self.reused = True
            self.assign(x)
            return
        if upstream.pool_idle is NULL:
            self.drop()
            return
        self.pooled = True
        self.newer = None
        self.older = self.target.idle
        if self.older is not None:
            self.older.newer = self
        self.target.idle = self
        upstream.counters.now.upstream_idle += 1
        arm(upstream.reactor, self, upstream.pool_idle)

    cdef void unpool(self) noexcept:
        if not self.pooled:
            return
        self.pooled = False
        if self.newer is not None:
            self.newer.older = self.older
        else:
            self.target.idle = self.older
        if self.older is not None:
            self.older.newer = self.newer
        self.newer = self.older = None
        self.upstream.counters.now.upstream_idle -= 1
        disarm(self)

    cdef void leave(self) noexcept:
        """Out of the upstream's books."""
        self.unpool()
        self.uploaded()
        if self.alive:
            self.alive = False
            self.upstream.connections -= 1
            self.target.connections -= 1
            self.upstream.counters.now.upstream_connections -= 1

    cdef void drop(self) noexcept:
        cdef bint counted = self.alive
        cdef Stream stream = self.stream
        disarm(self)
        self.leave()
        self.stream = NOWHERE
        self.port.connection = None
        stream.abort(False)
        if counted:
            self.upstream.serve_waiting()

    cdef void lose(self, Fault fault) noexcept:
        """The connection is of no use any more; what becomes of its exchange?"""
        cdef Exchange x = self.exchange
        cdef Upstream upstream = self.upstream
        cdef bint connecting = self.connecting
        self.exchange = None
        self.drop()
        if x is None:
            return
        x.attempt = None
        x.destination = None
        if connecting:
            upstream.connect_failed(x, fault)
        elif self.reused and not self.heard and fault == UPSTREAM_CLOSED and not x.replayed and replayable(x):
            # The upstream closed an idle connection as the request was on its way (RFC 9112 section 9.3.1).
            x.replayed = True
            upstream.counters.upstream_replays += 1
            upstream.dispatch(x)
        else:
            x.stages.fail(x, fault)

    cdef void eof_received(self) noexcept:
        cdef Exchange x = self.exchange
        if x is None:
            self.drop()
        elif self.parser.eof() == END:
            self.complete(False)
        else:
            self.lose(RESPONSE_CUT if x.response_started else UPSTREAM_CLOSED)

    cdef void lost(self, int error) noexcept:
        if self.exchange is not None and self.exchange.response_started:
            self.lose(RESPONSE_CUT)
        elif error == TLS_CERTIFICATE:
            self.lose(CERTIFICATE_REFUSED)
        elif error == TLS_ALERT:
            self.lose(TLS_ALERTED)
        elif error == TLS_PROTOCOL:
            self.lose(TLS_FAILED)
        elif self.connecting:
            self.lose(CONNECT_FAILED)
        else:
            self.lose(UPSTREAM_CLOSED)

    cdef void timed_out(self) noexcept:
        cdef Exchange x = self.exchange
        if x is None:
            self.drop()
        elif self.connecting:
            self.lose(CONNECT_TIMEOUT)
        elif x.response_started:
            self.lose(RESPONSE_STALLED)
        else:
            self.lose(RESPONSE_TIMEOUT)

    cdef void congested(self) noexcept:
        if self.exchange is not None:
            self.exchange.source.pause(self.exchange)

    cdef void drained(self) noexcept:
        cdef Exchange x = self.exchange
        if x is not None:
            if not x.request_complete:
                arm(self.upstream.reactor, self, x.plan.idle)
            x.source.resume(x)


cdef inline bint is_upload(Exchange x) noexcept:
    return x.request.has_body and not x.request_complete and not x.body_here


cdef bint offered(const Head* request, const Head* response) noexcept:
    """Is the protocol that the upstream switches to among those that the client named?"""
    cdef const Header* theirs = head_known(response, UPGRADE)
    cdef const Header* line
    cdef uint32_t i, j, n
    if theirs is NULL or not response.upgrade:
        return False
    n = theirs.value_length
    for i in range(request.count):
        line = &request.headers[i]
        if line.known != UPGRADE:
            continue
        for j in range(line.value_length - n + 1 if line.value_length >= n else 0):
            if ((j == 0 or request.data[line.value + j - 1] in (c" ", c"\t", c","))
                    and (j + n == line.value_length
                         or request.data[line.value + j + n] in (c" ", c"\t", c","))
                    and strncasecmp(request.data + line.value + j, response.data + theirs.value, n) == 0):
                return True
    return False


cdef bint replayable(Exchange x) noexcept:
    """Idempotent (RFC 9110 section 9.2.2), nothing sent down, and no body to send again."""
    if x.response_started or x.request.has_body:
        return False
    return (
        is_method(x, b"GET", 3) or is_method(x, b"HEAD", 4) or is_method(x, b"OPTIONS", 7)
        or is_method(x, b"PUT", 3) or is_method(x, b"DELETE", 6) or is_method(x, b"TRACE", 5)
    )


@cython.final
cdef class Requester(Sink):
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef UpstreamConnection connection = self.connection
        if connection is None:
            return
        if x.request.chunked:
            put_chunk(connection.stream, data, n)
        else:
            connection.stream.write(data, n)
        if not connection.heard:
            arm(connection.upstream.reactor, connection, x.plan.idle)

    cdef void end(self, Exchange x) noexcept:
        cdef UpstreamConnection connection = self.connection
        if connection is None:
            return
        connection.uploaded()
        if x.request.chunked:
            put_last_chunk(connection.stream, x.trailers, connection.upstream.additions)
            x.trailers = NULL
        if not connection.heard:
            x.sent = clock()
            arm(connection.upstream.reactor, connection, x.plan.response)
        if connection.upstream.uploading.first is not None:
            connection.upstream.serve_waiting()

    cdef void abort(self, Exchange x) noexcept:
        if self.connection is not None:
            self.connection.exchange = None
            self.connection.drop()

    cdef void pause(self, Exchange x) noexcept:
        cdef UpstreamConnection connection = self.connection
        if connection is not None:
            connection.stream.pause_reading()
            disarm(connection)          # the wait is the client's, and counted on its side

    cdef void resume(self, Exchange x) noexcept:
        cdef UpstreamConnection connection = self.connection
        if connection is not None:
            arm(connection.upstream.reactor, connection, x.plan.idle)
            connection.stream.resume_reading()
