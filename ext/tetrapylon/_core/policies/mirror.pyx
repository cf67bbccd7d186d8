"""`mirror`: a share of the requests goes to a second upstream, too, whose answers nobody waits for."""

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.buffer cimport DROPPED, EXPECT, HOP, Head, Header
from tetrapylon._core.call cimport Call, CallStages
from tetrapylon._core.counters cimport Slab
from tetrapylon._core.exchange cimport Exchange, Plan
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict

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


cdef class Copy(Call):
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
        cdef Head* head = &x.request
        cdef Header* line
        cdef Copy copy
        cdef uint32_t i
        if self.under_way >= self.in_flight:
            self.dropped[0] += 1
            return
        headers = []
        for i in range(head.count):
            line = &head.headers[i]
            if not line.mark & (DROPPED | HOP) and line.known != EXPECT:
                name = head.data[line.name:line.name + line.name_length]
                if name.lower() not in (b"content-length", b"transfer-encoding", b"connection", b"upgrade"):
                    headers.append((name, head.data[line.value:line.value + line.value_length]))
        copy = Copy(self.stages, self.plan, head.data[head.method:head.method + head.method_length],
                    head.data[head.target:head.target + head.target_length], headers, x.body)
        copy.mirror = self
        copy.on_behalf(x)
        self.under_way += 1
        try:
            copy.start()
        except ValueError:              # longer than a request of the gateway's own may be
            self.under_way -= 1
            self.dropped[0] += 1
        else:
            self.copied[0] += 1
