"""Aggregates: several upstreams are asked at once, or one after the other, and their JSON is put together.

A part's answer is never decoded: it is held to be one well-formed JSON value, so that it can neither break
the answer nor say anything in another part's place, and copied.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from tetrapylon._core.body cimport say_continue
from tetrapylon._core.buffer cimport (
    CONTENT_TYPE, DROPPED, FORWARDED, HOP, HOST, OURS, VIA, X_FORWARDED_FOR, X_FORWARDED_HOST,
    X_FORWARDED_PROTO, Buffer, Head, Header, head_add, head_append, same_name,
)
from tetrapylon._core.code.json_edit cimport Edit, Slice, checked, edited, find
from tetrapylon._core.exchange cimport (
    BODY_TOO_LARGE, CLIENT_GONE, FOR_UPSTREAM, INTERNAL_FAULT, NO_WAIT, RESPONSE_MALFORMED, Destination,
    Exchange, Fault, Plan, Sink, Stages, turn_to,
)
from tetrapylon._core.http.respond cimport Answer, Refusal, fault_error, fault_status
from tetrapylon._core.http.template cimport URL, Template
from tetrapylon._core.http.wire cimport Via
from tetrapylon._core.policy cimport Policy
from tetrapylon._core.reactor cimport Reactor, clock, disarm
from tetrapylon._core.routing.path cimport path_length
from tetrapylon._core.routing.route cimport Router
from tetrapylon._core.stages cimport Pipeline, Snapshot
from tetrapylon._core.stream cimport Stream
from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.upstreams.call cimport Call

from urllib.parse import quote

import msgspec

from tetrapylon._core.code.json_edit import members

cdef object encode = msgspec.json.encode
cdef object decode = msgspec.json.decode
cdef tuple JSON = (b"Content-Type", b"application/json")
# What an answer has that the gateway says itself of its own copy.
cdef frozenset FRAMING = frozenset((b"content-length", b"transfer-encoding", b"trailer", b"date"))
cdef dict TITLES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
                    504: "Gateway Timeout"}

cdef enum:
    TARGET_MAX = 65536          # bytes of a part's target


cdef class PartStages(Pipeline):
    def __cinit__(self, Reactor reactor not None, Snapshot snapshot not None, Slab slab not None, log=None):
        pass

    cdef void start(self, Exchange x) noexcept:
        self.proceed(x)

    cdef void interim(self, Exchange x) noexcept:
        pass

    cdef void refused(self, Exchange x) noexcept:
        pass

    cdef void fail(self, Exchange x, Fault fault) noexcept:
        if x.over:
            return
        x.fault = fault
        self.give_up(x)
        x.sink.abort(x)
        self.finish(x)

    cdef void cancel(self, Exchange x, Fault fault) noexcept:
        self.fail(x, fault)

    cdef void upgrade(self, Exchange x, Stream upstream, const char* early, size_t n) noexcept:
        upstream.abort(False)           # it was not asked for
        self.fail(x, RESPONSE_MALFORMED)

    cdef void finish(self, Exchange x) noexcept:
        cdef int i
        if x.over:
            return
        x.over = True
        disarm(x)
        for i in range(x.entered):
            (<Policy>x.plan.policies[i]).end(x)
        x.source.finished(x)


def part_stages(Reactor reactor not None, Slab slab not None, Via via not None):
    """The stages of all parts that have policies."""
    return PartStages(reactor, Snapshot(reactor, Router(), via=via), slab)


cdef class Part:
    def __init__(self, str name not None, Stages stages not None, Plan plan not None,
                 Template path not None, *, Slab slab not None, str route not None,
                 bytes method not None=b"GET", fields=(), before=(),
                 Py_ssize_t waits=0, forward=(), bint sends_body=False, bint required=True,
                 bytes default=None, passes=(), size_t limit=1048576, Edit edit=None, bint flatten=False,
                 str group=None):
        """`fields`: (index of a part, path, text) for each group of `path`; `before`: indexes."""
        self.name = name
        self.label = name.encode("ascii")
        self.key = encode(name)
        self.reason = b"part_failed:" + self.label
        self.stages = stages
        self.plan = plan
        self.method = method
        self.path = path
        self.fields = tuple(fields)
        self.before = tuple(before)
        self.waits = waits
        self.forward = tuple([each.lower().encode("ascii") for each in forward])
        self.sends_body = sends_body
        self.required = required
        self.default = default
        self.passes = frozenset(passes)
        self.limit = limit
        self.edit = edit
        self.flatten = flatten
        self.group = None if group is None else encode(group)
        self.slab = slab
        self.failures = slab.series("tetrapylon_part_failures_total", {"route": route, "part": name})

    cdef bint tells(self, const char* name, size_t n) noexcept:
        for each in self.forward:
            if <size_t>len(<bytes>each) == n and same_name(name, <bytes>each, n):
                return True
        return False


cdef class Gathering:
    cdef bint live(self) noexcept:
        return not self.over and self.x.generation == self.generation and not self.x.over

    cdef void stop(self) noexcept:
        """Nothing more is wanted of the parts."""
        cdef PartCall call
        self.over = True
        for each in self.calls:
            call = <PartCall>each
            if call is not None and call.exchange is not None:
                call.stages.cancel(call.exchange, CLIENT_GONE)


cdef class PartCall(Call):
    cdef int write(self, Exchange y) except -1:
        cdef Exchange x = self.gathering.x
        cdef Part part = self.part
        cdef Head* asked = &x.request
        cdef Head* head = &y.request
        cdef Header* line
        cdef const char* name
        cdef uint32_t i
        cdef int64_t at
        cdef bytes length
        at = head_append(head, part.method, len(part.method))
        head.method = <uint32_t>at
        head.method_length = <uint32_t>len(part.method)
        if at >= 0:
            at = head_append(head, part.path.data, part.path.n)
        if at < 0:
            raise MemoryError
        head.target = <uint32_t>at
        head.target_length = <uint32_t>part.path.n
        for i in range(asked.count):
            line = &asked.headers[i]
            name = asked.data + line.name
            if line.mark & (DROPPED | HOP):
                continue
            if (line.known in (HOST, VIA, FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO)
                    or line.mark & OURS or (line.known == CONTENT_TYPE and part.sends_body)
                    or part.tells(name, line.name_length)):
                added(head_add(head, name, line.name_length, asked.data + line.value, line.value_length,
                               line.mark & OURS))
        added(head_add(head, b"Accept", 6, b"application/json", 16, 0))
        if part.sends_body and x.body is not None:
            length = b"%d" % len(x.body)
            added(head_add(head, b"Content-Length", 14, length, len(length), 0))
            head.content_length = len(x.body)
            head.has_body = len(x.body) > 0
            y.body = x.body
        y.consumer = x.consumer
        y.client_n = x.client_n
        memcpy(y.client, x.client, x.client_n)
        return 0

    cdef void head(self, Exchange y) noexcept:
        if y.response.status in self.part.passes:
            Call.head(self, y)

    cdef void abort(self, Exchange y) noexcept:
        self.cause = y.fault
        Call.abort(self, y)

    cdef void completed(self) noexcept:
        self.gathering.aggregate.heard(self)


cdef inline int added(int code) except -1:
    if code < 0:
        raise MemoryError
    return 0


cdef class Intake(Sink):
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef Buffer pieces = <Buffer>x.attempt
        if pieces.end - pieces.start + n > self.aggregate.body_limit:
            x.stages.fail(x, BODY_TOO_LARGE)
            return
        try:
            pieces.append(data, n)
        except MemoryError:
            x.stages.fail(x, INTERNAL_FAULT)

    cdef void end(self, Exchange x) noexcept:
        cdef Buffer pieces = <Buffer>x.attempt
        x.trailers = NULL
        x.destination = None
        x.attempt = None
        x.body = PyBytes_FromStringAndSize(pieces.data + pieces.start, pieces.end - pieces.start)
        self.aggregate.gather(x)


cdef class Aggregate(Destination):
    def __init__(self, parts, *, size_t body_limit=1048576):
        cdef Part part
        self.parts = tuple(parts)
        self.plain = True
        for each in self.parts:
            part = <Part?>each
            self.sends_body = self.sends_body or part.sends_body
            self.plain = self.plain and not part.flatten and part.group is None
        self.body_limit = body_limit
        self.intake = Intake.__new__(Intake)
        self.intake.aggregate = self

    cdef void start(self, Exchange x) noexcept:
        if not self.sends_body or x.body is not None or not x.request.has_body:
            self.gather(x)
            return
        if x.request.content_length > <int64_t>self.body_limit:
            x.stages.fail(x, BODY_TOO_LARGE)
            return
        x.attempt = Buffer()
        x.destination = self.intake
        if x.request.expect_continue:
            say_continue(x)
        x.source.resume(x)

    cdef void cancel(self, Exchange x) noexcept:
        cdef Gathering g
        if type(x.attempt) is Gathering:
            g = <Gathering>x.attempt
            x.attempt = None
            g.stop()

    cdef void gather(self, Exchange x) noexcept:
        cdef Gathering g = Gathering.__new__(Gathering)
        cdef Py_ssize_t i
        g.aggregate = self
        g.x = x
        g.generation = x.generation
        g.left = len(self.parts)
        g.calls = [None] * g.left
        g.said = [None] * g.left
        g.shown = [None] * g.left
        g.waits = [(<Part>each).waits for each in self.parts]
        g.missing = []
        x.attempt = g
        x.sent = clock()
        turn_to(x, FOR_UPSTREAM, x.sent)
        try:
            for i in range(len(self.parts)):
                if not (<Part>self.parts[i]).waits:
                    self.ask(g, i)
                    if not g.live():
                        return
        except BaseException:
            broken(g)

    cdef int ask(self, Gathering g, Py_ssize_t index) except -1:
        cdef Part part = <Part>self.parts[index]
        cdef PartCall call
        cdef tuple groups = ()
        try:
            if part.fields:
                groups = fields_of(part, g.said)
            if not part.path.expand(g.x, groups, URL):
                raise MemoryError
            hold_to_target(part.path.data, part.path.n)
        except ValueError as error:
            self.failed(g, index, 502, b"error=proxy_internal_response", f"it was not asked: {error}")
            return 0
        call = PartCall.__new__(PartCall)
        call.gathering = g
        call.part = part
        call.index = index
        call.stages = part.stages
        call.plan = part.plan
        call.limit = part.limit
        call.headers = []
        call.peer = g.x.peer
        g.calls[index] = call
        call.begin()
        return 0

    cdef void heard(self, PartCall call) noexcept:
        cdef Gathering g = call.gathering
        cdef Reactor reactor = call.stages.reactor
        g.calls[call.index] = None
        if not g.live():
            return
        reactor.enter()
        try:
            self.judge(g, call)
        except BaseException:
            broken(g)
        reactor.leave()

    cdef int judge(self, Gathering g, PartCall call) except -1:
        """A part has answered, or failed to."""
        cdef Part part = call.part
        cdef bytes text, error
        if not call.status:
            error = b"error=" + fault_error(call.cause)
            return self.failed(g, call.index, fault_status(call.cause), error, f"no answer: {call.fault}")
        error = b"received-status=%d" % call.status
        if call.status in part.passes:
            return self.passes(g, call)
        if not 200 <= call.status < 300:
            return self.failed(g, call.index, 502, error, f"it answered with {call.status}")
        try:
            text = checked(call.payload) if call.payload else b"{}" if part.flatten else b"null"
            g.said[call.index] = text if part.before else None
            text = text if part.edit is None else edited(part.edit, text)
            g.shown[call.index] = members(text) if part.flatten else text
        except ValueError as why:
            error = b"error=http_protocol_error; " + error
            return self.failed(g, call.index, 502, error, f"its answer cannot be used: {why}")
        return self.settled(g, call.index)

    cdef int failed(self, Gathering g, Py_ssize_t index, int status, bytes error, str detail) except -1:
        cdef Part part = <Part>self.parts[index]
        cdef Exchange x = g.x
        cdef Failure failure
        part.failures[0] += 1
        if not part.required:
            g.missing.append(part.label)
            if part.default is not None:
                g.said[index] = part.default
                g.shown[index] = members(part.default) if part.flatten else part.default
            return self.settled(g, index)
        failure = Failure(status, "part_failed", TITLES[status], "A part of this answer has failed.",
                          headers=[(b"Retry-After", b"1")] if status == 503 else ())
        failure.error = error
        failure.body = encode({
            "type": "about:blank", "title": TITLES[status], "status": status,
            "detail": "A part of this answer has failed.", "reason": "part_failed",
            "errors": [{"part": part.name, "detail": detail}],
        }) + b"\n"
        x.reason = part.reason
        end(g)
        failure.start(x)
        return 0

    cdef int settled(self, Gathering g, Py_ssize_t index) except -1:
        """Who waits for this part may be asked now."""
        cdef Py_ssize_t other
        g.left -= 1
        for each in (<Part>self.parts[index]).before:
            other = each
            g.waits[other] -= 1
            if not g.waits[other]:
                self.ask(g, other)
                if not g.live():
                    return 0
        if not g.left:
            self.answer(g)
        return 0

    cdef int passes(self, Gathering g, PartCall call) except -1:
        """A part's answer is the client's."""
        cdef Exchange x = g.x
        cdef Answer answer = Answer(
            call.status, headers=[pair for pair in call.headers if pair[0].lower() not in FRAMING],
            body=call.payload)
        x.reason = call.part.reason
        call.part.failures[0] += 1
        end(g)
        x.stages.reactor.keep(answer)
        answer.start(x)
        return 0

    cdef int answer(self, Gathering g) except -1:
        cdef Exchange x = g.x
        cdef Answer answer
        cdef list headers = [JSON]
        if g.missing:
            headers.append((b"X-Partial", b", ".join(sorted(g.missing))))
            headers.append((b"Cache-Control", b"no-store"))
        answer = Answer(200, headers=headers, body=self.merged(g.shown))
        end(g)
        x.stages.reactor.keep(answer)
        answer.start(x)
        return 0

    cdef bytes merged(self, list shown):
        """The parts in the order of the config. Of members with one name, the last counts."""
        cdef Part part
        cdef Py_ssize_t i
        cdef list pieces
        cdef dict whole, place
        if self.plain:
            pieces = []
            for i in range(len(self.parts)):
                if shown[i] is not None:
                    pieces += (b"," if pieces else b"{", (<Part>self.parts[i]).key, b":", shown[i])
            pieces.append(b"}" if pieces else b"{}")
            return b"".join(pieces)
        whole = {}
        for i in range(len(self.parts)):
            part = <Part>self.parts[i]
            if shown[i] is None:
                continue
            place = whole
            if part.group is not None:
                if not isinstance(whole.get(part.group), dict):
                    whole[part.group] = {}
                place = <dict>whole[part.group]
            if part.flatten:
                place.update(shown[i])
            else:
                place[part.key] = shown[i]
        return object_of(whole)


cdef bytes object_of(dict whole):
    cdef list pieces = []
    for name, value in whole.items():
        pieces += (b"," if pieces else b"{", name, b":",
                   object_of(<dict>value) if isinstance(value, dict) else value)
    pieces.append(b"}" if pieces else b"{}")
    return b"".join(pieces)


cdef void end(Gathering g) noexcept:
    """All is known, or enough: the exchange goes on without the parts."""
    cdef Exchange x = g.x
    x.attempt = None
    x.answered = clock()
    turn_to(x, NO_WAIT, x.answered)
    x.waited = x.spent[<int>FOR_UPSTREAM]
    g.stop()


cdef void broken(Gathering g) noexcept:
    if g.live():
        g.x.stages.fail(g.x, INTERNAL_FAULT)


cdef class Failure(Refusal):
    cdef void start(self, Exchange x) noexcept:
        self.send(x)


cdef tuple fields_of(Part part, list said):
    """What the template's groups stand for, percent-encoded. Raises ValueError where it cannot be sent."""
    cdef list found = []
    cdef Slice value
    cdef bytes text
    for index, path, shown in part.fields:
        if said[index] is None or not find(<bytes>said[index], <tuple>path, &value):
            raise ValueError(f"there is no {shown}")
        if value.data[0] in (c"{", c"[", c"n"):
            raise ValueError(f"{shown} is neither text nor a number")
        text = PyBytes_FromStringAndSize(value.data, value.n)
        if value.data[0] == c'"':
            text = quote(decode(text), safe="").encode()
            if not text:
                raise ValueError(f"{shown} is empty")
        found.append(text)
    return tuple(found)


cdef int hold_to_target(const char* target, size_t n) except -1:
    """Raises ValueError where what was put into a path leads out of it, or is endless."""
    cdef size_t end, start = 1, i
    if n > TARGET_MAX:
        raise ValueError("its target is too long")
    end = path_length(target, n)
    for i in range(1, end + 1):
        if i == end or target[i] == c"/":
            if (i - start == 1 and target[start] == c".") or (
                    i - start == 2 and target[start] == c"." and target[start + 1] == c"."):
                raise ValueError("its path would have a dot segment (RFC 3986 section 3.3)")
            start = i + 1
    return 0
