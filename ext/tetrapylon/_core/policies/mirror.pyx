"""`mirror`: a share of the requests goes to a second upstream, too, whose answers nobody waits for."""

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.exchange cimport Exchange, Plan
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict
from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.upstreams.call cimport CallStages
from tetrapylon._core.upstreams.copies cimport Copy

from random import random
from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import Count, Text, Timeout, doc
from tetrapylon.config.units import Share, Size


class Settings(Struct, frozen=True, kw_only=True):
    """Sends a copy of a share of the requests to a second upstream, whose answers nobody waits for."""

    upstream: Annotated[Text, doc("The name of the second upstream.")]
    share: Annotated[Share, doc("The share of the requests that it gets.")] = 1.0
    in_flight: Annotated[Count, doc("Copies under way at once, in each worker; more are dropped.")] = 64
    body: Annotated[Size, doc("A request whose body is larger, or of unknown length, is not copied.")] = 65536
    timeout: Annotated[Timeout, doc("For a whole copy; it is given up then.")] = 5.0


cdef class Mirrored(Copy):
    cdef Mirror mirror

    cdef void completed(self) noexcept:
        self.mirror.under_way -= 1
        if self.status == 0:
            self.mirror.failed[0] += 1


cdef class Mirror(Policy):
    """A share of the requests goes to a second upstream, too; its answers are thrown away."""
    cdef double share
    cdef uint32_t in_flight
    cdef uint32_t under_way
    cdef size_t answer_limit
    cdef CallStages stages
    cdef Plan plan
    cdef Slab slab                  # keeps the words alive
    cdef uint64_t* copied
    cdef uint64_t* dropped
    cdef uint64_t* failed

    Settings = Settings

    def __init__(self, settings, CallStages stages not None, Plan plan not None, Slab slab not None):
        self.share = settings.share
        self.in_flight = settings.in_flight
        self.request_limit = settings.body
        self.answer_limit = 1048576
        self.stages = stages
        self.plan = plan
        self.slab = slab
        self.copied = slab.series("tetrapylon_mirror_copies_total", {"upstream": settings.upstream})
        self.dropped = slab.series("tetrapylon_mirror_dropped_total", {"upstream": settings.upstream})
        self.failed = slab.series("tetrapylon_mirror_failed_total", {"upstream": settings.upstream})

    @classmethod
    def build(cls, settings, scope):
        return cls(settings, scope.calls, scope.plan(settings.upstream, total=settings.timeout), scope.slab)

    @staticmethod
    def check(settings, config):
        if settings.upstream not in config.upstreams:
            known = ", ".join(sorted(config.upstreams)[:10]) or "one in `upstreams`"
            yield ("upstream",), f"there is no upstream {settings.upstream!r}", f"expected {known}"

    cdef Verdict request(self, Exchange x) noexcept:
        if random() >= self.share:
            return CONTINUE
        if not x.request.has_body or x.body is not None:
            self.copy(x)
            return CONTINUE
        if x.request.content_length < 0 or <size_t>x.request.content_length > self.request_limit:
            self.dropped[0] += 1
            return CONTINUE
        return COLLECT

    cdef Verdict whole_request(self, Exchange x) noexcept:
        self.copy(x)
        return CONTINUE

    cdef void copy(self, Exchange x) noexcept:
        cdef Mirrored copy
        if self.under_way >= self.in_flight:
            self.dropped[0] += 1
            return
        copy = Mirrored.__new__(Mirrored)
        copy.make(self.stages, self.plan, &x.request, x.body, self.answer_limit, x.peer)
        copy.mirror = self
        self.under_way += 1
        try:
            copy.begin()
        except MemoryError:
            self.under_way -= 1
            self.dropped[0] += 1
        else:
            self.copied[0] += 1
