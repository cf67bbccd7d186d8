"""`rate_limit`: how often a client, a consumer or whatever else may ask."""

from libc.stdint cimport uint64_t

from tetrapylon._core.counters cimport Slab
from tetrapylon._core.exchange cimport Exchange, Ticket, current, wait
from tetrapylon._core.amount_fields cimport Fields
from tetrapylon._core.key cimport KEY_ROOM, UNKEYED, Key
from tetrapylon._core.limits cimport Hash, Table, Taken, Windows, siphash
from tetrapylon._core.policy cimport CONTINUE, WAIT, Policy, Verdict
from tetrapylon._core.respond cimport Refusal, refuse

from math import ceil
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tetrapylon.config.amounts import KeyPart, Period, RedisUrl, check_store, per, several
from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Duration

cdef enum:
    LATE_OPEN = 0
    LATE_CLOSED = 1
    LATE_LOCAL = 2


class Settings(Struct, frozen=True, kw_only=True):
    """So many requests in a period, for each key, over all workers of the machine.

    The generic cell rate algorithm. A refused request is answered with 429 and `Retry-After`, and counts in
    no window. Memory is bounded: there is room for 262,144 keys at once in all policies together; beyond, the
    key that would be forgotten soonest is forgotten early, and counted as such in the metrics.
    """

    rate: Annotated[
        Period | tuple[Period, ...],
        doc("How many in a second, minute, hour or day, `100/s`; a list holds for each key at once."),
    ]
    burst: Annotated[
        Annotated[int, Meta(ge=1)] | tuple[Annotated[int, Meta(ge=1)], ...] | None,
        doc("How many may come at once, for each rate; the rate's own number when left out."),
    ] = None
    key: Annotated[
        KeyPart | tuple[KeyPart, ...],
        doc(
            "What is counted apart: `client` (its address), `consumer` (the client, where none is known),"
            " `header:NAME`, `route`; or a list of these together."
        ),
    ] = "client"
    ipv6_prefix: Annotated[
        int, doc("IPv6 clients that share so many bits of their address are one.", ge=1, le=128)
    ] = 64
    name: Annotated[
        str | None,
        doc("Policies of one name, rates and key count together; otherwise each place its own."),
    ] = None
    headers: Annotated[
        Literal["always", "refused", "never"],
        doc("When to send `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."),
    ] = "always"
    store: Annotated[
        Literal["memory", "redis"],
        doc("`memory`: this machine counts alone; `redis`: all machines together."),
    ] = "memory"
    redis: Annotated[RedisUrl | None, doc("Where it is, with `store: redis`.")] = None
    on_failure: Annotated[
        Literal["open", "closed", "local"],
        doc("When Redis is away: let all through, refuse all with 503, or count on this machine alone."),
    ] = "local"
    timeout: Annotated[
        Duration,
        doc("Redis is away when it takes longer; how long a request may wait for it.", ge=0.001, le=10),
    ] = 0.05


def windows_of(settings):
    """(requests, seconds, burst) of each rate. Raises ValueError with what is wrong."""
    rates = several(settings.rate)
    bursts = several(settings.burst) if settings.burst is not None else (None,) * len(rates)
    if len(bursts) != len(rates):
        raise ValueError(
            f"there are {len(rates)} rates and {len(bursts)} bursts; give one burst for each rate")
    found = []
    for rate, burst in zip(rates, bursts):
        count, seconds = per(rate)
        found.append((count, seconds, burst if burst is not None else max(1, int(count))))
    return found


