"""`quota`: how much a consumer may ask in a day or a month."""

from libc.stdint cimport uint64_t
from libc.time cimport time

from tetrapylon._core.counters cimport Slab
from tetrapylon._core.exchange cimport Exchange, Ticket, current, wait
from tetrapylon._core.amount_fields cimport Fields
from tetrapylon._core.key cimport KEY_ROOM, UNKEYED, Key
from tetrapylon._core.limits cimport Decision, Hash, Table, count_up, siphash
from tetrapylon._core.policy cimport CONTINUE, WAIT, Policy, Verdict
from tetrapylon._core.respond cimport Refusal, refuse

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon.config.amounts import KeyPart, RedisUrl, check_store, several
from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Duration

cdef enum:
    DAY = 86400

cdef uint64_t SECOND = 1_000_000_000
cdef dict LENGTHS = {"day": DAY, "month": 30 * DAY}
# Redis forgets a period some time after it is over, whatever its clock says.
cdef dict KEPT = {"day": 3 * DAY, "month": 34 * DAY}


class Settings(Struct, frozen=True, kw_only=True):
    """So many requests of each key in a calendar day or month (UTC), kept over restarts; more: 429.

    All workers of the machine count together, in memory. What was counted is written to an SQLite file within
    a second, and when the gateway stops; or all machines count together in Redis. There is room for 65,536
    keys.
    """

    limit: Annotated[int, doc("How many in a period.", ge=1, le=10**12)]
    per: Annotated[Literal["day", "month"], doc("The period: a calendar day or month, UTC.")] = "day"
    key: Annotated[
        KeyPart | tuple[KeyPart, ...],
        doc(
            "What is counted apart: `client` (its address), `consumer` (the client, where none is known),"
            " `header:NAME`, `route`; or a list of these together."
        ),
    ] = "consumer"
    ipv6_prefix: Annotated[
        int, doc("IPv6 clients that share so many bits of their address are one.", ge=1, le=128)
    ] = 64
    name: Annotated[
        str | None,
        doc("Policies of one name, period and key count together; otherwise each place its own."),
    ] = None
    headers: Annotated[
        Literal["always", "refused", "never"],
        doc("When to send `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."),
    ] = "always"
    store: Annotated[
        Literal["file", "redis", "memory"],
        doc("`file`: SQLite, for one machine; `redis`: for many; `memory`: a restart begins anew."),
    ] = "file"
    path: Annotated[
        str, doc("The SQLite file, with `store: file`; made where there is none.", min_length=1)
    ] = "quota.sqlite"
    redis: Annotated[RedisUrl | None, doc("Where it is, with `store: redis`.")] = None
    on_failure: Annotated[
        Literal["open", "closed", "local"],
        doc("When Redis is away: let all through, refuse all with 503, or count on this machine alone."),
    ] = "local"
    timeout: Annotated[
        Duration,
        doc("Redis is away when it takes longer; how long a request may wait for it.", ge=0.001, le=10),
    ] = 0.05


