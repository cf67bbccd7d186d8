"""`server_timing`: how long the gateway and the upstream took, in the answer itself."""

from libc.stdint cimport uint64_t

from tetrapylon._core.buffer cimport head_find, put, put_number
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
        cdef char* at = text
        cdef uint64_t now, waited, gateway
        if self.asked_by is not None and head_find(&x.request, self.asked_by, len(self.asked_by)) is NULL:
            return CONTINUE
        now = clock()
        turn_to(x, x.whom, now)
        waited = x.spent[<int>FOR_UPSTREAM]
        gateway = now - x.began - min(now - x.began, waited + x.spent[<int>FOR_CLIENT])
        at = put_ms(put(at, b"gateway;dur=", 12), gateway)
        if waited:
            at = put_ms(put(at, b", upstream;dur=", 15), waited)
        return CONTINUE if add_line(&x.response, b"Server-Timing", text, at - text) == 0 else out_of_memory(x)


cdef char* put_ms(char* at, uint64_t ns) noexcept:
    """In milliseconds, to the nearest microsecond."""
    cdef uint64_t us = (ns + 500) // 1000
    at = put_number(at, us // 1000)
    at[0] = c"."
    at[1] = <char>(c"0" + us // 100 % 10)
    at[2] = <char>(c"0" + us // 10 % 10)
    at[3] = <char>(c"0" + us % 10)
    return at + 4
