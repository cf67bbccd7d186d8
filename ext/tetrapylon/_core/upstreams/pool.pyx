"""One HTTP/1.1 connection to a target, and the pool that it belongs to."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.buffer cimport DROPPED, OURS, UPGRADE, Head, Header, head_add, head_known, same_name
from tetrapylon._core.exchange cimport *
from tetrapylon._core.http.message cimport *
from tetrapylon._core.http.wire cimport put_chunk, put_last_chunk, put_request
from tetrapylon._core.lifetime cimport spent
from tetrapylon._core.net.tls cimport TLS_ALERT, TLS_CERTIFICATE, TLS_PROTOCOL
from tetrapylon._core.reactor cimport DeadlineQueue, Timed, arm, clock, disarm
from tetrapylon._core.stream cimport NOWHERE, Connection, Stream
from tetrapylon._core.telemetry.counters cimport DURATION, observe as record
from tetrapylon._core.upstreams.retry cimport idempotent
from tetrapylon._core.upstreams.target cimport Target

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* a, const char* b, size_t n)

cdef extern from "<stdio.h>" nogil:
    int snprintf(char* s, size_t n, const char* format, ...)


cdef class Pool(Destination):
    cdef DeadlineQueue* patience(self, Exchange x) noexcept:
        return x.plan.response

    cdef bint hurries(self, Exchange x) noexcept:
        return False

    cdef bint would_retry(self, Exchange x) noexcept:
        return False

    cdef bint withholds(self, Exchange x) noexcept:
        return False

    cdef void answered(self, Target target, Exchange x) noexcept:
        pass

    cdef void observe(self, Target target, bint good, uint64_t took) noexcept:
        pass

    cdef bint admits(self) noexcept:
        return True

    cdef void dispatch(self, Exchange x) noexcept:
        x.stages.fail(x, INTERNAL_FAULT)

    cdef void plan_hedge(self, UpstreamConnection first) noexcept:
        pass

    cdef void hedge_now(self, UpstreamConnection first) noexcept:
        pass

    cdef void retry_after(self, Exchange x, Target target) noexcept:
        x.stages.fail(x, INTERNAL_FAULT)

    cdef void connect_failed(self, Exchange x, Target target, Fault fault) noexcept:
        x.stages.fail(x, fault)

    cdef void failed(self, Exchange x, Target target, Fault fault) noexcept:
        x.stages.fail(x, fault)

    cdef Exchange next_waiting(self):
        return None

    cdef void serve_waiting(self) noexcept:
        pass


@cython.final
cdef class UpstreamConnection(Connection):
    cdef void connected(self) noexcept:
        cdef Exchange x = self.exchange
        self.connecting = False
        self.upstream.lifetime.begin(&self.span, self.upstream.reactor.now)
        disarm(self)
        self.upstream.counters.upstream_connects += 1
        record(&self.upstream.tally.connect, &DURATION, since(self.dialled, self.upstream.reactor.now))
        if x is None:
            self.pool()
        elif self.rival is not None:
            self.ask_too(x)
        else:
            self.assign(x)

    cdef void claim(self, Exchange x) noexcept:
        if not self.uploading and is_upload(x):
            self.uploading = True
            self.upstream.uploads += 1

    cdef void take(self, Exchange x) noexcept:
        """Carry the exchange from here on."""
        if self.exchange is None:
            self.upstream.active += 1
            self.target.active += 1
        self.exchange = x
        x.attempt = self

    cdef void part(self) noexcept:
        """Carry it no more."""
        if self.exchange is not None:
            self.upstream.active -= 1
            self.target.active -= 1
            self.exchange = None
        if self.hedge_timer is not None:
            disarm(self.hedge_timer)
        if self.rival is not None:
            self.rival.rival = None
            self.rival = None

    cdef void uploaded(self) noexcept:
        if self.uploading:
            self.uploading = False
            self.upstream.uploads -= 1

    cdef void assign(self, Exchange x) noexcept:
        """Send the request's head; its body follows through the port."""
        cdef Pool upstream = self.upstream
        self.claim(x)
        self.take(x)
        self.heard = self.hurried = False
        x.destination = self.port
        x.upstream_name = self.target.label
        x.answered = 0
        x.sent = clock()
        turn_to(x, FOR_UPSTREAM, x.sent)
        self.parser.head = &x.response
        self.put(x)
        if x.body is not None and x.request.has_body:
            if x.body:
                upstream.reactor.keep(x.body)
                self.port.body(x, x.body, len(x.body))
            self.port.end(x)
        elif not x.request.has_body or x.request_complete:
            self.await_head(x)
            if upstream.hedging:
                upstream.plan_hedge(self)
        else:
            if x.request.expect_continue:
                self.await_head(x)      # it is to say whether it wants the body
            else:
                self.leave_to_client(x, x.sent)
            x.source.resume(x)

    cdef void put(self, Exchange x) noexcept:
        cdef Pool upstream = self.upstream
        cdef bytes host = upstream.host if upstream.host is not None else self.target.host
        self.parser.no_body = is_method(x, b"HEAD", 4)
        if upstream.deadline_header is not None and x.timer.queue is not NULL:
            tell_deadline(x, upstream.deadline_header, upstream.reactor.now)
        put_request(x, self.stream, upstream.host_kind, host, upstream.via, upstream.additions)

    cdef void ask_too(self, Exchange x) noexcept:
        """Send the request beside the rival, which has been asked already."""
        self.heard = self.hurried = False
        self.asked = clock()
        self.put(x)
        self.await_head(x)

    cdef void win(self, Exchange x) noexcept:
        """The first byte of an answer: nobody listens to the other target any more."""
        cdef UpstreamConnection other = self.rival
        other.part()
        other.drop()
        if x.attempt is not self:
            x.attempt = self
            x.destination = self.port
            x.upstream_name = self.target.label
            x.sent = self.asked
            self.parser.head = &x.response

    cdef void give_way(self) noexcept:
        """This one came to nothing: the exchange is the rival's alone."""
        cdef Exchange x = self.exchange
        cdef UpstreamConnection other = self.rival
        cdef bint first = x.attempt is self
        cdef uint64_t took = 0
        if self.connecting:
            self.upstream.counters.upstream_connect_failures += 1
        else:
            took = clock() - (x.sent if first else self.asked)
        self.upstream.observe(self.target, False, took)
        self.part()
        self.drop()
        if not first:
            return
        x.attempt = other
        x.destination = None
        if not other.connecting:
            x.destination = other.port
            x.upstream_name = other.target.label
            x.sent = other.asked
            other.parser.head = &x.response

    cdef void leave_to_client(self, Exchange x, uint64_t now) noexcept:
        """The client is to say more, and has a time limit of its own."""
        disarm(self)
        turn_to(x, NO_WAIT, now)

    cdef void await_head(self, Exchange x) noexcept:
        self.hurried = self.upstream.hurries(x)
        arm(self.upstream.reactor, self, self.upstream.patience(x) if self.hurried else x.plan.response)

    cdef void data_received(self, const char* data, size_t n) noexcept:
        cdef Exchange x = self.exchange
        cdef Event event
        cdef Stages stages
        if x is None:
            self.drop()             # nothing was asked: a response before its request
            return
        stages = x.stages
        if not self.heard:
            if self.rival is not None:
                self.win(x)
            if self.hedge_timer is not None:
                disarm(self.hedge_timer)
            self.heard = True
        if x.whom == FOR_UPSTREAM:
            turn_to(x, NO_WAIT, self.upstream.reactor.now)
        if not x.answered:
            x.answered = self.upstream.reactor.now
            x.waited = x.spent[<int>FOR_UPSTREAM]
        while True:
            event = self.parser.next(data, n)
            data += self.parser.consumed
            n -= self.parser.consumed
            if event == MORE:
                if self.stream.reading:         # else the wait is the client's
                    if x.response_started:
                        arm(self.upstream.reactor, self, x.plan.idle)
                    if x.answered or x.request_complete:
                        turn_to(x, FOR_UPSTREAM, clock())
                    else:
                        self.leave_to_client(x, clock())
                        x.whom = FOR_CLIENT
                return
            if event == HEAD:
                if x.response.status < 200 and x.response.status != 101:
                    stages.interim(x)
                    if n == 0:
                        x.answered = 0          # nothing has come of the answer itself
                    continue
                if x.response.status == 101:
                    self.switch_protocols(x, data, n)
                    return
                if self.upstream.withholds(x):
                    self.discard(x, data, n)
                    return
                self.upstream.answered(self.target, x)
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
        self.upstream.observe(self.target, True, x.answered - x.sent)
        self.part()
        x.attempt = None
        self.leave()
        self.stream = NOWHERE
        x.stages.upgrade(x, stream, early, n)
        self.upstream.serve_waiting()

    cdef void discard(self, Exchange x, const char* data, size_t n) noexcept:
        """The response is not wanted. What has not come of it yet is not waited for."""
        cdef Pool upstream = self.upstream
        cdef Target target = self.target
        cdef bint whole = self.parser.ended
        cdef Event event
        while not whole:
            event = self.parser.next(data, n)
            data += self.parser.consumed
            n -= self.parser.consumed
            if event != BODY:
                whole = event == END
                break
        self.let_go(whole and n == 0)
        upstream.retry_after(x, target)

    cdef void complete(self, bint keep) noexcept:
        """The response is whole. The connection goes back first: the exchange's end may start another."""
        cdef Exchange x = self.exchange
        cdef Stages stages = x.stages
        self.let_go(keep)
        stages.end(x)

    cdef void let_go(self, bint keep) noexcept:
        """The response has been read. Back into the pool, where the connection is still good."""
        cdef Exchange x = self.exchange
        disarm(self)
        self.uploaded()
        record(&self.upstream.tally.first_byte, &DURATION, since(x.sent, x.answered))
        record(&self.upstream.tally.total, &DURATION, since(x.sent, self.upstream.reactor.now))
        self.upstream.observe(self.target, x.response.status < 500, x.answered - x.sent)
        self.part()
        x.attempt = None
        x.destination = None
        if (not spent(&self.span, self.upstream.reactor.now) and keep and x.request_complete
                and x.response.keep_alive and self.stream.queued() == 0
                and not self.stream.broken and not self.upstream.closing and not self.target.gone):
            self.stream.resume_reading()        # a client that was slow to the end left it paused
            self.pool()
        else:
            self.drop()

    cdef void pool(self) noexcept:
        cdef Pool upstream = self.upstream
        cdef bint fit = self.target.fit and upstream.admits()
        x = upstream.next_waiting() if fit else None
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
        self.older = <UpstreamConnection>self.target.idle
        if self.older is not None:
            self.older.newer = self
        self.target.idle = self
        upstream.tally.idle += 1
        arm(upstream.reactor, self, upstream.pool_idle)
        if not fit:
            upstream.serve_waiting()

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
        self.upstream.tally.idle -= 1
        disarm(self)

    cdef void leave(self) noexcept:
        """Out of the upstream's books."""
        self.unpool()
        self.uploaded()
        if self.alive:
            self.alive = False
            self.upstream.connections -= 1
            self.target.connections -= 1
            self.upstream.tally.connections -= 1

    cdef void drop(self) noexcept:
        cdef bint counted = self.alive
        cdef Stream stream = self.stream
        disarm(self)
        self.leave()
        self.stream = NOWHERE
        self.port.connection = None
        if self.hedge_timer is not None:
            disarm(self.hedge_timer)
            self.hedge_timer = None
        stream.abort(False)
        if counted:
            self.upstream.serve_waiting()

    cdef void lose(self, Fault fault) noexcept:
        """The connection is of no use any more; what becomes of its exchange?"""
        cdef Exchange x = self.exchange
        cdef Pool upstream = self.upstream
        cdef Target target = self.target
        cdef bint connecting = self.connecting
        if self.rival is not None:
            self.give_way()
            return
        self.part()
        self.drop()
        if x is None:
            return
        turn_to(x, NO_WAIT, upstream.reactor.now)
        x.attempt = None
        x.destination = None
        if connecting:
            upstream.connect_failed(x, target, fault)
        elif self.reused and not self.heard and fault == UPSTREAM_CLOSED and not x.replayed and replayable(x):
            # The upstream closed an idle connection as the request was on its way (RFC 9112 section 9.3.1).
            x.replayed = True
            upstream.counters.upstream_replays += 1
            upstream.dispatch(x)
        else:
            upstream.observe(target, False, clock() - x.sent)
            upstream.failed(x, target, fault)

    cdef void eof_received(self) noexcept:
        cdef Exchange x = self.exchange
        if x is None:
            self.drop()
        elif self.rival is not None:
            self.give_way()
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
        elif self.hurried and self.rival is None and not self.upstream.would_retry(x):
            self.hurried = False        # no other try to hurry for
            arm(self.upstream.reactor, self, x.plan.response)
        else:
            self.lose(RESPONSE_TIMEOUT)

    cdef void congested(self) noexcept:
        """It takes no more of the request for now."""
        cdef Exchange x = self.exchange
        if x is None:
            return
        x.source.pause(x)
        if not x.response_started:
            turn_to(x, FOR_UPSTREAM, self.upstream.reactor.now)
            if not x.request_complete:
                arm(self.upstream.reactor, self, x.plan.idle)

    cdef void drained(self) noexcept:
        cdef Exchange x = self.exchange
        if x is None:
            return
        if not x.response_started and not x.request_complete:
            self.leave_to_client(x, self.upstream.reactor.now)
        x.source.resume(x)


