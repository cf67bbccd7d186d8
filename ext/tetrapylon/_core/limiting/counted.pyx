from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange, Ticket, current, wait
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.limiting.amount_fields cimport Fields
from tetrapylon._core.limiting.key cimport KEY_ROOM, Key
from tetrapylon._core.policy cimport CONTINUE, WAIT, Policy, Verdict
from tetrapylon._core.shared.limits cimport Table
from tetrapylon._core.telemetry.counters cimport Slab

cdef enum:
    LATE_OPEN = 0
    LATE_CLOSED = 1
    LATE_LOCAL = 2


cdef class Counted(Policy):
    def __init__(self, str name, settings, tuple parts, str limit, Table table, Slab slab, batch, *, windows,
                 detail):
        self.key = Key(parts, f"{name} {limit} {parts} {settings.ipv6_prefix}", settings.ipv6_prefix)
        self.table = table
        self.fields = Fields(windows, settings.headers)
        self.refusal = Refusal(429, name, "Too Many Requests", detail)
        self.away = Refusal(
            503, f"{name}_store", "Service Unavailable", "The requests cannot be counted now.",
            headers=[(b"Retry-After", b"1")])
        self.late = {"open": LATE_OPEN, "closed": LATE_CLOSED, "local": LATE_LOCAL}[settings.on_failure]
        self.slab = slab
        self.forgotten = slab.series("tetrapylon_limit_keys_forgotten_total", {"policy": name})
        self.failures = slab.series(
            "tetrapylon_limit_store_failures_total", {"policy": name, "on_failure": settings.on_failure})
        self.batch = batch
        if batch is not None:
            batch.tell(self.answered, self.unanswered)

    cdef Verdict count(self, Exchange x, const char* key, size_t n) noexcept:
        return CONTINUE

    cdef bytes question(self, const char* key, size_t n):
        return None

    cdef Verdict decide(self, Exchange x, bint allowed, uint64_t remaining, uint64_t reset, uint64_t retry,
                        unsigned int window) noexcept:
        self.fields.note(x, allowed, window, remaining, reset, retry)
        return CONTINUE if allowed else refuse(x, self.refusal)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef char[KEY_ROOM] room
        cdef size_t n = self.key.write(x, room)
        if self.batch is None:
            return self.count(x, room, n)
        if not self.batch.ready:
            return self.without_store(x)
        self.batch.ask(self.question(room, n), wait(x))
        return WAIT

    cdef Verdict without_store(self, Exchange x) noexcept:
        cdef char[KEY_ROOM] room
        self.failures[0] += 1
        if self.late == LATE_OPEN:
            return CONTINUE
        if self.late == LATE_CLOSED:
            return refuse(x, self.away)
        return self.count(x, room, self.key.write(x, room))

    def answered(self, list tickets, Py_ssize_t allowed, uint64_t remaining, uint64_t reset, uint64_t retry,
                 unsigned int window):
        cdef Ticket ticket
        cdef Py_ssize_t i
        for i in range(len(tickets)):
            ticket = tickets[i]
            if current(ticket):
                self.decide(ticket.exchange, i < allowed, remaining, reset * 1000, retry * 1000, window)
            ticket.resume()

    def unanswered(self, list tickets):
        cdef Ticket ticket
        for ticket in tickets:
            if current(ticket):
                self.without_store(ticket.exchange)
            ticket.resume()

    cdef Verdict response(self, Exchange x) noexcept:
        self.fields.put(x)
        return CONTINUE

    cdef void end(self, Exchange x) noexcept:
        self.fields.forget(x)
