"""`ip`: which addresses may come in."""

from libc.stdint cimport int32_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.identity cimport Guard
from tetrapylon._core.net.cidr cimport Networks
from tetrapylon._core.policy cimport CONTINUE, Verdict

from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import Cidr

cdef enum:
    DENIED = 0
    ALLOWED = 1


class Settings(Struct, frozen=True, kw_only=True):
    """Lets requests in by the client's address: the most specific network that holds it decides.

    Behind proxies that `server.trusted_proxies` names, it is the address that they tell. A Unix socket's peer
    has none: it comes in where `allow` is empty.
    """

    example = "{use: ip, allow: [10.0.0.0/8, \"2001:db8::/32\"], deny: [10.66.0.0/16]}"

    allow: Annotated[
        tuple[Cidr, ...], doc("Networks that may come in, and nobody else; all where none is given.")
    ] = ()
    deny: Annotated[tuple[Cidr, ...], doc("Networks that may not.")] = ()


cdef class Ip(Guard):
    cdef Networks networks
    cdef int32_t otherwise          # the mark of those that lie in none

    Settings = Settings
    shared = True

    def __init__(self, settings, slab):
        Guard.__init__(self, "ip", slab)
        self.networks = Networks(
            [(cidr, ALLOWED) for cidr in settings.allow] + [(cidr, DENIED) for cidr in settings.deny])
        self.otherwise = DENIED if settings.allow else ALLOWED
        self.refuses(403, "address", "Forbidden", "Your address may not come in here.")

    @staticmethod
    def build(settings, scope):
        return Ip(settings, scope.slab)

    @staticmethod
    def check(settings, config):
        if not settings.allow and not settings.deny:
            yield (), "neither `allow` nor `deny` names a network", "name at least one"
        for index, cidr in enumerate(settings.deny):
            if cidr in settings.allow:
                yield ("deny", index), f"{cidr} is in `allow` too", "leave it out of one of them"

    cdef Verdict request(self, Exchange x) noexcept:
        cdef int32_t mark
        if x.client_n:
            mark = self.networks.find(x.client, x.client_n)
        else:
            mark = self.networks.find(x.peer.address, x.peer.address_n)
        if (self.otherwise if mark < 0 else mark) == ALLOWED:
            return CONTINUE
        return self.deny(x, "address")
