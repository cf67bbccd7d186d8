"""`acl`: what a consumer may do."""

from tetrapylon._core.exchange cimport Consumer, Exchange
from tetrapylon._core.identity cimport Guard, Known
from tetrapylon._core.policy cimport CONTINUE, Verdict

from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.model.credentials import ConsumerName, Group, Scope


class Settings(Struct, frozen=True, kw_only=True):
    """Lets consumers through by name, group and scope; list it behind the policies that say who it is."""

    example = "{use: acl, groups: [partner], deny_groups: [suspended]}"

    groups: Annotated[tuple[Group, ...], doc("A consumer in one of these may pass.")] = ()
    consumers: Annotated[tuple[ConsumerName, ...], doc("And these may.")] = ()
    deny_groups: Annotated[tuple[Group, ...], doc("One in any of these may not, whatever else is said.")] = ()
    scopes: Annotated[tuple[Scope, ...], doc("And the token must have all of these.")] = ()


cdef class Acl(Guard):
    cdef frozenset groups
    cdef frozenset consumers
    cdef frozenset deny_groups
    cdef frozenset scopes

    Settings = Settings
    shared = True

    def __init__(self, settings, slab):
        Guard.__init__(self, "acl", slab)
        self.groups = frozenset(settings.groups)
        self.consumers = frozenset(settings.consumers)
        self.deny_groups = frozenset(settings.deny_groups)
        self.scopes = frozenset(settings.scopes)
        self.refuses(403, "anonymous", "Forbidden", "This is not for everybody: say who you are.")
        self.refuses(403, "group", "Forbidden", "You are not among those who may do this.")
        # RFC 6750 section 3.1
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(settings.scopes)}"'
        self.refuses(403, "scope", "Forbidden", "The token does not have the scopes that this needs.",
                     headers=[(b"WWW-Authenticate", challenge.encode("ascii", "replace"))])

    @staticmethod
    def build(settings, scope):
        return Acl(settings, scope.slab)

    @staticmethod
    def check(settings, config):
        if settings == Settings():
            yield (), "nothing is asked of a consumer", "give `groups`, `consumers` or `scopes`"
        for index, group in enumerate(settings.deny_groups):
            if group in settings.groups:
                yield ("deny_groups", index), f"{group} is in `groups` too", "leave it out of one of them"

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Consumer who = x.consumer
        if who is None:
            return self.deny(x, "anonymous")
        if self.deny_groups and not self.deny_groups.isdisjoint(who.groups):
            return self.deny(x, "group")
        if (self.groups or self.consumers) and who.name not in self.consumers and self.groups.isdisjoint(
                who.groups):
            return self.deny(x, "group")
        if self.scopes and not (isinstance(who, Known) and self.scopes <= (<Known>who).scopes):
            return self.deny(x, "scope")
        return CONTINUE
