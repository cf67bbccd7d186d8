"""`server_timing`: how long the gateway and the upstream took, in the answer itself."""

from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf

from tetrapylon._core.buffer cimport head_find
from tetrapylon._core.exchange cimport FOR_CLIENT, FOR_UPSTREAM, Exchange, turn_to
from tetrapylon._core.http.edit cimport add_line, out_of_memory
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict
from tetrapylon._core.reactor cimport clock

from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName


class Settings(Struct, frozen=True, kw_only=True):
    """Tells how long the gateway and the upstream took, in milliseconds, as browsers show it (W3C Server
    Timing): up to the first byte of the answer, beside what the upstream says of its own times, and without
    the wait for the client's own request."""

    asked_by: Annotated[
        HeaderName | None,
        doc("Only answers to requests with this field tell; none: all do. Times help attackers to measure."),
    ] = None


cdef class ServerTiming(Policy):
    cdef bytes asked_by         # in lower case; None: nobody needs to ask

    Settings = Settings

    def __init__(self, settings=Settings()):  # noqa: B008
        self.asked_by = settings.asked_by.lower().encode() if settings.asked_by is not None else None

    cdef Verdict response(self, Exchange x) noexcept:
        cdef char[96] text
        cdef uint64_t now, waited, gateway
        cdef int n
        if self.asked_by is not None and head_find(&x.request, self.asked_by, len(self.asked_by)) is NULL:
            return CONTINUE
        now = clock()
        turn_to(x, x.whom, now)
        waited = x.spent[<int>FOR_UPSTREAM]
        gateway = now - x.began - min(now - x.began, waited + x.spent[<int>FOR_CLIENT])
        n = snprintf(text, sizeof(text), "gateway;dur=%.3f", gateway / 1e6)
        if waited:
            n += snprintf(text + n, sizeof(text) - n, ", upstream;dur=%.3f", waited / 1e6)
        return CONTINUE if add_line(&x.response, b"Server-Timing", text, n) == 0 else out_of_memory(x)
