"""`basic`: a user's name and password (RFC 7617)."""

from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange, Ticket, current, wait
from tetrapylon._core.identity cimport ABSENT, PRESENT, Found, Identity, Known, Place
from tetrapylon._core.memo cimport Memo
from tetrapylon._core.policy cimport WAIT, Verdict
from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.limits cimport Hash, siphash

import os
from base64 import b64decode
from typing import Annotated

from tetrapylon.config.model.base import Timeout, doc
from tetrapylon.config.model.credentials import Identifies, vouched
from tetrapylon.config.net import Line

cdef enum:
    LONGEST = 4096          # bytes of what is shown
    REMEMBERED = 10000


class Settings(Identifies, frozen=True, kw_only=True):
    """Asks for a consumer's name and one of its `passwords`, Argon2 or bcrypt hashes.

    A hash takes tens of milliseconds, in a thread beside the loop; then the verdict holds for a while. Needs
    `pip install tetrapylon[basic]`.
    """

    example = "{use: basic, realm: shop}"

    realm: Annotated[Line, doc("What browsers show when they ask for the password.")] = "gateway"
    cache: Annotated[
        Timeout, doc("How long a password that was right is taken without looking again.")
    ] = 300.0
    cache_wrong: Annotated[Timeout, doc("And one that was wrong is refused.")] = 10.0
    strip: Annotated[bool, doc("Do not send it on to the upstream.")] = False


cdef class Basic(Identity):
    cdef Place place
    cdef dict users             # name -> (hashes, Known)
    cdef tuple nobody           # stands for a name that is not known, so that it takes as long as a known one
    cdef object checks          # tetrapylon.identity.passwords.Checks
    cdef uint64_t[2] secret     # of the hash by which what was shown is known again
    cdef Memo verdicts          # that hash -> Known, or False
    cdef dict pending           # that hash -> tickets
    cdef double right
    cdef double wrong

    Settings = Settings
    shared = True

    def __init__(self, settings, slab, users, checks):
        """`users`: name -> (hashes, Known); `checks.ask(hashes, password, then)` is False when busy."""
        Identity.__init__(self, "basic", slab, optional=settings.optional)
        self.place = Place("header", "Authorization", scheme="basic", strip=settings.strip)
        self.users = users
        self.nobody = (next(iter(users.values()))[0], False)
        self.checks = checks
        self.secret[0] = int.from_bytes(os.urandom(8), "little")
        self.secret[1] = int.from_bytes(os.urandom(8), "little")
        self.verdicts = Memo(REMEMBERED)
        self.pending = {}
        self.right = settings.cache
        self.wrong = settings.cache_wrong
        realm = settings.realm.replace("\\", "\\\\").replace('"', '\\"')
        challenge = f'Basic realm="{realm}", charset="UTF-8"'.encode("ascii", "replace")
        challenge = [(b"WWW-Authenticate", challenge)]
        self.refuses(401, "missing", "Unauthorized", "This asks for a name and a password.",
                     headers=challenge)
        self.refuses(401, "malformed", "Unauthorized", "The Authorization field is malformed or repeated.",
                     headers=challenge)
        self.refuses(401, "password", "Unauthorized", "The name or the password is wrong.", headers=challenge)
        self.refuses(503, "busy", "Service Unavailable", "Too many passwords are being checked.",
                     headers=[(b"Retry-After", b"1")])

    @staticmethod
    def build(settings, scope):
        from tetrapylon.identity.passwords import Checks, users

        return Basic(settings, scope.slab, users(scope.config, settings), Checks.of(scope))

    @staticmethod
    def check(settings, config):
        from tetrapylon.identity.passwords import problems

        yield from problems(config)

    vouches = staticmethod(vouched)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef const char* data = NULL
        cdef size_t n = 0
        cdef Found found = self.place.find(x, &data, &n)
        cdef Hash hash
        if found == ABSENT:
            return self.absent(x)
        if found != PRESENT or n > LONGEST:
            return self.deny(x, "malformed")
        hash = siphash(self.secret, data, n)
        known = self.verdicts.find(<char*>&hash, sizeof(hash), x.stages.reactor.now)
        if known is not None:
            return self.decide(x, known)
        return self.examine(x, data[:n], (<char*>&hash)[:sizeof(hash)])

    cdef Verdict decide(self, Exchange x, known) noexcept:
        return self.admit(x, <Known>known) if known else self.deny(x, "password")

    cdef Verdict examine(self, Exchange x, bytes shown, bytes hash) noexcept:
        waiting = self.pending.get(hash)
        if waiting is None:
            try:
                name, colon, password = b64decode(shown, validate=True).partition(b":")
                user = name.decode()
            except ValueError:
                return self.deny(x, "malformed")
            if not colon:
                return self.deny(x, "malformed")
            hashes, who = self.users.get(user, self.nobody)
            if not self.checks.ask(
                    hashes, password, lambda right: self.told(hash, who if right else False)):
                return self.deny(x, "busy")
            waiting = self.pending[hash] = []
        if len(waiting) >= 1000:
            return self.deny(x, "busy")
        waiting.append(wait(x))
        return WAIT

    def told(self, bytes hash not None, known not None):
        """What a password was found to be: a Known, or False."""
        cdef Ticket ticket
        cdef double life = self.right if known else self.wrong
        self.verdicts.put(hash, known, clock() + <unsigned long long>(life * 1e9))
        for waiting in self.pending.pop(hash, ()):
            ticket = waiting
            if current(ticket):
                self.decide(ticket.exchange, known)
            ticket.resume()
