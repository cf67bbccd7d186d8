"""`quota`: how much a consumer may ask in a day or a month."""

from libc.stdint cimport uint64_t
from libc.time cimport time

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.limiting.counted cimport Counted
from tetrapylon._core.limiting.key cimport UNKEYED
from tetrapylon._core.policy cimport Verdict
from tetrapylon._core.shared.limits cimport Decision, Hash, count_up, siphash
from tetrapylon._core.telemetry.counters cimport Slab

from datetime import date
from os.path import abspath, dirname, isdir
from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon.config.amounts import (
    CountedBy, Ipv6Prefix, OnFailure, RedisUrl, StoreTimeout, Told, check_key, check_store, several,
)
from tetrapylon.config.model.base import doc

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
    key: CountedBy = "consumer"
    ipv6_prefix: Ipv6Prefix = 64
    name: Annotated[
        str | None,
        doc("Policies of one name, period and key count together; otherwise each place its own."),
    ] = None
    headers: Told = "always"
    store: Annotated[
        Literal["file", "redis", "memory"],
        doc("`file`: SQLite, for one machine; `redis`: for many; `memory`: a restart begins anew."),
    ] = "file"
    path: Annotated[
        str, doc("The SQLite file, with `store: file`; made where there is none.", min_length=1)
    ] = "quota.sqlite"
    redis: Annotated[RedisUrl | None, doc("Where it is, with `store: redis`.")] = None
    on_failure: OnFailure = "local"
    timeout: StoreTimeout = 0.05


def end_of(per, today):
    """The day (since 1970) on which the day's or month's period is over."""
    if per == "day":
        return today + 1
    epoch = date(1970, 1, 1).toordinal()
    day = date.fromordinal(today + epoch)
    return date(day.year + day.month // 12, day.month % 12 + 1, 1).toordinal() - epoch


cdef class Quota(Counted):
    cdef uint64_t limit
    cdef str per
    cdef uint64_t over          # the day on which the period is over
    cdef object file            # None: nothing is written down

    Settings = Settings

    def __init__(self, settings not None, Slab slab not None, str place not None, batch=None):
        self.limit = settings.limit
        self.per = settings.per
        self.over = end_of(self.per, time(NULL) // DAY)
        super().__init__(
            "quota", settings, several(settings.key), f"{settings.name or place} {settings.per}",
            slab.owner.amounts.quotas, slab, batch,
            windows=[(f"{settings.limit}/{settings.per}", settings.limit, LENGTHS[settings.per])],
            detail=f"The {settings.per}'s quota is used up.")

    @staticmethod
    def build(settings, scope):
        cdef Quota policy
        batch = None
        if settings.store == "redis":
            from tetrapylon.stores.redis import QUOTAS, Batch

            batch = Batch(scope.redis(settings.redis), QUOTAS, [settings.limit, KEPT[settings.per]],
                          settings.timeout)
        policy = Quota(settings, scope.slab, scope.place, batch)
        if settings.store == "file":
            from tetrapylon.stores.quota_file import QuotaFile

            policy.file = QuotaFile(scope.loop, settings.path)
            scope.closing.append(policy.file)
            policy.recall()
        return policy

    @staticmethod
    def check(settings, config):
        if settings.store == "file":
            if not isdir(dirname(abspath(settings.path))):
                yield ("path",), f"there is no folder for {settings.path!r}", "make it, or choose another"
            elif "\0" in settings.path or isdir(settings.path):
                yield ("path",), f"{settings.path!r} is no path of a file", "expected one such as quota.db"
        yield from check_key(settings)
        yield from check_store(settings)

    def recall(self):
        """What the file knows of this quota; keys of others in it are left alone."""
        cdef Hash hash
        cdef uint64_t today = time(NULL) // DAY
        for key, over, used in self.file.read(self.key.limit, today):
            hash = self.table.hash(<bytes>key, len(<bytes>key))
            self.table.recall(hash, today, over, used)

    cdef uint64_t turn(self) noexcept:
        """The day it is; with another one begins another period, perhaps."""
        cdef uint64_t today = time(NULL) // DAY
        if today >= self.over:
            self.over = end_of(self.per, today)
        return today

    cdef Verdict count(self, Exchange x, const char* key, size_t n) noexcept:
        cdef Hash hash = siphash(UNKEYED, key, n)   # as the file has it, which no start of ours may change
        cdef Hash found = self.table.hash(<char*>&hash, sizeof(hash))
        cdef Decision decision
        cdef uint64_t today = self.turn()
        decision.evicted = 0
        count_up(self.table.bucket(found.bucket), found.tag, today, self.over, self.limit, 1, &decision)
        if decision.evicted:
            self.forgotten[0] += 1
        if decision.allowed and self.file is not None:
            self.file.note((<char*>&hash)[:sizeof(hash)], self.key.limit, self.over, decision.word)
        return self.decide(x, decision.allowed, self.limit - min(decision.word, self.limit), 0, 0, 0)

    cdef bytes question(self, const char* key, size_t n):
        cdef Hash hash = siphash(UNKEYED, key, n)
        self.turn()
        return (<char*>&hash)[:sizeof(hash)] + (<char*>&self.over)[:sizeof(uint64_t)]

    cdef Verdict decide(self, Exchange x, bint allowed, uint64_t remaining, uint64_t reset, uint64_t retry,
                        unsigned int window) noexcept:
        """Until the period is over, whatever the store says."""
        cdef uint64_t left = (self.over * DAY - time(NULL)) * SECOND
        return Counted.decide(self, x, allowed, remaining, left, left, 0)