cdef class RateLimit(Policy):
    cdef Key key
    cdef Table table
    cdef Windows windows
    cdef Fields fields
    cdef Refusal refusal
    cdef Refusal away
    cdef object batch           # asks Redis; None: memory
    cdef int late
    cdef uint64_t* forgotten
    cdef uint64_t* failures
    cdef Slab slab              # keeps both

    Settings = Settings

    def __init__(self, settings not None, Slab slab not None, str place not None, batch=None):
        rates = sorted(windows_of(settings), key=lambda rate: rate[1])
        parts = several(settings.key)
        limit = f"rate_limit {settings.name or place} {rates} {parts} {settings.ipv6_prefix}"
        self.key = Key(parts, limit, settings.ipv6_prefix)
        self.table = slab.owner.amounts.rates
        self.windows = Windows(rates)
        self.refusal = Refusal(
            429, "rate_limit", "Too Many Requests", "Ask again after the time in Retry-After.")
        self.away = Refusal(
            503, "rate_limit_store", "Service Unavailable", "The requests cannot be counted now.",
            headers=[(b"Retry-After", b"1")])
        texts = sorted(several(settings.rate), key=lambda text: per(text)[1])
        self.fields = Fields(
            [(text, ceil(count), ceil(seconds)) for text, (count, seconds, _) in zip(texts, rates)],
            settings.headers)
        self.late = {"open": LATE_OPEN, "closed": LATE_CLOSED, "local": LATE_LOCAL}[settings.on_failure]
        self.slab = slab
        self.forgotten = slab.series("tetrapylon_limit_keys_forgotten_total", {"policy": "rate_limit"})
        self.failures = slab.series(
            "tetrapylon_limit_store_failures_total",
            {"policy": "rate_limit", "on_failure": settings.on_failure})
        self.batch = batch

    @staticmethod
    def build(settings, scope):
        batch = None
        if settings.store == "redis":
            from tetrapylon.redis_store import RATES, Batch

            arguments = []
            for count, seconds, burst in sorted(windows_of(settings), key=lambda rate: rate[1]):
                interval = seconds * 1e6 / count
                arguments += [f"{interval:.6f}", f"{interval * (burst - 1):.6f}"]
            batch = Batch(scope.redis(settings.redis), RATES, arguments, settings.timeout)
        policy = RateLimit(settings, scope.slab, scope.place, batch)
        if batch is not None:
            batch.tell(policy.answered, policy.unanswered)
        return policy

    @staticmethod
    def check(settings, config):
        try:
            Windows(windows_of(settings))
        except ValueError as error:
            what, _, hint = str(error).partition("; ")
            yield ("rate",), what, hint or "choose another rate or burst"
        if len(several(settings.key)) > 8:
            yield ("key",), "a key has at most eight parts", "leave some out"
        yield from check_store(settings)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef char[KEY_ROOM] room
        cdef size_t n = self.key.write(x, room)
        cdef Hash hash
        if self.batch is None:
            return self.count(x, self.table.hash(room, n))
        if not self.batch.ready:
            return self.without_store(x)
        hash = siphash(UNKEYED, room, n)
        self.batch.ask((<char*>&hash)[:sizeof(hash)], wait(x))
        return WAIT

    cdef Verdict count(self, Exchange x, Hash hash) noexcept:
        cdef Taken taken
        self.table.take(hash, self.windows, 0, &taken)
        if taken.evicted:
            self.forgotten[0] += taken.evicted
        return self.decide(x, taken.allowed, taken.remaining, taken.reset, taken.retry, taken.window)

    cdef Verdict decide(self, Exchange x, bint allowed, uint64_t remaining, uint64_t reset, uint64_t retry,
                        unsigned int window) noexcept:
        """Times in ns."""
        self.fields.note(x, allowed, window, remaining, reset, retry)
        return CONTINUE if allowed else refuse(x, self.refusal)

    cdef Verdict without_store(self, Exchange x) noexcept:
        cdef char[KEY_ROOM] room
        self.failures[0] += 1
        if self.late == LATE_OPEN:
            return CONTINUE
        if self.late == LATE_CLOSED:
            return refuse(x, self.away)
        return self.count(x, self.table.hash(room, self.key.write(x, room)))

    def answered(self, list tickets, Py_ssize_t allowed, uint64_t remaining, uint64_t reset, uint64_t retry,
                 unsigned int window):
        """The store has allowed so many of those who wait with one key, the first ones; times in us."""
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
