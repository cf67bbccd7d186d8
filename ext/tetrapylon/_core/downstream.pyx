"""Client connections."""

cimport cython
from libc.string cimport memcpy

from tetrapylon._core.accept cimport Acceptor, Announced, Listener
from tetrapylon._core.buffer cimport Buffer
from tetrapylon._core.exchange cimport *
from tetrapylon._core.http.message cimport *
from tetrapylon._core.http.parse cimport request_parser
from tetrapylon._core.http.wire cimport (
    CHUNKED, LENGTH, NO_BODY, UNTIL_CLOSE, put_chunk, put_interim, put_last_chunk, put_response,
)
from tetrapylon._core.lifetime cimport spent
from tetrapylon._core.net.tls cimport TLS_ABSENT, Tls, TlsStream, tls_stream
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, arm, clock, disarm
from tetrapylon._core.stages cimport Snapshot
from tetrapylon._core.stream cimport NOWHERE, Connection, SocketStream, Stream, TransportStream
from tetrapylon._core.telemetry.counters cimport Reject

from tetrapylon._core.stream import StreamProtocol

cdef enum:
    LEFTOVER_MAX = 65536        # pipelined bytes kept before the client is made to wait
    DISCARD_MAX = 262144        # body bytes read and dropped to keep a connection
    LINGER_MAX = 1048576        # and to close one without a reset
    HANDSHAKE = 22              # what a TLS client begins with (RFC 8446 section 5.1)

cdef double LINGER = 2.0        # s


cdef class Gateway(Acceptor):
    def __init__(self, Reactor reactor, Snapshot snapshot, slab, log=None, *, closing=()):
        """`closing`: what is closed with the gateway."""
        super().__init__(reactor, snapshot, slab, log)
        self.closing = tuple(closing)

    def protocol_factory(self):
        """An asyncio protocol for one client: `loop.create_server(gateway.protocol_factory, ...)`."""
        cdef TransportStream stream = TransportStream(self.reactor)
        cdef DownstreamConnection connection = new_connection(self, Peer.__new__(Peer))
        connection.stream = stream
        stream.owner = connection
        return StreamProtocol(stream)

    def drain(self, double patience=0.0):
        """Serve what has arrived, accept no more, and close connections after their next answer; idle ones
        after `patience` s: a request may be on its way already, to be lost otherwise."""
        cdef DownstreamConnection connection = self.newest
        cdef list there = []
        self.draining = True
        if patience > 0:
            self.patience = self.reactor.queue(patience)
        while connection is not None:
            there.append(connection)
            connection = connection.older
        self.reactor.enter()
        self.take_queued()
        self.stop_accepting()
        for each in there:
            (<DownstreamConnection>each).wind_up()
        self.reactor.leave()

    def close(self):
        """Cut what is left."""
        cdef DownstreamConnection connection
        self.draining = True
        self.reactor.enter()
        self.stop_accepting()
        for waiting in list(self.announced):
            (<Announced>waiting).leave()
        while self.newest is not None:
            connection = self.newest    # the list may hold the last reference: a tunnel has taken the stream
            connection.cut()
        self.reactor.leave()
        if self.log is not None:
            self.log.close()
        for each in self.closing:
            each.close()
        self.reactor.close()

    cdef void accepted(self, int fd, Peer peer, Listener listener) noexcept:
        cdef Tls tls = listener.tls
        cdef SocketStream stream = SocketStream.__new__(SocketStream) if tls is None else tls_stream(tls)
        cdef DownstreamConnection connection = new_connection(self, peer)
        connection.stream = stream
        try:
            stream.attach(self.reactor, connection, fd, False)
        except (OSError, ValueError, MemoryError):
            return
        connection.connected()
        if tls is not None and connection.counted:
            peer.tls = True
            peer.subject_header = tls.subject_header
            connection.handshaking = True
            arm(self.reactor, connection, self.snapshot.handshake)

    def reopen_logs(self):
        """Open log files anew by name, after they were moved away."""
        if self.log is not None:
            self.log.reopen()


cdef DownstreamConnection new_connection(Gateway gateway, Peer peer):
    cdef DownstreamConnection connection = DownstreamConnection.__new__(DownstreamConnection)
    connection.gateway = gateway
    connection.peer = peer
    connection.parser = request_parser(gateway.snapshot.limits)
    connection.port = ClientSide.__new__(ClientSide)
    connection.port.connection = connection
    connection.keep = True
    return connection


