"""`fault`: delays and errors on a share of the requests, to see what they do to those who depend on them."""

from tetrapylon._core.exchange cimport Exchange, Ticket, wait
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport CONTINUE, WAIT, Policy, Verdict

from http import HTTPStatus
from random import random
from typing import Annotated

from msgspec import Meta, Struct

from tetrapylon.config.model.base import Timeout, doc
from tetrapylon.config.units import Share


class Settings(Struct, frozen=True, kw_only=True):
    """Delays and errors on a share of the requests, to see what they do to those who depend on them."""

    delay: Annotated[Timeout | None, doc("How long a request is held up; none is when left out.")] = None
    delay_share: Annotated[Share, doc("The share of the requests that are held up.")] = 1.0
    abort: Annotated[
        Annotated[int, Meta(ge=400, le=599)] | None, doc("The status of an error; none when left out.")
    ] = None
    abort_share: Annotated[Share, doc("The share of the requests that get it, held up or not.")] = 1.0


cdef class Fault(Policy):
    """Delays and errors on a share of the requests, to see what they do to those who depend on them."""
    cdef double delay
    cdef double delay_share
    cdef double abort_share
    cdef Refusal refusal            # None: no errors
    cdef object loop

    Settings = Settings

    def __init__(self, settings, loop):
        self.loop = loop
        self.delay = settings.delay or 0.0
        self.delay_share = settings.delay_share
        self.abort_share = settings.abort_share
        if settings.abort is not None:
            try:
                title = HTTPStatus(settings.abort).phrase
            except ValueError:
                title = "Injected Fault"
            self.refusal = Refusal(settings.abort, "fault_injected", title, "This error is made on purpose.")

    @classmethod
    def build(cls, settings, scope):
        return cls(settings, scope.loop)

    @staticmethod
    def check(settings, config):
        if settings.delay is None and settings.abort is None:
            yield (), "this does nothing", "give delay, abort or both"

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Verdict verdict = CONTINUE
        cdef Ticket ticket
        if self.refusal is not None and random() < self.abort_share:
            verdict = refuse(x, self.refusal)
        if self.delay > 0 and random() < self.delay_share:
            # What answers is in x.answer by now: the exchange goes on with that, or to the next policy.
            ticket = wait(x)
            self.loop.call_later(self.delay, ticket.resume)
            return WAIT
        return verdict
