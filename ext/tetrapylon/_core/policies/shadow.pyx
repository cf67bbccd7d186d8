"""Copies of a share of the requests go to a second destination, and pairs of answers to who compares."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport DROPPED, HOP, Head, Header
from tetrapylon._core.exchange cimport NO_FAULT, Exchange, Filter, Peer, Plan, install
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed, arm, disarm
from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.upstreams.call cimport CallStages
from tetrapylon._core.upstreams.copies cimport Copy, copied_head

import os
from collections import deque

cdef enum:
    FIRST = 20          # samples of a worker that are all asked twice, so that noise is known soon
    AT_ONCE = 8         # copies begun in one turn of the loop

cdef double PAUSE = 0.001               # s between two turns with copies in them
cdef tuple SAFE = (b"GET", b"HEAD", b"OPTIONS")        # RFC 9110 section 9.2.1


cdef class Sample:
    """One request that is copied, with all that becomes of it."""
    cdef Shadow shadow
    cdef Peer peer
    cdef bytes method
    cdef bytes target
    cdef bytes text             # the head of the copies
    cdef bytes content          # and their body
    cdef uint16_t status
    cdef list fields
    cdef list pieces
    cdef size_t taken
    cdef bint large
    cdef bint whole
    cdef bytes body
    cdef Second second
    cdef Second again           # the primary, asked once more; None: it is not
    cdef int left               # copies that are under way


cdef class Capture(Filter):
    cdef Sample sample

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef Sample sample = self.sample
        sample.taken += n
        if sample.taken > sample.shadow.body_limit:
            sample.large = True
            sample.pieces = []
        else:
            sample.pieces.append(data[:n])
        self.emit(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        self.sample.whole = True


cdef class Second(Copy):
    cdef Sample sample

    cdef void head(self, Exchange x) noexcept:
        if x.response.status >= 200:
            self.headers = self.sample.shadow.chosen(&x.response)

    cdef void completed(self) noexcept:
        self.sample.left -= 1
        if not self.sample.left:
            self.sample.shadow.done(self.sample)


cdef class Launch(Timed):
    cdef Shadow shadow

    cdef void timed_out(self) noexcept:
        self.shadow.begin_some()


cdef class Shadow(Policy):
    """The last policy of its route: it sees what goes to the primary, and what comes from there.

    A copy sets out when the client has its answer, never before. A sample counts against `in_flight` from its
    request to its last answer, which bounds the memory: so many times three bodies.
    """
    cdef uint64_t threshold             # of 2**32: those drawn below are sampled
    cdef uint64_t twice
    cdef uint64_t state                 # of the generator (xorshift64*)
    cdef frozenset methods
    cdef frozenset names                # of the fields that are compared, in lower case
    cdef size_t body_limit
    cdef uint32_t in_flight
    cdef uint32_t under_way
    cdef uint32_t begun
    cdef CallStages stages
    cdef Reactor reactor
    cdef Plan primary
    cdef Plan second
    cdef object outbox
    cdef str route
    cdef object waiting
    cdef Launch launch
    cdef DeadlineQueue* pause
    cdef Slab slab                      # keeps the words alive
    cdef uint64_t* copied
    cdef uint64_t* dropped
    cdef uint64_t* large

    def __init__(self, str route not None, CallStages stages not None, Plan primary not None,
                 Plan second not None, Slab slab not None, outbox, *, double sample, double again, methods,
                 headers, size_t body, uint32_t in_flight):
        self.route = route
        self.stages = stages
        self.reactor = stages.reactor
        self.primary = primary
        self.second = second
        self.outbox = outbox
        self.threshold = <uint64_t>(sample * 4294967296.0)
        self.twice = <uint64_t>(again * 4294967296.0)
        self.state = int.from_bytes(os.urandom(8), "little") | 1
        self.methods = frozenset([*SAFE, *methods])
        self.names = frozenset(headers)
        self.body_limit = self.request_limit = body
        self.in_flight = in_flight
        self.waiting = deque()
        self.launch = Launch()
        self.launch.shadow = self
        self.pause = self.reactor.queue(PAUSE)
        self.slab = slab
        labels = {"route": route}
        self.copied = slab.series("tetrapylon_shadow_copies_total", labels)
        self.dropped = slab.series("tetrapylon_shadow_dropped_total", labels)
        self.large = slab.series("tetrapylon_shadow_too_large_total", labels)

    def close(self):
        self.waiting.clear()
        disarm(self.launch)
        self.launch.shadow = None       # it holds this one

    cdef uint64_t draw(self) noexcept:
        self.state ^= self.state >> 12
        self.state ^= self.state << 25
        self.state ^= self.state >> 27
        return (self.state * <uint64_t>2685821657736338717ULL) >> 32

    # What goes to the primary

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head
        if self.draw() >= self.threshold:
            return CONTINUE
        head = &x.request
        if head.data[head.method:head.method + head.method_length] not in self.methods or head.upgrade:
            return CONTINUE
        if self.under_way >= self.in_flight:
            self.dropped[0] += 1
            return CONTINUE
        if not head.has_body or x.body is not None:
            self.sample(x)
            return CONTINUE
        if head.content_length < 0 or <size_t>head.content_length > self.request_limit:
            self.large[0] += 1
            return CONTINUE
        return COLLECT

    cdef Verdict whole_request(self, Exchange x) noexcept:
        self.sample(x)
        return CONTINUE

    cdef void sample(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef Sample sample = Sample.__new__(Sample)
        sample.shadow = self
        sample.peer = x.peer
        sample.method = head.data[head.method:head.method + head.method_length]
        sample.target = head.data[head.target:head.target + head.target_length]
        sample.text = copied_head(x)
        sample.content = x.body
        sample.pieces = []
        if x.notes is None:
            x.notes = {}
        x.notes[self] = sample
        self.under_way += 1

    # What comes from there

    cdef Verdict response(self, Exchange x) noexcept:
        cdef Sample sample
        cdef Capture filter
        if x.notes is None:
            return CONTINUE
        sample = x.notes.get(self)
        # On a route that moves, the second may have answered itself.
        if sample is None or x.plan.destination is not self.primary.destination:
            return CONTINUE
        sample.status = x.response.status
        sample.fields = self.chosen(&x.response)
        filter = Capture.__new__(Capture)
        filter.sample = sample
        install(x, filter)
        return CONTINUE

    cdef list chosen(self, const Head* head):
        """The fields that are compared: name in lower case, and value."""
        cdef const Header* line
        cdef uint32_t i
        cdef list found = []
        for i in range(head.count):
            line = &head.headers[i]
            if not line.mark & (DROPPED | HOP):
                name = head.data[line.name:line.name + line.name_length].lower()
                if name in self.names:
                    found.append((name, head.data[line.value:line.value + line.value_length]))
        return found

    cdef void end(self, Exchange x) noexcept:
        cdef Sample sample
        if x.notes is None:
            return
        sample = x.notes.pop(self, None)
        if sample is None:
            return
        if not sample.whole or x.fault != NO_FAULT or sample.large:
            self.under_way -= 1         # no answer of the primary's to compare with
            if sample.large:
                self.large[0] += 1
            return
        sample.body = b"".join(sample.pieces)
        sample.pieces = None
        self.waiting.append(sample)
        if self.launch.timer.queue is NULL:
            arm(self.reactor, self.launch, self.pause)

    # The copies

    cdef void begin_some(self) noexcept:
        cdef int _i
        for _i in range(AT_ONCE):
            if not self.waiting:
                return
            self.begin(<Sample>self.waiting.popleft())
        if self.waiting:
            arm(self.reactor, self.launch, self.pause)

    cdef void begin(self, Sample sample) noexcept:
        self.begun += 1
        sample.left = 1                 # so that it is not done before both have begun
        sample.second = self.send(sample, self.second)
        if sample.method in SAFE and (self.begun <= FIRST or self.draw() < self.twice):
            sample.again = self.send(sample, self.primary)
        self.copied[0] += 1
        sample.left -= 1
        if not sample.left:
            self.done(sample)

    cdef Second send(self, Sample sample, Plan plan):
        cdef Second copy = Second.__new__(Second)
        copy.make(self.stages, plan, sample.text, sample.content, self.body_limit, sample.peer)
        copy.sample = sample
        sample.left += 1
        try:
            copy.begin()
        except ValueError:              # longer than a request of the gateway's own may be
            sample.left -= 1
            self.large[0] += 1
            return None
        return copy

    cdef void done(self, Sample sample) noexcept:
        self.under_way -= 1
        if sample.second is None:
            return
        if sample.second.fault == "response_large":
            self.large[0] += 1
        elif is_same(sample, sample.second) and (sample.again is None or is_same(sample, sample.again)):
            self.outbox.same(self.route)
        else:
            self.outbox.put((
                self.route, sample.method, sample.target, (sample.status, sample.fields, sample.body, ""),
                told(sample.second), None if sample.again is None else told(sample.again)))
        sample.second = sample.again = None         # they hold the sample: no ring is left behind


cdef bint is_same(Sample sample, Second other) noexcept:
    """To the last byte."""
    return (other.fault is None and other.status == sample.status and other.payload == sample.body
            and other.headers == sample.fields)


cdef tuple told(Second copy):
    return copy.status, copy.headers, copy.payload, copy.fault or ""
