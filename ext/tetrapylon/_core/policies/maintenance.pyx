"""`maintenance`: a route that is closed for a while, and for whom it is open all the same."""

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.fields cimport Piece
from tetrapylon._core.http.respond cimport Answer, Refusal, refuse
from tetrapylon._core.http.template cimport client_of
from tetrapylon._core.net.cidr cimport Networks
from tetrapylon._core.policy cimport ANSWER, CONTINUE, Policy, Verdict

from typing import Annotated

from msgspec import Meta, Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import Cidr, HeaderValue
from tetrapylon.config.units import Duration


class Settings(Struct, frozen=True, kw_only=True):
    """Answers 503 with `Retry-After` in the route's place, until a reload says otherwise."""

    enabled: Annotated[bool, doc("Whether the route is closed.")] = True
    retry_after: Annotated[
        Annotated[Duration, Meta(ge=1)], doc("When to come back: `Retry-After`, in whole seconds.")
    ] = 300.0
    allow: Annotated[tuple[Cidr, ...], doc("Clients for whom it is open: those who try it out.")] = ()
    detail: Annotated[str, doc("What the answer tells people.")] = (
        "This is being worked on. Please try again later."
    )
    body: Annotated[str, doc("A page to answer with in place of the gateway's own error.")] = ""
    content_type: Annotated[HeaderValue, doc("`Content-Type` of that page.", min_length=1)] = (
        "text/html; charset=utf-8"
    )


cdef class Maintenance(Policy):
    cdef bint enabled
    cdef Networks allow
    cdef Refusal refusal
    cdef Answer page            # None: the gateway's own error

    Settings = Settings

    def __init__(self, settings=Settings()):  # noqa: B008
        retry = (b"Retry-After", str(round(settings.retry_after)).encode())
        self.enabled = settings.enabled
        self.allow = Networks([(network, 0) for network in settings.allow])
        self.refusal = Refusal(503, "maintenance", "Service Unavailable", settings.detail, headers=[retry],
                               error="destination_unavailable")
        if settings.body:
            page = (b"Content-Type", settings.content_type.encode("latin-1"))
            self.page = Answer(503, headers=[retry, page, (b"Cache-Control", b"no-store")],
                               body=settings.body.encode())

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Piece client
        if not self.enabled:
            return CONTINUE
        client = client_of(x)
        if self.allow.find(client.data, client.n) >= 0:
            return CONTINUE
        if self.page is None:
            return refuse(x, self.refusal)
        x.answer = self.page
        x.reason = self.refusal.reason
        return ANSWER
