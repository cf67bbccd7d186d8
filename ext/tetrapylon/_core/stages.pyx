"""The life of a request, stage by stage."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset, strlen

from tetrapylon._core.body cimport collect, gather, held_bytes, keep
from tetrapylon._core.buffer cimport (
    HOST, OURS, REFERER, USER_AGENT, X_REQUEST_ID, Buffer, Head, Header, head_add, head_append, head_find,
    head_known, put_number,
)
from tetrapylon._core.exchange cimport *
from tetrapylon._core.http.edit cimport drop_variables
from tetrapylon._core.http.forwarded cimport find_client
from tetrapylon._core.http.message cimport Limits
from tetrapylon._core.http.request_line cimport find_header, read_target, rewrite_path
from tetrapylon._core.http.respond cimport Answer, fault_name, fault_reject, fault_status, put_problem
from tetrapylon._core.http.wire cimport Via
from tetrapylon._core.lifetime cimport Lifetime
from tetrapylon._core.policy cimport ANSWER, COLLECT, CONTINUE, Policy, Verdict
from tetrapylon._core.reactor cimport Reactor, Timed, arm, clock, disarm
from tetrapylon._core.relay cimport Tunnel, join
from tetrapylon._core.routing.route cimport Outcome, Router
from tetrapylon._core.stream cimport Stream
from tetrapylon._core.telemetry.counters cimport Reject, RouteCounters, Slab, count_exchange, method_of
from tetrapylon._core.telemetry.log cimport AccessLog, share_of
from tetrapylon._core.telemetry.log_line cimport AccessRecord, Text, text_of


cdef class Snapshot:
    def __init__(self, Reactor reactor not None, Router router not None, *, Limits limits=None, Via via=None,
                 double header=10.0, double handshake=5.0, double body_idle=30.0, double keepalive=75.0,
                 Py_ssize_t max_connections=10000, Py_ssize_t max_connections_per_client=0,
                 Lifetime lifetime=None, trusts=None, reserved=(), pages=None):
        """Times in seconds; `keepalive` 0 closes after each answer. `router` is frozen and leads to Plans."""
        self.router = router
        self.limits = limits or Limits()
        self.via = via or Via("tetrapylon")
        self.header = reactor.queue(header)
        self.handshake = reactor.queue(handshake)
        self.body_idle = reactor.queue(body_idle)
        self.keepalive = reactor.queue(keepalive) if keepalive > 0 else NULL
        self.max_connections = max_connections
        self.max_connections_per_client = max_connections_per_client
        self.lifetime = lifetime or Lifetime()
        self.trusts = trusts
        self.reserved = tuple([name.lower() for name in reserved])
        self.pages = pages


def make_plan(Reactor reactor not None, str name not None, Destination destination not None,
              Slab slab not None, Py_ssize_t index, *, body_limit=None, body=None,
              body_idle=None, response=None, idle=None, total=None, tunnel=None, list rewrite=None,
              tuple policies=(), tuple parameters=(), lease=None, int priority=1, sample=None):
    """A route's record: where its requests go and under which limits. Times in seconds, None: no limit.

    `index` -1 is for what is no route: requests of the gateway's own. `lease` is let go with the record,
    after the last exchange that was begun by it. `sample`: the share of its answers that is logged, or None.
    """
    cdef Plan plan = Plan.__new__(Plan)
    plan.name = name
    plan.label = name.encode()
    plan.destination = destination
    plan.slab = slab if lease is None else (slab, lease)
    plan.counters = slab.route(index) if index >= 0 else slab.unmatched()
    plan.body_limit = -1 if body_limit is None else body_limit
    plan.body_time = 0 if body is None else <uint64_t>(<double>body * 1e9)
    plan.body_idle = NULL if body_idle is None else reactor.queue(body_idle)
    plan.response = NULL if response is None else reactor.queue(response)
    plan.idle = NULL if idle is None else reactor.queue(idle)
    plan.total = NULL if total is None else reactor.queue(total)
    plan.tunnel = NULL if tunnel is None else reactor.queue(tunnel)
    plan.rewrite = rewrite
    plan.policies = policies
    plan.priority = priority
    plan.logged = 0 if sample is None else share_of(sample) + 1
    plan.parameters = parameters
    return plan


cdef Answer OPTIONS_ANSWER = Answer(
    204, headers=[(b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")])


cdef double FLUSH_AFTER = 0.1       # s


cdef class Flusher(Timed):
    cdef void timed_out(self) noexcept:
        self.log.flush()


cdef class Pipeline(Stages):
    def __cinit__(self, Reactor reactor not None, Snapshot snapshot not None, Slab slab not None,
                  AccessLog log=None, **_):
        self.reactor = reactor
        self.snapshot = snapshot
        self.pseudonym = snapshot.via.pseudonym
        self.pages = snapshot.pages
        self.slab = slab
        self.counters = slab.worker
        self.write_to(log)

    def swap(self, Snapshot snapshot not None):
        """Serve by another snapshot from the next request on; exchanges in flight keep their plans."""
        self.snapshot = snapshot
        self.pages = snapshot.pages

    def write_to(self, AccessLog log):
        """Log to another log, or to none, from the next line on. The old one is the caller's to close."""
        if self.flusher is not None:
            disarm(self.flusher)
            self.flusher = None
        self.log = log
        if log is not None:
            self.flusher = Flusher()
            self.flusher.log = log
            self.flusher.delay = self.reactor.queue(FLUSH_AFTER)

    # 1. The request's head is there: which route takes it?

    cdef void start(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef Snapshot snapshot = self.snapshot
        cdef Header* host
        cdef Fault fault
        cdef int outcome
        self.counters.now.exchanges += 1
        x.routed = True
        if x.peer.trusted:
            find_client(x, snapshot.trusts)
        fault = self.introduce(x) if snapshot.reserved else NO_FAULT
        if fault == NO_FAULT:
            fault = read_target(x)
        if fault == NO_FAULT and snapshot.via.seen_in(head):
            fault = LOOPED
        if fault != NO_FAULT:
            self.fail(x, fault)
            return
        if (is_method(x, b"OPTIONS", 7) or is_method(x, b"TRACE", 5)) and self.last_hop(x):
            return
        if head.data[head.target] == c"*":
            OPTIONS_ANSWER.start(x)
            return
        host = head_known(head, HOST)
        outcome = self.find(x, head.data + head.method, head.method_length, host)
        if outcome != Outcome.FOUND and not self.finds_preflight(x, host):
            if outcome == Outcome.NO_ROUTE:
                self.fail(x, NO_SUCH_ROUTE)
            else:
                self.refuse_method(x, x.match.allowed)
            return
        x.plan = <Plan>x.match.destination
        x.plan.counters.in_flight += 1
        if x.plan.body_limit >= 0 and head.content_length > x.plan.body_limit:
            self.fail(x, BODY_TOO_LARGE)
            return
        if x.plan.total is not NULL:
            arm(self.reactor, x, x.plan.total)
        if x.plan.rewrite is not None:
            fault = rewrite_path(x)
            if fault != NO_FAULT:
                self.fail(x, fault)
                return
        self.proceed(x)

    cdef int find(self, Exchange x, const char* method, size_t method_n, const Header* host) noexcept:
        cdef Head* head = &x.request
        return self.snapshot.router.find(
            method, method_n, head.data + host.value if host is not NULL else NULL,
            host.value_length if host is not NULL else 0,
            head.data + head.target, x.path_length, find_header, <void*>x, &x.match)

    cdef bint finds_preflight(self, Exchange x, const Header* host) noexcept:
        """A preflight is for the route of the request that it announces, if that one answers preflights."""
        cdef uint64_t allowed = x.match.allowed
        cdef Header* method = head_find(&x.request, b"access-control-request-method", 29)
        if method is NULL or not is_method(x, b"OPTIONS", 7):
            return False
        if self.find(x, x.request.data + method.value, method.value_length, host) == Outcome.FOUND:
            for policy in (<Plan>x.match.destination).policies:
                if (<Policy>policy).answers_preflights:
                    return True
        x.match.allowed = allowed
        return False

    cdef void hide(self, Head* head) noexcept:
        """Drop what a client says in the name of the gateway, with underscores too: CGI reads them alike."""
        for item in self.snapshot.reserved:
            drop_variables(head, <bytes>item)

    cdef Fault introduce(self, Exchange x) noexcept:
        """Tell the upstream, and the routes, the subject of the client's certificate."""
        cdef bytes name = x.peer.subject_header
        cdef bytes subject = x.peer.subject
        self.hide(&x.request)
        if name is None or subject is None:
            return NO_FAULT
        if head_add(&x.request, name, len(name), subject, len(subject), OURS) < 0:
            return INTERNAL_FAULT
        return NO_FAULT

    cdef bint last_hop(self, Exchange x) noexcept:
        """Counts down Max-Forwards (RFC 9110 section 7.6.2); True: the request is answered here."""
        cdef Head* head = &x.request
        cdef Header* line = head_find(head, b"max-forwards", 12)
        cdef char[16] text
        cdef int64_t at
        cdef unsigned int left = 0
        cdef uint32_t i
        if line is NULL or not 0 < line.value_length < 10:
            return False
        for i in range(line.value_length):
            if not c"0" <= head.data[line.value + i] <= c"9":
                return False
            left = left * 10 + <unsigned int>(head.data[line.value + i] - c"0")
        if left == 0:
            if is_method(x, b"OPTIONS", 7):
                OPTIONS_ANSWER.start(x)
            else:
                self.answer_fault(x, NO_SUCH_METHOD, b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
            return True
        i = <uint32_t>(put_number(text, left - 1) - text)
        at = head_append(head, text, i)
        if at < 0:
            self.fail(x, INTERNAL_FAULT)
            return True
        line.value = <uint32_t>at
        line.value_length = i
        return False

    cdef void refuse_method(self, Exchange x, uint64_t allowed) noexcept:
        cdef bytes allow = self.snapshot.router.allow(allowed)
        if is_method(x, b"OPTIONS", 7):
            x.answer = Answer(204, headers=[(b"Allow", allow)])
            x.answer.start(x)
        else:
            self.answer_fault(x, NO_SUCH_METHOD, allow)

    # 2. The policies' request side, then the destination.

    cdef void proceed(self, Exchange x) noexcept:
        cdef tuple policies = x.plan.policies
        cdef Policy policy
        cdef Verdict verdict
        while x.entered < len(policies):
            policy = <Policy>policies[x.entered]
            x.entered += 1
            verdict = policy.request(x)
            if verdict != CONTINUE and not self.goes_on(x, policy, verdict):
                return
        x.plan.destination.start(x)

    cdef bint goes_on(self, Exchange x, Policy policy, Verdict verdict) noexcept:
        """What a policy says of the request; False: somebody else goes on with it."""
        if verdict == COLLECT:
            if x.request.has_body and x.body is None:
                collect(x, policy.request_limit)
                return False
            verdict = policy.whole_request(x)
        if verdict == CONTINUE:
            return True
        if verdict == ANSWER:
            x.answer.start(x)
        else:
            x.source.pause(x)
        return False

    cdef void collected(self, Exchange x) noexcept:
        cdef Policy policy = <Policy>x.plan.policies[x.entered - 1]
        if self.goes_on(x, policy, policy.whole_request(x)):
            self.proceed(x)

    cdef void refused(self, Exchange x) noexcept:
        self.counters.rejects[<int>Reject.POLICY] += 1

    cdef void wake(self, Ticket ticket) noexcept:
        cdef Exchange x = ticket.exchange
        if not current(ticket):
            self.counters.late_resumes += 1
            return
        x.ticket = 0
        self.reactor.enter()
        if x.dam is not None:
            self.let_go(x, x.dam)
        elif x.held is not None:
            if x.answer is not x.held.answer:
                self.replace(x)
            else:
                self.leave(x)
        elif x.answer is not None:
            x.answer.start(x)
        else:
            self.proceed(x)
        self.reactor.leave()

    # 3. The response: the policies' response side, in reverse, then down.

    cdef void interim(self, Exchange x) noexcept:
        if x.request.minor:         # RFC 9110 section 15.2: never to an HTTP/1.0 client
            x.status = x.response.status
            x.sink.head(x)
            x.status = 0

    cdef void head(self, Exchange x) noexcept:
        x.response_started = True
        if x.leaving < 0:
            x.leaving = x.entered
        self.leave(x)

    cdef void leave(self, Exchange x) noexcept:
        """The response passes the policies that are still to come on its way out."""
        if x.leaving > 0 and not self.passes_policies(x):
            return
        x.told = True
        x.status = x.response.status
        x.sink.head(x)
        if x.held is not None:
            self.let_go(x, x.held)

    cdef bint passes_policies(self, Exchange x) noexcept:
        cdef Policy policy
        while x.leaving > 0:
            x.leaving -= 1
            policy = <Policy>x.plan.policies[x.leaving]
            if not self.leaves(x, policy, policy.response(x)):
                return False
        return True

    cdef bint leaves(self, Exchange x, Policy policy, Verdict verdict) noexcept:
        """What a policy says of the response; False: somebody else goes on with it."""
        cdef Held held
        cdef bint waited
        if verdict == CONTINUE:
            return True
        if x.response.status == 101:        # the stream itself is about to change hands: nothing can wait
            x.ticket = 0
            return True
        if verdict == ANSWER:
            self.replace(x)
            return False
        if verdict == COLLECT and not response_has_body(x):
            return self.leaves(x, policy, policy.whole_response(x, b""))
        waited = x.held is not None
        if not waited:
            x.held = Held.__new__(Held)
        held = x.held
        held.answer = x.answer
        held.collecting = verdict == COLLECT
        if not held.collecting:
            if x.destination is not None:
                x.destination.pause(x)
            return False
        held.limit = policy.response_limit
        if x.filter is not None:
            gather(x)
        elif held.ended:                    # an inner policy held it to the end
            return self.whole(x)
        if waited and x.held is held and not held.ended and x.destination is not None:
            x.destination.resume(x)         # an inner policy had it paused
        return False

    cdef bint whole(self, Exchange x) noexcept:
        cdef Policy policy = <Policy>x.plan.policies[x.leaving]
        x.held.collecting = False
        return self.leaves(x, policy, policy.whole_response(x, held_bytes(x.held)))

    cdef void replace(self, Exchange x) noexcept:
        """The policy's answer in place of the response, through those that are still to come."""
        self.give_up(x)
        x.answer.start(x)

    cdef void give_up(self, Exchange x) noexcept:
        """Nothing more is wanted from the destination, nor of what came from it."""
        x.given_up += 1
        x.ticket = 0            # whoever is waited for was to let this response, or request, go on
        if x.plan is not None:
            x.plan.destination.cancel(x)
        x.destination = None
        x.held = x.dam = None
        x.trailers = NULL       # they lie with what is given up
        if x.filter is not None:
            drop_filters(x)

    cdef void let_go(self, Exchange x, Held held) noexcept:
        """What has come of the body while a policy or a filter was waited for goes on as if it came now."""
        cdef uint64_t response = response_of(x)
        if held is x.dam:
            x.dam = None
        else:
            x.held = None
        self.reactor.keep(held)
        if held.body is not None and held.body.end > held.body.start:
            self.body(x, held.body.data + held.body.start, held.body.end - held.body.start)
            if not still_wanted(x, response):
                return
        if held.ended:
            x.trailers = &held.trailers if held.has_trailers else NULL
            self.end(x)
        elif x.destination is not None and not x.congested and x.dam is None:
            x.destination.resume(x)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        if x.dam is not None:
            keep(x, x.dam, data, n)
        elif x.held is not None and not x.held.filtered:
            keep(x, x.held, data, n)
        elif x.filter is not None:
            x.filter.body(x, data, n)
        else:
            x.sink.body(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        cdef Held held = x.dam if x.dam is not None else x.held
        if held is None:
            if x.filter is None or self.filters_end(x):
                x.sink.end(x)
                self.finish(x)
            return
        if held.filtered:
            if not self.filters_end(x):
                return
            held.filtered = False
        held.ended = True
        held.keep_trailers(x.trailers)
        x.trailers = NULL       # their source may be gone when the rest goes on
        if held.collecting and self.whole(x):
            self.leave(x)

    cdef bint filters_end(self, Exchange x) noexcept:
        """Each has its last word. False: one waits, or found that the body is not what it should be."""
        cdef Filter filter
        cdef uint64_t response = response_of(x)
        while x.filter is not None:
            filter = x.filter
            filter.end(x)
            if not still_wanted(x, response):
                return False
            x.filter = filter.next
            if x.dam is not None:       # what it emitted is waited for by one behind it
                self.end(x)
                return False
        return True

    cdef void upgrade(self, Exchange x, Stream upstream, const char* early, size_t n) noexcept:
        cdef Stream downstream
        cdef Buffer said
        self.head(x)
        downstream = x.sink.detach(x)
        x.tunnel = join(x, self.reactor, downstream, upstream, x.plan.tunnel, self.snapshot.body_idle,
                        self.counters)
        turn_to(x, FOR_CLIENT, self.reactor.now)
        downstream.write(early, n)
        if x.attempt is not None:
            said = <Buffer>x.attempt
            upstream.write(said.data + said.start, said.end - said.start)
            upstream.flush()
            x.attempt = None
        if downstream.ended:            # while the upstream was asked: nothing more will tell the tunnel
            (<Tunnel>x.tunnel).downstream.eof_received()

    # 4. Ways to end without the answer that was asked for.

    cdef void fail(self, Exchange x, Fault fault) noexcept:
        self.answer_fault(x, fault, None)

    cdef void answer_fault(self, Exchange x, Fault fault, bytes allow) noexcept:
        if x.over:
            return
        x.fault = fault
        if x.tunnel is not None:
            (<Tunnel>x.tunnel).finish()
            return
        self.counters.rejects[
            <unsigned int>Reject.BODY_TIMEOUT if fault == REQUEST_TIMEOUT and x.plan is not None
            else fault_reject(fault)] += 1
        self.give_up(x)
        if x.told:
            x.sink.abort(x)
            self.finish(x)
            return
        try:
            put_problem(x, fault, allow, self.snapshot.via.pseudonym)
        except MemoryError:
            x.sink.abort(x)
            self.finish(x)
            return
        deliver(x, NULL, x.response.target_length)

    cdef void cancel(self, Exchange x, Fault fault) noexcept:
        if x.over:
            return
        x.fault = fault
        if x.tunnel is not None:
            (<Tunnel>x.tunnel).finish()
            return
        self.give_up(x)
        if not x.told:
            x.status = fault_status(fault)
        self.finish(x)

    # 5. Every exit passes here, once.

    cdef void finish(self, Exchange x) noexcept:
        cdef uint64_t now = clock()
        cdef uint64_t upstream, gateway, total = now - x.began
        cdef RouteCounters* counters
        cdef int i
        x.over = True
        disarm(x)
        turn_to(x, NO_WAIT, now)
        upstream = min(total, x.spent[<int>FOR_UPSTREAM])
        gateway = total - upstream - min(total - upstream, x.spent[<int>FOR_CLIENT])
        if x.routed:
            self.counters.now.exchanges -= 1
        counters = self.slab.unmatched()
        if x.plan is not None:
            counters = x.plan.counters
            counters.in_flight -= 1
        count_exchange(
            self.slab, counters, method_of(x.request.data + x.request.method, x.request.method_length),
            outcome(x), total, gateway, upstream, x.bytes_in, x.bytes_out)
        for i in range(x.entered):
            (<Policy>x.plan.policies[i]).end(x)
        if self.log is not None:
            self.write_log(x, total, gateway, upstream)
        x.source.finished(x)

    cdef void write_log(self, Exchange x, uint64_t total, uint64_t gateway, uint64_t upstream) noexcept:
        cdef AccessRecord record
        cdef Head* head = &x.request
        cdef Header* line
        cdef uint32_t i
        memset(&record, 0, sizeof(record))
        record.duration_us = total // 1000
        record.upstream_us = upstream // 1000
        record.client_us = (total - upstream - gateway) // 1000
        record.gateway_us = record.duration_us - record.upstream_us - record.client_us
        record.bytes_in = x.bytes_in
        record.bytes_out = x.bytes_out
        record.status = x.status
        record.request = head
        record.response = &x.response
        record.client.data = &x.client[0] if x.client_n else &x.peer.address[0]
        record.client.length = x.client_n or x.peer.address_n
        record.method.data = head.data + head.method
        record.method.length = head.method_length
        if x.asked_length:
            record.target.data = head.data + x.asked
            record.target.length = x.asked_length
        else:
            record.target.data = head.data + head.target
            record.target.length = head.target_length
        record.protocol.data = b"HTTP/1.1" if head.minor else b"HTTP/1.0"
        record.protocol.length = 8
        if x.plan is not None:
            record.share = x.plan.logged
            record.route.data = x.plan.label
            record.route.length = len(x.plan.label)
        if x.consumer is not None:
            record.consumer = text_of((<Consumer>x.consumer).label)
        if x.upstream_name is not None:
            record.upstream.data = x.upstream_name
            record.upstream.length = len(x.upstream_name)
        if x.fault:
            record.failed = True
            record.error.data = fault_name(x.fault)
            record.error.length = strlen(record.error.data)
        elif x.reason is not None:
            record.error.data = x.reason
            record.error.length = len(x.reason)
        for i in range(head.count):
            line = &head.headers[i]
            if line.known == HOST:
                put_field(&record.host, head, line)
            elif line.known == USER_AGENT:
                put_field(&record.user_agent, head, line)
            elif line.known == REFERER:
                put_field(&record.referer, head, line)
            elif line.known == X_REQUEST_ID:
                put_field(&record.request_id, head, line)
        self.log.write(&record)
        if self.flusher.timer.queue is NULL:
            arm(self.reactor, self.flusher, self.flusher.delay)


cdef inline void put_field(Text* field, const Head* head, const Header* line) noexcept:
    field.data = head.data + line.value
    field.length = line.value_length


cdef inline bint response_has_body(Exchange x) noexcept:
    return x.response.has_body and not is_method(x, b"HEAD", 4)


cdef unsigned int outcome(Exchange x) noexcept:
    """The class of the status, or 0 for an exchange that was cut short."""
    if x.fault and (x.fault in (CLIENT_GONE, CLIENT_STALLED) or x.status != fault_status(x.fault)):
        return 0
    return x.status // 100
