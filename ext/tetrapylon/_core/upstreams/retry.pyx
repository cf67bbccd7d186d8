"""When a request is sent again, and how often all of them may be."""

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.exchange cimport Destination, Exchange, is_method
from tetrapylon._core.reactor cimport Reactor, Timed

CAUSES = {"connect": CONNECT, "reset": RESET, "timeout": TIMEOUT}


cdef class Budget:
    def __init__(self, double share, *, int floor=3, double window=10.0):
        """`share` of the requests of the last `window` seconds, and at least `floor` of them."""
        self.share = share
        self.floor = floor if share > 0 else 0
        self.span = <uint64_t>(window * 1e9 / SPANS)

    cdef void turn(self, uint64_t now) noexcept:
        """Forget what is older than the window."""
        cdef uint64_t at = now // self.span
        cdef int i
        if at == self.now:
            return
        for _ in range(SPANS + 1 if at - self.now > SPANS + 1 else <int>(at - self.now)):
            self.now += 1
            i = <int>(self.now % SPANS)
            self.requested -= self.requests[i]
            self.requests[i] = 0
            i = <int>(self.now % (SPANS + 1))
            self.retried -= self.retries[i]
            self.retries[i] = 0
        if self.now != at:
            self.now = at               # all of it was forgotten: where it goes on is of no account

    cdef void request(self, uint64_t now) noexcept:
        self.turn(now)
        self.requests[self.now % SPANS] += 1
        self.requested += 1

    cdef bint has(self, uint64_t now) noexcept:
        self.turn(now)
        return self.retried + 1 <= max(<double>self.floor, self.share * self.requested)

    cdef bint take(self, uint64_t now) noexcept:
        """One retry more, if that is within the budget."""
        if not self.has(now):
            return False
        self.retries[self.now % (SPANS + 1)] += 1
        self.retried += 1
        return True

    def spend(self, uint64_t requests, uint64_t wanted, uint64_t now):
        """How many of so many retries it lets pass after so many requests, at `now` in ns. For tests."""
        cdef uint64_t granted = 0
        for _ in range(requests):
            self.request(now)
        for _ in range(wanted):
            granted += self.take(now)
        return granted


cdef class Retry:
    def __init__(self, Reactor reactor not None, *, int attempts=1,
                 on=("connect", "reset", "timeout", 502, 503, 504), methods=None, patience=None,
                 double backoff=0.025, double budget=0.2):
        """Times in seconds. `methods` beside the idempotent ones; `patience` None: no limit for one try."""
        cdef int i
        self.attempts = attempts
        for cause in on:
            if isinstance(cause, int):
                self.causes |= STATUS
                self.statuses[<int>cause] = True
            else:
                self.causes |= <uint32_t>CAUSES[cause]
        self.methods = None if methods is None else frozenset(methods)
        self.patience = NULL if patience is None else reactor.queue(patience)
        self.pausing = backoff > 0
        for i in range(PAUSES * STEPS):
            length = backoff * 2 ** (i // PAUSES) * (i % PAUSES + 1) / PAUSES
            self.pauses[i] = reactor.queue(max(0.001, length)) if self.pausing else NULL
        self.budget = Budget(budget)

    cdef bint may(self, Exchange x) noexcept:
        cdef Tries tries = <Tries>x.tries if x.tries is not None else None
        if x.response_started or (tries is not None and tries.count >= self.attempts):
            return False
        if x.request.has_body and x.body is None:
            return False
        if idempotent(x):
            return True
        if self.methods is None:
            return False
        return x.request.data[x.request.method:x.request.method + x.request.method_length] in self.methods

    cdef bint listed(self, Exchange x) noexcept:
        return x.response.status < 600 and self.statuses[x.response.status]


cdef class Tries(Timed):
    cdef bint has(self, object target) noexcept:
        for each in self.tried:
            if each is target:
                return True
        return False

    cdef void timed_out(self) noexcept:
        """The pause before the next try is over."""
        cdef Exchange x = self.exchange
        if x.attempt is self:
            x.attempt = None
            self.upstream.start(x)


cdef Tries tries_of(Exchange x, Destination upstream):
    """Its record; made on the first need."""
    cdef Tries tries
    if x.tries is not None and (<Tries>x.tries).upstream is upstream:
        return <Tries>x.tries
    tries = Tries.__new__(Tries)
    tries.exchange = x
    tries.upstream = upstream
    tries.tried = []
    x.tries = tries
    return tries


cdef bint idempotent(Exchange x) noexcept:
    """RFC 9110 section 9.2.2."""
    return (
        is_method(x, b"GET", 3) or is_method(x, b"HEAD", 4) or is_method(x, b"OPTIONS", 7)
        or is_method(x, b"PUT", 3) or is_method(x, b"DELETE", 6) or is_method(x, b"TRACE", 5)
    )
