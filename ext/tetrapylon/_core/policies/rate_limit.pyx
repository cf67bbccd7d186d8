"""`rate_limit`: how often a client, a consumer or whatever else may ask."""

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.limiting.counted cimport Counted
from tetrapylon._core.limiting.key cimport UNKEYED
from tetrapylon._core.policy cimport Verdict
from tetrapylon._core.shared.limits cimport Hash, Taken, Windows, siphash
from tetrapylon._core.telemetry.counters cimport Slab

from math import ceil
from typing import Annotated, Literal

from msgspec import Meta, Struct

from tetrapylon.config.amounts import (
    CountedBy, Ipv6Prefix, OnFailure, Period, RedisUrl, StoreTimeout, Told, check_key, check_store, per,
    several,
)
from tetrapylon.config.model.base import doc


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
    key: CountedBy = "client"
    ipv6_prefix: Ipv6Prefix = 64
    name: Annotated[
        str | None,
        doc("Policies of one name, rates and key count together; otherwise each place its own."),
    ] = None
    headers: Told = "always"
    store: Annotated[
        Literal["memory", "redis"],
        doc("`memory`: this machine counts alone; `redis`: all machines together."),
    ] = "memory"
    redis: Annotated[RedisUrl | None, doc("Where it is, with `store: redis`.")] = None
    on_failure: OnFailure = "local"
    timeout: StoreTimeout = 0.05


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


cdef class RateLimit(Counted):
    cdef Windows windows

    Settings = Settings

    def __init__(self, settings not None, Slab slab not None, str place not None, batch=None):
        rates = sorted(windows_of(settings), key=lambda rate: rate[1])
        texts = sorted(several(settings.rate), key=lambda text: per(text)[1])
        self.windows = Windows(rates)
        super().__init__(
            "rate_limit", settings, several(settings.key), f"{settings.name or place} {rates}",
            slab.owner.amounts.rates, slab, batch,
            windows=[(text, ceil(count), ceil(seconds)) for text, (count, seconds, _) in zip(texts, rates)],
            detail="Ask again after the time in Retry-After.")

    @staticmethod
    def build(settings, scope):
        batch = None
        if settings.store == "redis":
            from tetrapylon.stores.redis import RATES, Batch

            arguments = []
            for count, seconds, burst in sorted(windows_of(settings), key=lambda rate: rate[1]):
                interval = seconds * 1e6 / count
                arguments += [f"{interval:.6f}", f"{interval * (burst - 1):.6f}"]
            batch = Batch(scope.redis(settings.redis), RATES, arguments, settings.timeout)
        return RateLimit(settings, scope.slab, scope.place, batch)

    @staticmethod
    def check(settings, config):
        try:
            Windows(windows_of(settings))
        except ValueError as error:
            what, _, hint = str(error).partition("; ")
            yield ("rate",), what, hint or "choose another rate or burst"
        yield from check_key(settings)
        yield from check_store(settings)

    cdef Verdict count(self, Exchange x, const char* key, size_t n) noexcept:
        cdef Taken taken
        self.table.take(self.table.hash(key, n), self.windows, 0, &taken)
        if taken.evicted:
            self.forgotten[0] += taken.evicted
        return self.decide(x, taken.allowed, taken.remaining, taken.reset, taken.retry, taken.window)

    cdef bytes question(self, const char* key, size_t n):
        cdef Hash hash = siphash(UNKEYED, key, n)
        return (<char*>&hash)[:sizeof(hash)]
