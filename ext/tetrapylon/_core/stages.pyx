"""The life of a request, stage by stage."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.stdio cimport snprintf
from libc.string cimport memchr, memmove, memset, strlen

from tetrapylon._core.buffer cimport (
    DROPPED, HOST, OURS, REFERER, USER_AGENT, X_REQUEST_ID, Buffer, Head, Header, head_add, head_append,
    head_copy, head_find, head_known, same_name,
)
from tetrapylon._core.counters cimport RouteCounters, Slab, count_exchange
from tetrapylon._core.exchange cimport *
from tetrapylon._core.forwarded cimport find_client
from tetrapylon._core.lifetime cimport Lifetime
from tetrapylon._core.log cimport AccessLog, AccessRecord, Text
from tetrapylon._core.message cimport Limits
from tetrapylon._core.path cimport PATH_GROWTH, normalise, path_length
from tetrapylon._core.policy cimport ANSWER, CONTINUE, Policy, Ticket, Verdict, current
from tetrapylon._core.reactor cimport Reactor, Timed, arm, clock, disarm
from tetrapylon._core.relay cimport Tunnel, join
from tetrapylon._core.respond cimport Answer, fault_name, fault_reject, fault_status, put_problem
from tetrapylon._core.route cimport Outcome, Router
from tetrapylon._core.stream cimport Stream
from tetrapylon._core.wire cimport Via


cdef class Snapshot:
    def __init__(self, Reactor reactor not None, Router router not None, *, Limits limits=None, Via via=None,
                 double header=10.0, double handshake=5.0, double body_idle=30.0, double keepalive=75.0,
                 Py_ssize_t max_connections=10000, Py_ssize_t max_connections_per_client=0,
                 Lifetime lifetime=None, trusts=None, reserved=()):
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


def make_plan(Reactor reactor not None, str name not None, Destination destination not None,
              Slab slab not None, Py_ssize_t index, *, body_limit=None, body=None,
              body_idle=None, response=None, idle=None, total=None, tunnel=None, list rewrite=None,
              tuple policies=()):
    """A route's record: where its requests go and under which limits. Times in seconds, None: no limit."""
    cdef Plan plan = Plan.__new__(Plan)
    plan.name = name
    plan.label = name.encode()
    plan.destination = destination
    plan.slab = slab
    plan.counters = slab.route(index)
    plan.body_limit = -1 if body_limit is None else body_limit
    plan.body_time = 0 if body is None else <uint64_t>(<double>body * 1e9)
    plan.body_idle = NULL if body_idle is None else reactor.queue(body_idle)
    plan.response = NULL if response is None else reactor.queue(response)
    plan.idle = NULL if idle is None else reactor.queue(idle)
    plan.total = NULL if total is None else reactor.queue(total)
    plan.tunnel = NULL if tunnel is None else reactor.queue(tunnel)
    plan.rewrite = rewrite
    plan.policies = policies
    return plan


cdef bint find_header(void* context, const char* name, Py_ssize_t n, const char** value,
                      Py_ssize_t* value_n) noexcept:
    cdef Head* head = &(<Exchange>context).request
    cdef Header* line = head_find(head, name, n)
    if line is NULL:
        return False
    value[0] = head.data + line.value
    value_n[0] = line.value_length
    return True


cdef bint[256] in_host
for _c in range(256):
    in_host[_c] = _c in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=%"


cdef bint host_is_valid(const char* host, size_t n) noexcept:
    """RFC 9110 section 7.2: a name or address (RFC 3986 section 3.2.2), perhaps a port; without userinfo."""
    cdef size_t i = 0
    if n and host[0] == c"[":
        i = 1
        while i < n and (is_hex(host[i]) or host[i] in (c":", c".")):
            i += 1
        if i < 3 or i == n or host[i] != c"]":
            return False
        i += 1
    else:
        while i < n and in_host[<uint8_t>host[i]]:
            if host[i] == c"%" and (n - i < 3 or not is_hex(host[i + 1]) or not is_hex(host[i + 2])):
                return False
            i += 1
    if i < n and host[i] != c":":
        return False
    for i in range(i + 1, n):
        if not c"0" <= host[i] <= c"9":
            return False
    return True