def end_of(per, today):
    """The day (since 1970) on which the day's or month's period is over."""
    if per == "day":
        return today + 1
    epoch = date(1970, 1, 1).toordinal()
    day = date.fromordinal(today + epoch)
    return date(day.year + day.month // 12, day.month % 12 + 1, 1).toordinal() - epoch


cdef class Quota(Policy):
    cdef Key key
    cdef Table table
    cdef uint64_t limit
    cdef str per
    cdef uint64_t over          # the day on which the period is over
    cdef Fields fields
    cdef Refusal refusal
    cdef Refusal away
    cdef object file            # None: nothing is written down
    cdef object batch           # asks Redis; None: nobody is asked
    cdef str on_failure
    cdef uint64_t* forgotten
    cdef uint64_t* failures
    cdef Slab slab              # keeps both

    Settings = Settings

    def __init__(self, settings not None, Slab slab not None, str place not None, batch=None):
        parts = several(settings.key)
        limit = f"quota {settings.name or place} {settings.per} {parts} {settings.ipv6_prefix}"
        self.key = Key(parts, limit, settings.ipv6_prefix)
        self.table = slab.owner.amounts.quotas
        self.limit = settings.limit
        self.per = settings.per
        self.over = end_of(self.per, time(NULL) // DAY)
        self.fields = Fields(
            [(f"{settings.limit}/{settings.per}", settings.limit, LENGTHS[settings.per])], settings.headers)
        self.refusal = Refusal(429, "quota", "Too Many Requests", f"The {settings.per}'s quota is used up.")
        self.away = Refusal(503, "quota_store", "Service Unavailable", "The requests cannot be counted now.",
                            headers=[(b"Retry-After", b"1")])
        self.on_failure = settings.on_failure
        self.slab = slab
        self.forgotten = slab.series("tetrapylon_limit_keys_forgotten_total", {"policy": "quota"})
        self.failures = slab.series(
            "tetrapylon_limit_store_failures_total", {"policy": "quota", "on_failure": settings.on_failure})
        self.batch = batch

    @staticmethod
    def build(settings, scope):
        cdef Quota policy
        batch = None
        if settings.store == "redis":
            from tetrapylon.redis_store import QUOTAS, Batch

            batch = Batch(scope.redis(settings.redis), QUOTAS, [settings.limit, KEPT[settings.per]],
                          settings.timeout)
        policy = Quota(settings, scope.slab, scope.place, batch)
        if batch is not None:
            batch.tell(policy.answered, policy.unanswered)
        elif settings.store == "file":
            from tetrapylon.quota_file import QuotaFile

            policy.file = QuotaFile(scope.loop, settings.path)
            scope.closing.append(policy.file)
            policy.recall()
        return policy

    @staticmethod
    def check(settings, config):
        if settings.store == "file" and not Path(settings.path).absolute().parent.is_dir():
            yield ("path",), f"there is no folder for {settings.path!r}", "make it, or choose another"
        if len(several(settings.key)) > 8:
            yield ("key",), "a key has at most eight parts", "leave some out"
        yield from check_store(settings)

    def recall(self):
        """What the file knows of this quota; keys of others in it are left alone."""
        cdef Hash hash
        cdef uint64_t today = time(NULL) // DAY
        for key, over, used in self.file.read(self.key.limit, today):
            hash = self.table.hash(<bytes>key, len(<bytes>key))
            self.table.recall(hash, today, over, used)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef char[KEY_ROOM] room
        cdef size_t n = self.key.write(x, room)
        cdef Hash hash = siphash(UNKEYED, room, n)
        cdef bytes key
        if self.batch is None:
            return self.count(x, hash)
        if not self.batch.ready:
            return self.without_store(x, hash)
        self.turn()
        key = (<char*>&hash)[:sizeof(hash)] + (<char*>&self.over)[:sizeof(uint64_t)]
        self.batch.ask(key, wait(x))
        return WAIT

    cdef uint64_t turn(self) noexcept:
        """The day it is; with another one begins another period, perhaps."""
        cdef uint64_t today = time(NULL) // DAY
        if today >= self.over:
            self.over = end_of(self.per, today)
        return today

    cdef Verdict count(self, Exchange x, Hash hash) noexcept:
        cdef Hash found = self.table.hash(<char*>&hash, sizeof(hash))
        cdef Decision decision
        cdef uint64_t today = self.turn()
        decision.evicted = 0
        count_up(self.table.bucket(found.bucket), found.tag, today, self.over, self.limit, 1, &decision)
        if decision.evicted:
            self.forgotten[0] += 1
        if decision.allowed and self.file is not None:
            self.file.note((<char*>&hash)[:sizeof(hash)], self.key.limit, self.over, decision.word)
        return self.decide(x, decision.allowed, self.limit - min(decision.word, self.limit))

    cdef Verdict decide(self, Exchange x, bint allowed, uint64_t remaining) noexcept:
        cdef uint64_t left = self.over * DAY - time(NULL)
        self.fields.note(x, allowed, 0, remaining, left * SECOND, left * SECOND)
        return CONTINUE if allowed else refuse(x, self.refusal)

    cdef Verdict without_store(self, Exchange x, Hash hash) noexcept:
        self.failures[0] += 1
        if self.on_failure == "open":
            return CONTINUE
        if self.on_failure == "closed":
            return refuse(x, self.away)
        return self.count(x, hash)

    def answered(self, list tickets, Py_ssize_t allowed, uint64_t remaining, uint64_t reset, uint64_t retry,
                 unsigned int window):
        cdef Ticket ticket
        cdef Py_ssize_t i
        for i in range(len(tickets)):
            ticket = tickets[i]
            if current(ticket):
                self.decide(ticket.exchange, i < allowed, remaining)
            ticket.resume()

    def unanswered(self, list tickets):
        cdef Ticket ticket
        cdef char[KEY_ROOM] room
        for ticket in tickets:
            if current(ticket):
                self.without_store(
                    ticket.exchange, siphash(UNKEYED, room, self.key.write(ticket.exchange, room)))
            ticket.resume()

    cdef Verdict response(self, Exchange x) noexcept:
        self.fields.put(x)
        return CONTINUE

    cdef void end(self, Exchange x) noexcept:
        self.fields.forget(x)
