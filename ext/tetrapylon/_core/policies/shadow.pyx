"""Copies of a share of the requests go to a second destination, and pairs of answers to who compares."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from tetrapylon._core.buffer cimport DROPPED, HOP, Head, Header, head_clone, head_free, head_reset, same_name
from tetrapylon._core.exchange cimport NO_FAULT, Exchange, Filter, Peer, Plan, install
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed, arm, disarm
from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.upstreams.call cimport CallStages
from tetrapylon._core.upstreams.copies cimport Copy

import os
from collections import deque

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* a, const char* b, size_t n)

cdef enum:
    FIRST = 20          # samples of a worker that are all asked twice, so that noise is known soon
    AT_ONCE = 16        # samples that are copied together: to be woken for each answer costs as much again

cdef double PAUSE = 0.002               # s that a sample waits for others
cdef double TOLD_EVERY = 0.25           # s
cdef frozenset SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))      # RFC 9110 section 9.2.1


cdef class Sample(Filter):
    """One request that is copied, with all that becomes of it; it keeps the primary's body as that passes."""
    cdef Shadow shadow
    cdef Sample next_free
    cdef Peer peer
    cdef Head request
    cdef bint safe
    cdef bytes content          # the request's body
    cdef Head answer            # of the primary's
    cdef bytes payload          # the primary's body
    cdef list pieces            # of it; None: there is one, in `payload`
    cdef size_t taken
    cdef bint large
    cdef bint whole
    cdef Second second
    cdef Second again           # the primary, asked once more; None: it is not
    cdef int left               # copies that are under way

    def __dealloc__(self):
        head_free(&self.request)
        head_free(&self.answer)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        self.taken += n
        if self.taken > self.shadow.body_limit:
            self.large = True
            self.payload = self.pieces = None
        elif self.taken == n:
            self.payload = data[:n]
        else:
            if self.pieces is None:
                self.pieces = [self.payload]
            self.pieces.append(data[:n])
        self.emit(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        self.whole = True
        if self.pieces is not None:
            self.payload = b"".join(self.pieces)


cdef class Second(Copy):
    cdef Sample sample
    cdef bint same              # as the primary's answer, to the last byte

    cdef void head(self, Exchange x) noexcept:
        pass

    cdef void end(self, Exchange x) noexcept:
        cdef Sample sample = self.sample
        Copy.end(self, x)
        self.same = (x.response.status == sample.answer.status and self.payload == sample.payload
                     and sample.shadow.agree(&x.response, &sample.answer))
        if not self.same:
            self.headers = sample.shadow.chosen(&x.response)

    cdef void completed(self) noexcept:
        self.sample.left -= 1
        if not self.sample.left:
            self.sample.shadow.done(self.sample)


cdef class Launch(Timed):
    cdef Shadow shadow

    cdef void timed_out(self) noexcept:
        self.shadow.begin_some()


cdef class Telling(Timed):
    cdef Shadow shadow

    cdef void timed_out(self) noexcept:
        self.shadow.tell()


cdef class Shadow(Policy):
    """The last policy of its route: it sees what goes to the primary, and what comes from there.

    A copy sets out when the client has its answer, never before. A sample counts against `in_flight` from its
    request to its last answer, which bounds the memory: so many times three bodies.
    """
    cdef uint64_t threshold             # of 2**32: those drawn below are sampled
    cdef uint64_t twice
    cdef uint64_t state                 # of the generator (xorshift64*)
    cdef frozenset methods
    cdef bytes names                    # of the fields compared, in lower case, each behind its length
    cdef uint64_t lengths               # of these names, a bit each
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
    cdef Sample free
    cdef Launch launch
    cdef DeadlineQueue* pause
    cdef uint64_t equal                 # pairs, to the last byte, that have not been told of
    cdef Telling telling
    cdef DeadlineQueue* told_every
    cdef bint closed
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
        self.methods = SAFE.union(methods)
        self.names = b"".join(bytes([len(name)]) + name for name in headers)
        for name in headers:
            self.lengths |= <uint64_t>1 << (len(name) & 63)
        self.body_limit = self.request_limit = body
        self.in_flight = in_flight
        self.waiting = deque()
        self.launch = Launch()
        self.launch.shadow = self
        self.pause = self.reactor.queue(PAUSE)
        self.telling = Telling()
        self.telling.shadow = self
        self.told_every = self.reactor.queue(TOLD_EVERY)
        self.slab = slab
        labels = {"route": route}
        self.copied = slab.series("tetrapylon_shadow_copies_total", labels)
        self.dropped = slab.series("tetrapylon_shadow_dropped_total", labels)
        self.large = slab.series("tetrapylon_shadow_too_large_total", labels)

    def close(self):
        self.closed = True
        self.waiting.clear()
        disarm(self.launch)
        self.tell()
        self.launch.shadow = self.telling.shadow = None     # they hold this one, as samples do
        while self.free is not None:
            self.free.shadow = None
            self.free = self.free.next_free

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
        if method_of(head) not in self.methods or head.upgrade:
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
        cdef Sample sample = self.free
        if sample is None:
            sample = Sample.__new__(Sample)
            sample.shadow = self
        else:
            self.free = sample.next_free
            sample.next_free = None
        if head_clone(&sample.request, head) < 0:
            self.dropped[0] += 1
            return
        sample.peer = x.peer
        sample.safe = method_of(head) in SAFE
        sample.content = x.body
        sample.payload = b""
        sample.taken = 0
        sample.large = sample.whole = False
        if x.notes is None:
            x.notes = {}
        x.notes[self] = sample
        self.under_way += 1

    # What comes from there

    cdef Verdict response(self, Exchange x) noexcept:
        cdef Sample sample
        if x.notes is None:
            return CONTINUE
        sample = x.notes.get(self)
        # On a route that moves, the second may have answered itself.
        if sample is None or x.plan.destination is not self.primary.destination:
            return CONTINUE
        if head_clone(&sample.answer, &x.response) < 0:
            return CONTINUE             # no whole answer, then
        install(x, sample)
        return CONTINUE

    cdef bint compares(self, const Head* head, const Header* line) noexcept:
        cdef const char* name = self.names
        cdef const char* end = name + len(self.names)
        if line.mark & (DROPPED | HOP) or not self.lengths >> (line.name_length & 63) & 1:
            return False
        while name < end:
            if <uint8_t>name[0] == line.name_length and same_name(
                    head.data + line.name, name + 1, line.name_length):
                return True
            name += 1 + <uint8_t>name[0]
        return False

    cdef bint agree(self, const Head* one, const Head* other) noexcept:
        """Do they have the same fields, of those that are compared, in the same order?"""
        cdef uint32_t i = 0, j = 0
        cdef const Header* mine
        cdef const Header* its
        while True:
            while i < one.count and not self.compares(one, &one.headers[i]):
                i += 1
            while j < other.count and not self.compares(other, &other.headers[j]):
                j += 1
            if i == one.count or j == other.count:
                return i == one.count and j == other.count
            mine, its = &one.headers[i], &other.headers[j]
            if (mine.name_length != its.name_length or mine.value_length != its.value_length
                    or memcmp(one.data + mine.value, other.data + its.value, mine.value_length)
                    or strncasecmp(one.data + mine.name, other.data + its.name, mine.name_length)):
                return False
            i += 1
            j += 1

    cdef list chosen(self, const Head* head):
        """The fields that are compared: name in lower case, and value."""
        cdef const Header* line
        cdef uint32_t i
        cdef list found = []
        for i in range(head.count):
            line = &head.headers[i]
            if self.compares(head, line):
                found.append((head.data[line.name:line.name + line.name_length].lower(),
                              head.data[line.value:line.value + line.value_length]))
        return found

    cdef void end(self, Exchange x) noexcept:
        cdef Sample sample
        if x.notes is None:
            return
        sample = x.notes.pop(self, None)
        if sample is None:
            return
        if self.closed or not sample.whole or x.fault != NO_FAULT or sample.large:
            if sample.large:
                self.large[0] += 1
            self.forget(sample)         # no answer of the primary's to compare with
            return
        self.waiting.append(sample)
        if len(self.waiting) >= AT_ONCE:
            self.reactor.after_turn(self.launch)
        elif self.launch.timer.queue is NULL:
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
        if sample.safe and (self.begun <= FIRST or self.draw() < self.twice):
            sample.again = self.send(sample, self.primary)
        self.copied[0] += 1
        sample.left -= 1
        if not sample.left:
            self.done(sample)

    cdef Second send(self, Sample sample, Plan plan):
        cdef Second copy = Second.__new__(Second)
        copy.make(self.stages, plan, &sample.request, sample.content, self.body_limit, sample.peer)
        copy.sample = sample
        sample.left += 1
        try:
            copy.begin()
        except MemoryError:
            sample.left -= 1
            self.dropped[0] += 1
            return None
        return copy

    cdef void done(self, Sample sample) noexcept:
        if sample.second is None:
            pass                        # there was no memory
        elif sample.second.fault == "response_large":
            self.large[0] += 1
        elif sample.second.same and (sample.again is None or sample.again.same):
            self.equal += 1
            if self.closed:
                self.tell()
            elif self.telling.timer.queue is NULL:
                arm(self.reactor, self.telling, self.told_every)
        else:
            self.outbox.put(self.pair(sample))
        self.forget(sample)

    cdef void forget(self, Sample sample) noexcept:
        """For another request, unless this was the last."""
        self.under_way -= 1
        sample.second = sample.again = None         # they hold the sample: no ring is left behind
        sample.next = None
        sample.peer = None
        head_reset(&sample.request)
        head_reset(&sample.answer)
        sample.content = sample.payload = sample.pieces = None
        if self.closed:
            sample.shadow = None
        else:
            sample.next_free = self.free
            self.free = sample

    cdef void tell(self) noexcept:
        if self.equal:
            self.outbox.same(self.route, self.equal)
            self.equal = 0

    cdef tuple pair(self, Sample sample):
        """As the outbox has it."""
        cdef const Head* head = &sample.request
        cdef tuple primary = (sample.answer.status, self.chosen(&sample.answer), sample.payload, "")
        return (
            self.route, method_of(head), head.data[head.target:head.target + head.target_length], primary,
            told(sample.second, primary), None if sample.again is None else told(sample.again, primary))


cdef bytes method_of(const Head* head):
    return head.data[head.method:head.method + head.method_length]


cdef tuple told(Second copy, tuple primary):
    return primary if copy.same else (copy.status, copy.headers or [], copy.payload, copy.fault or "")
