"""`concurrency`: how many requests of a client, a consumer or whatever else are under way at once."""

from libc.stdint cimport uint64_t, uintptr_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.limiting.kept cimport Kept
from tetrapylon._core.limiting.key cimport KEY_ROOM, Key
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict
from tetrapylon._core.shared.flights cimport FULL, NO_SEAT, Boarding, Flight, Flights, land
from tetrapylon._core.telemetry.counters cimport Slab

from typing import Annotated

from msgspec import Struct

from tetrapylon.config.amounts import CountedBy, Ipv6Prefix, check_key, several
from tetrapylon.config.model.base import doc


class Settings(Struct, frozen=True, kw_only=True):
    """So many requests of each key under way at once, over all workers of the machine; more: 429.

    A request is under way until its answer has been sent, a WebSocket until it ends. What a worker that dies
    had under way is forgotten with it. Each worker has room for 16,384 keys at once; what finds none is let
    through, and counted as such in the metrics.
    """

    limit: Annotated[int, doc("How many may be under way at once.", ge=1, le=1_000_000)]
    key: CountedBy = "client"
    ipv6_prefix: Ipv6Prefix = 64
    name: Annotated[
        str | None, doc("Policies of one name and key count together; otherwise each place its own.")
    ] = None


cdef class Concurrency(Policy):
    cdef Key key
    cdef Flights flights
    cdef uint64_t limit
    cdef Kept kept              # where each exchange is counted
    cdef Refusal refusal
    cdef uint64_t* uncounted
    cdef Slab slab              # keeps it

    Settings = Settings

    def __init__(self, settings not None, Slab slab not None, str place not None):
        parts = several(settings.key)
        limit = f"concurrency {settings.name or place} {parts} {settings.ipv6_prefix}"
        self.key = Key(parts, limit, settings.ipv6_prefix)
        self.flights = slab.owner.amounts.flights
        self.flights.claim()
        self.limit = settings.limit
        self.slab = slab
        self.uncounted = slab.series("tetrapylon_limit_uncounted_total", {"policy": "concurrency"})
        self.kept = Kept()
        self.refusal = Refusal(
            429, "concurrency", "Too Many Requests", "Too many requests are under way; wait for one to end.",
            headers=[(b"Retry-After", b"1")])

    @staticmethod
    def build(settings, scope):
        return Concurrency(settings, scope.slab, scope.place)

    @staticmethod
    def check(settings, config):
        yield from check_key(settings)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef char[KEY_ROOM] room
        cdef Flight* flight = NULL
        cdef size_t n = self.key.write(x, room)
        cdef Boarding boarding = self.flights.enter(self.flights.hash(room, n), self.limit, &flight)
        cdef uint64_t* note
        if boarding == FULL:
            return refuse(x, self.refusal)
        if boarding == NO_SEAT:
            self.uncounted[0] += 1
            return CONTINUE
        note = self.kept.put(<void*>x)
        if note is NULL:
            land(flight)
        else:
            note[0] = <uint64_t><uintptr_t>flight
        return CONTINUE

    cdef void end(self, Exchange x) noexcept:
        cdef uint64_t* note = self.kept.get(<void*>x)
        if note is not NULL:
            land(<Flight*><uintptr_t>note[0])
            self.kept.drop(<void*>x)