cdef inline bint is_hex(char c) noexcept:
    return c"0" <= c <= c"9" or c"a" <= (c | 0x20) <= c"f"


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
        self.slab = slab
        self.counters = slab.worker
        self.log = log
        if log is not None:
            self.flusher = Flusher()
            self.flusher.log = log
            self.flusher.delay = reactor.queue(FLUSH_AFTER)

    def __dealloc__(self):
        free(self.path_scratch)

    def swap(self, Snapshot snapshot not None):
        """Serve by another snapshot from the next request on; exchanges in flight keep theirs."""
        self.snapshot = snapshot

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
            fault = self.read_target(x)
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
        outcome = snapshot.router.find(
            head.data + head.method, head.method_length,
            head.data + host.value if host is not NULL else NULL,
            host.value_length if host is not NULL else 0,
            head.data + head.target, x.path_length, find_header, <void*>x, &x.match)
        if outcome != Outcome.FOUND:
            if outcome == Outcome.NO_ROUTE:
                self.fail(x, NO_SUCH_ROUTE)
            else:
                self.refuse_method(x, x.match.allowed)
            return
        x.plan = <Plan>x.match.destination
        if x.plan.body_limit >= 0 and head.content_length > x.plan.body_limit:
            self.fail(x, BODY_TOO_LARGE)
            return
        if x.plan.total is not NULL:
            arm(self.reactor, x, x.plan.total)
        if x.plan.rewrite is not None:
            fault = self.rewrite(x)
            if fault != NO_FAULT:
                self.fail(x, fault)
                return
        self.proceed(x)

    cdef void hide(self, Head* head) noexcept:
        """Drop what a client says in the name of the gateway, with underscores too: CGI reads them alike."""
        cdef uint32_t i, j
        cdef const char* name
        cdef char c
        for item in self.snapshot.reserved:
            name = <bytes>item
            for i in range(head.count):
                if head.headers[i].name_length != <uint32_t>len(<bytes>item):
                    continue
                for j in range(head.headers[i].name_length):
                    c = head.data[head.headers[i].name + j]
                    if (c | 0x20) != name[j] and not (c == c"_" and name[j] == c"-"):
                        break
                else:
                    head.headers[i].mark |= DROPPED

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

    cdef Fault read_target(self, Exchange x) noexcept:
        """Origin, absolute and asterisk form (RFC 9112 section 3.2); the path made normal, Host valid."""
        cdef Head* head = &x.request
        cdef const char* target = head.data + head.target
        cdef Header* line
        cdef Header* host = NULL
        cdef uint32_t i, scheme = 0, end
        for i in range(head.count):
            line = &head.headers[i]
            if line.known == HOST:
                if host is not NULL:
                    return BAD_HOST
                host = line
        if host is NULL:
            if head.minor:
                return BAD_HOST
        elif not host_is_valid(head.data + host.value, host.value_length):
            return BAD_HOST
        if is_method(x, b"CONNECT", 7):
            return BAD_TARGET
        if target[0] == c"*":
            return NO_FAULT if head.target_length == 1 and is_method(x, b"OPTIONS", 7) else BAD_TARGET
        if target[0] != c"/":
            if head.target_length > 7 and same_name(target, b"http://", 7):
                scheme = 7
            elif head.target_length > 8 and same_name(target, b"https://", 8):
                scheme = 8
            else:
                return BAD_TARGET
            end = scheme
            while end < head.target_length and target[end] != c"/" and target[end] != c"?":
                end += 1
            if end == scheme or target[scheme] == c":" or not host_is_valid(target + scheme, end - scheme):
                return BAD_TARGET
            if end == head.target_length or target[end] == c"?":
                # An empty path is "/" (RFC 9110 section 4.2.3): there is one too many before the authority.
                memmove(head.data + head.target + scheme - 1, target + scheme, end - scheme)
                scheme -= 1
                end -= 1
                head.data[head.target + end] = c"/"
            if host is NULL:
                if head_add(head, b"Host", 4, b"", 0, 0) < 0:
                    return INTERNAL_FAULT
                host = &head.headers[head.count - 1]
            # RFC 9112 section 3.2.2: the authority of the target replaces the Host that came.
            host.value = head.target + scheme
            host.value_length = end - scheme
            head.target += end
            head.target_length -= end
        return self.read_path(x)

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
        i = <uint32_t>snprintf(text, sizeof(text), b"%u", left - 1)
        at = head_append(head, text, i)
        if at < 0:
            self.fail(x, INTERNAL_FAULT)
            return True
        line.value = <uint32_t>at
        line.value_length = i
        return False

    cdef Fault read_path(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef Py_ssize_t n = path_length(head.data + head.target, head.target_length)
        cdef Py_ssize_t normal_n = n
        cdef size_t need = PATH_GROWTH * <size_t>n + 16
        cdef int64_t at
        cdef int code
        if need > self.path_scratch_n:
            free(self.path_scratch)
            self.path_scratch = <char*>malloc(need)
            self.path_scratch_n = need if self.path_scratch is not NULL else 0
            if self.path_scratch is NULL:
                return INTERNAL_FAULT
        code = normalise(head.data + head.target, n, self.path_scratch, &normal_n)
        if code < 0 or memchr(head.data + head.target + n, c"#", head.target_length - n) is not NULL:
            return BAD_TARGET
        if code > 0:
            at = head_append(head, self.path_scratch, normal_n)
            if at < 0:
                return INTERNAL_FAULT
            need = head.target_length - n
            if head_copy(head, head.target + <uint32_t>n, <uint32_t>need) < 0:
                return INTERNAL_FAULT
            head.target = <uint32_t>at
            head.target_length = <uint32_t>(normal_n + need)
        else:
            normal_n = n
        x.path_length = <uint32_t>normal_n
        x.asked = head.target
        x.asked_length = head.target_length
        return NO_FAULT

    cdef Fault rewrite(self, Exchange x) noexcept:
        """The route's own path in place of the client's; the query stays."""
        cdef Head* head = &x.request
        cdef uint32_t start = head.length
        cdef uint32_t query = head.target + x.path_length
        cdef Py_ssize_t i
        for part in x.plan.rewrite:
            if isinstance(part, bytes):
                if head_append(head, <const char*><bytes>part, len(<bytes>part)) < 0:
                    return INTERNAL_FAULT
            else:
                i = part
                if head_copy(head, x.asked + x.match.params[i].start, x.match.params[i].length) < 0:
                    return INTERNAL_FAULT
        if head_copy(head, query, head.target_length - x.path_length) < 0:
            return INTERNAL_FAULT
        head.target = start
        head.target_length = head.length - start
        return NO_FAULT

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
        cdef Verdict verdict
        while x.entered < len(policies):
            verdict = (<Policy>policies[x.entered]).request(x)
            x.entered += 1
            if verdict == CONTINUE:
                continue
            if verdict == ANSWER:
                x.answer.start(x)
            else:
                x.source.pause(x)
            return
        x.plan.destination.start(x)

    cdef void wake(self, Ticket ticket) noexcept:
        cdef Exchange x = ticket.exchange
        if not current(ticket):
            self.counters.late_resumes += 1
            return
        x.ticket = 0
        self.reactor.enter()
        if x.answer is not None:
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
        cdef int i
        x.response_started = True
        x.status = x.response.status
        for i in range(x.entered - 1, -1, -1):
            (<Policy>x.plan.policies[i]).response(x)
        x.sink.head(x)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        x.sink.body(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        x.sink.end(x)
        self.finish(x)

    cdef void upgrade(self, Exchange x, Stream upstream, const char* early, size_t n) noexcept:
        cdef Stream downstream
        cdef Buffer said
        self.head(x)
        downstream = x.sink.detach(x)
        x.tunnel = join(x, self.reactor, downstream, upstream, x.plan.tunnel, self.snapshot.body_idle,
                        self.counters)
        downstream.write(early, n)
        if x.attempt is not None:
            said = <Buffer>x.attempt
            upstream.write(said.data + said.start, said.end - said.start)
            upstream.flush()
            x.attempt = None

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
        self.counters.rejects[fault_reject(fault)] += 1
        if x.plan is not None:
            x.plan.destination.cancel(x)
        x.destination = None
        if x.response_started:
            x.sink.abort(x)
            self.finish(x)
            return
        try:
            put_problem(x, fault, allow, self.snapshot.via.pseudonym)
        except MemoryError:
            x.sink.abort(x)
            self.finish(x)
            return
        self.head(x)
        x.sink.body(x, x.response.data + x.response.target, x.response.target_length)
        self.end(x)

    cdef void cancel(self, Exchange x, Fault fault) noexcept:
        if x.over:
            return
        x.fault = fault
        if x.tunnel is not None:
            (<Tunnel>x.tunnel).finish()
            return
        if x.plan is not None:
            x.plan.destination.cancel(x)
        x.destination = None
        if not x.response_started:
            x.status = fault_status(fault)
        self.finish(x)

    # 5. Every exit passes here, once.

    cdef void finish(self, Exchange x) noexcept:
        cdef uint64_t now = clock()
        cdef uint64_t total = now - x.began
        cdef RouteCounters* counters
        cdef int i
        x.over = True
        disarm(x)
        if x.sent and not x.answered:
            x.waited += now - x.sent
        if x.routed:
            self.counters.now.exchanges -= 1
        counters = x.plan.counters if x.plan is not None else self.slab.unmatched()
        count_exchange(
            counters, outcome(x), total, total - min(total, x.waited), x.waited, x.bytes_in, x.bytes_out)
        for i in range(x.entered):
            (<Policy>x.plan.policies[i]).end(x)
        if self.log is not None:
            self.write_log(x, total)
        x.source.finished(x)

    cdef void write_log(self, Exchange x, uint64_t total) noexcept:
        cdef AccessRecord record
        cdef Head* head = &x.request
        cdef Header* line
        cdef uint32_t i
        memset(&record, 0, sizeof(record))
        record.duration_us = total // 1000
        record.upstream_us = min(total, x.waited) // 1000
        record.gateway_us = record.duration_us - record.upstream_us
        record.bytes_in = x.bytes_in
        record.bytes_out = x.bytes_out
        record.status = x.status
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
            record.route.data = x.plan.label
            record.route.length = len(x.plan.label)
        if x.upstream_name is not None:
            record.upstream.data = x.upstream_name
            record.upstream.length = len(x.upstream_name)
        if x.fault:
            record.failed = True
            record.error.data = fault_name(x.fault)
            record.error.length = strlen(record.error.data)
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


cdef unsigned int outcome(Exchange x) noexcept:
    """The class of the status, or 0 for an exchange that was cut short."""
    if x.fault and (x.fault in (CLIENT_GONE, CLIENT_STALLED) or x.status != fault_status(x.fault)):
        return 0
    return x.status // 100