@cython.final
cdef class DownstreamConnection(Connection):
    cdef void connected(self) noexcept:
        cdef Gateway gateway = self.gateway
        cdef Peer peer = self.peer
        if not peer.address_n:
            name = self.stream.peer_name().encode()[:45] or b"unix:"
            peer.address_n = len(name)
            memcpy(peer.address, <const char*>name, peer.address_n)
        peer.tls = self.stream.speaks_tls()
        if gateway.snapshot.trusts is not None:
            peer.trusted = gateway.snapshot.trusts(peer.address[:peer.address_n].decode())
        if not gateway.admit(peer):
            self.cut()
            return
        self.counted = True
        gateway.snapshot.lifetime.begin(&self.span, gateway.reactor.now)
        self.older = gateway.newest
        if self.older is not None:
            self.older.newer = self
        gateway.newest = self
        self.await_first()

    cdef void secured(self) noexcept:
        self.handshaking = False
        self.peer.subject = (<TlsStream>self.stream).subject
        self.await_first()

    cdef void await_first(self) noexcept:
        """The first request's head is due as if its first byte had come."""
        arm(self.gateway.reactor, self, self.gateway.first_deadline())

    cdef void wind_up(self) noexcept:
        """Answer what the client has said by now. One that never spoke has just come and is about to."""
        if not self.counted or self.lingering or self.stream.closing:
            return
        self.stream.catch_up()
        if not self.counted or self.lingering or self.stream.closing:
            return
        if self.exchange is None or (not self.exchange.routed and not self.parser.in_message):
            if self.heard:
                self.rest()
            else:
                self.await_first()

    # Reading

    cdef bint blocked(self) noexcept:
        """Can nothing be parsed now? A request waits for its answer or body, or answers pile up."""
        if self.exchange is None:
            return self.paused or self.stream.congested or self.stream.closing
        return self.paused or self.exchange.request_complete

    cdef void data_received(self, const char* data, size_t n) noexcept:
        cdef size_t consumed = 0
        self.heard = True
        if self.lingering:
            self.discarded += <uint32_t>n
            if self.discarded > LINGER_MAX:
                self.cut()
            return
        if self.leftover is None and not self.blocked():
            consumed = self.consume(data, n)
        if consumed < n and self.counted and not self.lingering and not self.stream.closing:
            if self.leftover is None:
                self.leftover = Buffer()
            try:
                self.leftover.append(data + consumed, n - consumed)
            except MemoryError:
                self.cut()
                return
            if self.leftover.end - self.leftover.start >= LEFTOVER_MAX or self.paused:
                self.stream.pause_reading()
            if not self.blocked() and not self.consuming:
                self.consume_leftover()

    cdef void consume_leftover(self) noexcept:
        cdef Buffer leftover = self.leftover
        cdef size_t consumed
        if leftover is None:
            consumed = self.consume(NULL, 0)
        else:
            consumed = self.consume(leftover.data + leftover.start, leftover.end - leftover.start)
            # Body bytes may still be gathered for sending from where they lie.
            if self.gateway.reactor.corked is not None:
                self.gateway.reactor.corked.flush()
            leftover.take(consumed)
            if leftover.end == 0:
                self.leftover = None
        if self.leftover is None and not self.paused and not self.lingering and not self.stream.closing:
            self.stream.resume_reading()
        if self.half_closed and self.leftover is None and self.counted and not self.paused:
            if self.exchange is None:
                self.hang_up(False)
            elif not self.exchange.request_complete:
                self.cut()                  # the rest of the body will never come

    cdef size_t consume(self, const char* data, size_t n) noexcept:
        """Parse and act until the bytes are used up or the exchange must be waited for; how many were."""
        cdef Gateway gateway = self.gateway
        cdef Exchange x
        cdef Event event
        cdef size_t used = 0
        cdef char first
        self.consuming = True
        x = self.exchange
        if x is not None and x.whom == FOR_CLIENT and not self.stream.congested:
            turn_to(x, NO_WAIT, gateway.reactor.now)
        while not self.blocked() and not self.lingering and self.counted:
            x = self.exchange
            if x is None:
                if used == n:
                    break
                x = acquire(gateway, self.port, self.port, self.peer)
                x.began = gateway.reactor.now
                self.exchange = x
                self.parser.head = &x.request
                self.parser.limits = gateway.snapshot.limits
                if not self.parser.blank:
                    arm(gateway.reactor, self, gateway.snapshot.header)
            first = data[used] if used < n else 0
            event = self.parser.next(data + used, n - used)
            used += self.parser.consumed
            x.bytes_in += self.parser.consumed
            if event == MORE:
                if x.routed and self.is_late(x):
                    self.give_up_on_body(x, REQUEST_TIMEOUT)
                elif x.routed:
                    arm(gateway.reactor, self, self.body_deadline(x))
                elif not self.parser.in_message:
                    # Blank lines before a request (RFC 9112 section 2.2) are none yet, nor do they buy time.
                    self.exchange = None
                    release(x)
                    break
                if x.whom == NO_WAIT:
                    turn_to(x, FOR_CLIENT, clock())
                break
            if event == HEAD:
                disarm(self)
                if self.parser.ended:
                    x.request_complete = True
                else:
                    x.body_here = 0 <= x.request.content_length <= <int64_t>(n - used)
                gateway.start(x)
            elif event == BODY:
                self.take_body(x)
            elif event == END:
                disarm(self)
                x.request_complete = True
                if self.parser.has_trailers:
                    gateway.hide(&self.parser.trailers)
                if self.discarding:
                    self.next_request()
                elif x.destination is not None:
                    if self.parser.has_trailers:
                        x.trailers = &self.parser.trailers
                    x.destination.end(x)
            else:
                self.refuse(x, TARGET_LONG if event == TARGET_TOO_LONG else
                            HEAD_LARGE if event == HEAD_TOO_LARGE else
                            TLS_UNEXPECTED if first == HANDSHAKE and not x.routed else BAD_REQUEST)
        self.consuming = False
        return used

    cdef void take_body(self, Exchange x) noexcept:
        x.body_in += self.parser.body_length
        if self.discarding:
            self.discarded += <uint32_t>self.parser.body_length
            if self.discarded > DISCARD_MAX or self.is_late(x):
                self.hang_up(True)
        elif x.plan.body_limit >= 0 and <int64_t>x.body_in > x.plan.body_limit:
            self.give_up_on_body(x, BODY_TOO_LARGE)
        elif self.is_late(x):
            self.give_up_on_body(x, REQUEST_TIMEOUT)
        elif x.destination is not None:
            x.destination.body(x, self.parser.body, self.parser.body_length)

    cdef bint is_late(self, Exchange x) noexcept:
        """Has the request taken more time to arrive than it may as a whole?"""
        return (x.plan is not None and x.plan.body_time
                and self.gateway.reactor.now - x.began > x.plan.body_time)

    cdef void give_up_on_body(self, Exchange x, Fault fault) noexcept:
        self.keep = False
        if self.discarding:
            self.hang_up(True)
        else:
            self.gateway.fail(x, fault)

    cdef DeadlineQueue* body_deadline(self, Exchange x) noexcept:
        if x.plan is not None and x.plan.body_idle is not NULL:
            return x.plan.body_idle
        return self.gateway.snapshot.body_idle

    cdef void refuse(self, Exchange x, Fault fault) noexcept:
        """The bytes cannot be read as a request, or not any further: answer if nobody has, and close."""
        self.keep = False
        if not x.routed:
            x.routed = True
            self.gateway.counters.now.exchanges += 1
        if self.discarding:
            self.hang_up(False)
        else:
            self.gateway.fail(x, fault)

    cdef void eof_received(self) noexcept:
        cdef Exchange x = self.exchange
        self.half_closed = True
        if self.lingering:
            self.cut()
        elif x is None:
            if self.leftover is None:
                self.hang_up(False)
        elif not x.routed:
            self.cut()                      # in the middle of a head: nobody is left to answer
        elif not x.request_complete and self.leftover is None:
            self.cut()

    cdef void lost(self, int error) noexcept:
        if self.handshaking:
            self.gateway.counters.rejects[
                <int>(Reject.TLS_ABSENT if error == TLS_ABSENT else Reject.TLS_HANDSHAKE)] += 1
        self.cut()

    cdef void timed_out(self) noexcept:
        cdef Exchange x = self.exchange
        if self.handshaking:
            self.lost(0)
        elif self.lingering or x is None or self.discarding or not self.counted:
            self.cut()
        elif self.stream.congested:
            self.keep = False
            self.gateway.cancel(x, CLIENT_STALLED)
        elif not x.routed and not self.parser.in_message:
            self.cut()
        else:
            self.refuse(x, REQUEST_TIMEOUT)

    # Writing

    cdef void congested(self) noexcept:
        cdef Exchange x = self.exchange
        if x is not None and x.destination is not None:
            x.destination.pause(x)
        if x is not None:
            x.congested = True
            turn_to(x, FOR_CLIENT, self.gateway.reactor.now)
            arm(self.gateway.reactor, self, self.gateway.snapshot.body_idle)

    cdef void drained(self) noexcept:
        cdef Exchange x = self.exchange
        if x is None:
            if self.counted and not self.lingering and not self.stream.closing:
                self.consume_leftover()
            return
        disarm(self)
        x.congested = False
        turn_to(x, NO_WAIT, self.gateway.reactor.now)
        if not self.paused and not x.request_complete:
            arm(self.gateway.reactor, self, self.body_deadline(x))
        if x.destination is not None and (x.held is None or x.held.collecting) and x.dam is None:
            x.destination.resume(x)

    # Endings

    cdef void next_request(self) noexcept:
        """The exchange is over and all its bytes are read."""
        cdef Exchange x = self.exchange
        cdef Gateway gateway = self.gateway
        self.exchange = None
        self.paused = False
        self.discarding = False
        self.discarded = 0
        release(x)
        if not self.keep or (gateway.draining and gateway.patience is NULL):
            self.hang_up(self.leftover is not None)
            return
        if self.half_closed and self.leftover is None:
            self.hang_up(False)
            return
        if gateway.snapshot.keepalive is NULL:
            self.hang_up(False)
            return
        if gateway.draining:
            self.rest()                 # its answer may have said that another request would be taken
            if not self.counted:
                return
        else:
            arm(gateway.reactor, self, gateway.snapshot.keepalive)
        if not self.consuming and (self.leftover is not None or not self.stream.reading):
            self.consume_leftover()

    cdef void rest(self) noexcept:
        """Idle while the gateway drains: one last request is taken if it comes soon."""
        if self.gateway.patience is NULL or self.lingering or self.half_closed:
            self.hang_up(False)
        else:
            arm(self.gateway.reactor, self, self.gateway.patience)

    cdef void hang_up(self, bint linger) noexcept:
        """Close after what is queued. With `linger`, read on for a while: closing on unread bytes would
        reset the connection and could destroy the answer on its way (RFC 9112 section 9.6)."""
        cdef Stream stream = self.stream
        self.drop_exchange()
        self.leftover = None
        if linger and not self.half_closed:
            self.lingering = True
            self.discarded = 0
            stream.shutdown()
            stream.resume_reading()
            arm(self.gateway.reactor, self, self.gateway.reactor.queue(LINGER))
            return
        stream.close()
        if stream.closing:
            arm(self.gateway.reactor, self, self.gateway.snapshot.body_idle)    # counted until it is sent
        else:
            self.forget()
            self.stream = NOWHERE

    cdef void cut(self) noexcept:
        """Close now; an exchange in flight is cancelled."""
        cdef Exchange x = self.exchange
        cdef Stream stream = self.stream
        self.keep = False
        self.forget()
        self.stream = NOWHERE
        if x is not None and x.routed and not x.over:
            self.gateway.cancel(x, CLIENT_GONE)
        self.drop_exchange()
        stream.abort(False)

    cdef void drop_exchange(self) noexcept:
        cdef Exchange x = self.exchange
        if x is not None:
            self.exchange = None
            self.parser.head = NULL
            release(x)

    cdef void forget(self) noexcept:
        """Out of the gateway's books."""
        cdef Gateway gateway = self.gateway
        disarm(self)
        self.leftover = None
        self.port.connection = None
        if not self.counted:
            return
        self.counted = False
        gateway.part(self.peer)
        if self.newer is not None:
            self.newer.older = self.older
        else:
            gateway.newest = self.older
        if self.older is not None:
            self.older.newer = self.newer
        self.newer = self.older = None