@cython.final
cdef class HedgeTimer(Timed):
    cdef void timed_out(self) noexcept:
        self.connection.upstream.hedge_now(self.connection)


cdef inline uint64_t since(uint64_t earlier, uint64_t later) noexcept:
    """The reactor's clock stands still for a piece of work: what has just begun may seem to lie ahead."""
    return later - earlier if later > earlier else 0


cdef bint is_upload(Exchange x) noexcept:
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
    """Idempotent, nothing sent down, and no body to send again but one that is here."""
    return not x.response_started and (not x.request.has_body or x.body is not None) and idempotent(x)


cdef void tell_deadline(Exchange x, bytes name, uint64_t now) noexcept:
    """What is left of the exchange's time, in ms, in place of what the client or an earlier try said."""
    cdef Head* head = &x.request
    cdef char[24] text
    cdef uint64_t left = (x.timer.due - now) // 1000000 if x.timer.due > now else 0
    cdef bytes lower = name.lower()
    cdef uint32_t i
    cdef int n
    for i in range(head.count):
        if (head.headers[i].name_length == <uint32_t>len(lower)
                and same_name(head.data + head.headers[i].name, lower, len(lower))):
            head.headers[i].mark |= DROPPED
    n = snprintf(text, sizeof(text), b"%llu", <unsigned long long>left)
    head_add(head, name, len(name), text, n, OURS)


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
        if x.request.expect_continue and x.whom == FOR_UPSTREAM and not x.answered:
            connection.leave_to_client(x, connection.upstream.reactor.now)       # it did not wait for leave

    cdef void end(self, Exchange x) noexcept:
        cdef UpstreamConnection connection = self.connection
        if connection is None:
            x.trailers = NULL
            return
        connection.uploaded()
        if x.request.chunked:
            put_last_chunk(connection.stream, x.trailers, connection.upstream.additions)
            x.trailers = NULL
        if not x.answered:
            x.sent = clock()
        if not x.response_started:
            turn_to(x, FOR_UPSTREAM, x.sent)
            connection.await_head(x)
        connection.upstream.serve_waiting()

    cdef void abort(self, Exchange x) noexcept:
        if self.connection is not None:
            self.connection.part()
            self.connection.drop()

    cdef void pause(self, Exchange x) noexcept:
        cdef UpstreamConnection connection = self.connection
        if connection is not None:
            connection.stream.pause_reading()
            disarm(connection)          # the wait is the client's, and counted on its side
            if x.whom == FOR_UPSTREAM:
                turn_to(x, NO_WAIT, connection.upstream.reactor.now)

    cdef void resume(self, Exchange x) noexcept:
        cdef UpstreamConnection connection = self.connection
        if connection is not None:
            if x.response_started:
                arm(connection.upstream.reactor, connection, x.plan.idle)
            elif x.request_complete:
                arm(connection.upstream.reactor, connection, x.plan.response)
            turn_to(x, FOR_UPSTREAM, connection.upstream.reactor.now)
            connection.stream.resume_reading()
