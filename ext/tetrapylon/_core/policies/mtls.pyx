"""`mtls`: whose certificate a client has shown."""

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.identity cimport Identity, Known
from tetrapylon._core.policy cimport Verdict

from typing import Annotated

from tetrapylon.config.model.base import Text, doc
from tetrapylon.config.model.credentials import Identifies, SubjectRule, vouched

cdef enum:
    REMEMBERED = 10000


class Settings(Identifies, frozen=True, kw_only=True):
    """Knows the consumer by the subject of its client certificate.

    The listener's `client_ca` has verified the certificate. Let in are the `subjects` of `consumers`, and
    what fits one of `allow`.
    """

    example = "{use: mtls, allow: [\"CN=*.example.com,O=Acme\"]}"

    allow: Annotated[
        tuple[SubjectRule, ...],
        doc(
            "Subjects that may come in: parts (RFC 4514) that one must have, in any order, with `*` for any"
            " text, as `CN=*.example.com,O=Acme`."
        ),
    ] = ()
    name: Annotated[
        Text, doc("The part of a subject that names the consumer, if `consumers` does not.")
    ] = "CN"


cdef class Mtls(Identity):
    cdef object find            # subject -> Known, or None
    cdef dict seen              # subject -> Known, or False

    Settings = Settings
    shared = True

    def __init__(self, settings, slab, find):
        """`find(subject)` is the Known that a subject stands for, or None."""
        Identity.__init__(self, "mtls", slab, optional=settings.optional)
        self.find = find
        self.seen = {}
        self.refuses(403, "missing", "Forbidden", "This asks for a client certificate.")
        self.refuses(403, "subject", "Forbidden", "This is not for the subject of your certificate.")

    @staticmethod
    def build(settings, scope):
        from tetrapylon.identity.subjects import finder

        return Mtls(settings, scope.slab, finder(scope.config, settings))

    @staticmethod
    def check(settings, config):
        from tetrapylon.identity.subjects import problems

        yield from problems(settings, config)

    vouches = staticmethod(vouched)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef bytes subject = x.peer.subject
        if subject is None:
            return self.absent(x)
        known = self.seen.get(subject)
        if known is None:
            known = self.find(subject.decode("ascii")) or False
            if len(self.seen) >= REMEMBERED:
                self.seen.clear()
            self.seen[subject] = known
        return self.admit(x, <Known>known) if known else self.deny(x, "subject")