@cython.final
cdef class ClientSide(Sink):
    cdef void pause(self, Exchange x) noexcept:
        cdef DownstreamConnection connection = self.connection
        if connection is not None and not connection.paused:
            connection.paused = True
            if not connection.stream.congested:         # else its own time goes on
                disarm(connection)
            if connection.leftover is not None:
                connection.stream.pause_reading()

    cdef void resume(self, Exchange x) noexcept:
        cdef DownstreamConnection connection = self.connection
        if connection is None or not connection.paused:
            return
        connection.paused = False
        if not x.request_complete:
            arm(connection.gateway.reactor, connection, connection.body_deadline(x))
        if not connection.consuming:
            connection.consume_leftover()

    cdef void head(self, Exchange x) noexcept:
        cdef DownstreamConnection connection = self.connection
        cdef bint bodiless
        if connection is None:
            return
        if x.response.status < 200 and x.response.status != 101:
            x.bytes_out += put_interim(x, connection.stream)
            return
        bodiless = (
            x.response.status in (101, 204, 304) or is_method(x, b"HEAD", 4)
        )
        if spent(&connection.span, connection.gateway.reactor.now) or not x.request.keep_alive or (
                connection.gateway.draining) or x.fault in (
                BAD_REQUEST, BAD_TARGET, BAD_HOST, TLS_UNEXPECTED):
            connection.keep = False
        elif connection.half_closed and connection.leftover is None:
            connection.keep = False
        elif not x.request_complete and (
                x.request.expect_continue
                or (x.destination is None and x.request.content_length > DISCARD_MAX)):
            # The rest of the request will not be read (see `finished`), and whoever sent more is to know.
            connection.keep = False
        if bodiless:
            self.framing = NO_BODY
        elif x.response.content_length >= 0:
            self.framing = LENGTH
        elif x.request.minor:
            self.framing = CHUNKED
        else:
            self.framing = UNTIL_CLOSE
            connection.keep = False
        x.bytes_out += put_response(x, connection.stream, self.framing, connection.keep)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef DownstreamConnection connection = self.connection
        if connection is None or self.framing == NO_BODY:
            return
        if self.framing == CHUNKED:
            x.bytes_out += put_chunk(connection.stream, data, n)
        else:
            connection.stream.write(data, n)
            x.bytes_out += n

    cdef void end(self, Exchange x) noexcept:
        if self.connection is not None and self.framing == CHUNKED:
            x.bytes_out += put_last_chunk(self.connection.stream, x.trailers)

    cdef void abort(self, Exchange x) noexcept:
        """Cut: neither a last chunk nor a clean end may make the response look complete."""
        cdef DownstreamConnection connection = self.connection
        cdef Stream stream
        if connection is None:
            return
        connection.keep = False
        stream = connection.stream
        if stream.reactor.corked is stream:
            stream.flush()
        connection.stream = NOWHERE
        stream.abort(self.framing == UNTIL_CLOSE)

    cdef Stream detach(self, Exchange x):
        cdef DownstreamConnection connection = self.connection
        cdef Stream stream
        if connection is None:
            return NOWHERE
        stream = connection.stream
        x.attempt = connection.leftover         # what the client said in the new protocol already
        connection.leftover = None
        connection.stream = NOWHERE
        connection.keep = False
        disarm(connection)
        return stream

    cdef void finished(self, Exchange x) noexcept:
        cdef DownstreamConnection connection = self.connection
        if connection is None or not connection.counted:
            return              # `cut` releases it
        # What was gathered may lie in the exchange or its plan: it is sent before they go.
        if connection.gateway.reactor.corked is not None:
            connection.gateway.reactor.corked.flush()
        if connection.stream is NOWHERE or x.fault in (CLIENT_GONE, CLIENT_STALLED):
            connection.cut()
        elif x.request_complete:
            connection.next_request()
        elif not connection.keep or x.request.expect_continue or x.request.content_length > DISCARD_MAX:
            connection.hang_up(True)
        else:
            connection.discarding = True
            connection.paused = False
            x.destination = None
            arm(connection.gateway.reactor, connection, connection.body_deadline(x))
            if not connection.consuming:
                connection.consume_leftover()
