"""`api_key`: a key that a consumer was given."""

from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange, Ticket, current, wait
from tetrapylon._core.identity cimport ABSENT, PRESENT, Found, Identity, Known, look
from tetrapylon._core.memo cimport Memo
from tetrapylon._core.policy cimport WAIT, Verdict
from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.limits cimport Hash, siphash

import hashlib
import os
from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import Text, Timeout, doc
from tetrapylon.config.model.credentials import Identifies, vouched
from tetrapylon.config.net import HeaderName
from tetrapylon.config.secrets import SECRET

cdef enum:
    LONGEST = 1024          # bytes of a key
    DIGEST = 32
    REMEMBERED = 100000
    PENDING = 1000          # requests that wait for Redis at once
    NOW = 0                 # for what does not end: no clock is read
    NEVER = 1


class Redis(Struct, frozen=True, kw_only=True):
    """Keys in Redis: under `PREFIX` and the key's SHA-256 in hexadecimal lies the consumer.

    It is a name, of `consumers` or any other, or a JSON object with `name`, `groups` and `metadata`.
    """

    url: Annotated[Text, SECRET, doc("`redis://host:6379/0`, `rediss://` for TLS, or `unix:///path`.")]
    prefix: Annotated[str, doc("What the names of the keys begin with.")] = "tetrapylon:key:"
    ttl: Annotated[Timeout, doc("How long an answer holds, that there is no such key included.")] = 30.0
    timeout: Annotated[Timeout, doc("How long Redis may take; then the request is refused with 503.")] = 1.0


class Settings(Identifies, frozen=True, kw_only=True):
    """Asks for a key, in a header field, a cookie or the query, and knows the consumer by it.

    Keys are looked up by their SHA-256, and those seen before by a keyed hash, so neither config nor memory
    holds any; in the access log, one in the query is starred. They are those of `consumers`, and of a file or
    Redis beside.
    """

    example = "{use: api_key, header: X-API-Key, strip: true}"

    header: Annotated[
        HeaderName | None,
        doc("The field; `X-API-Key` if no place is given. In `Authorization`, it is a bearer token."),
    ] = None
    cookie: Annotated[Text | None, doc("The cookie it stands in.")] = None
    query: Annotated[Text | None, doc("The parameter of the query it stands in.")] = None
    strip: Annotated[bool, doc("Do not send it on to the upstream.")] = False
    file: Annotated[
        Text | None,
        doc(
            "A file of keys, read again when it changes: on each line `sha256:HEX NAME`, and perhaps groups."
            " Relative names start at the working directory."
        ),
    ] = None
    redis: Annotated[Redis | None, doc("Keys in Redis, asked for those that are not known otherwise.")] = None


cdef class Key:
    cdef bytes digest
    cdef Known who


cdef class ApiKey(Identity):
    cdef tuple places
    cdef dict keys              # digest -> Key
    cdef dict own               # of these, those of the config
    cdef object sha256
    cdef uint64_t[2] secret     # of the hash by which keys seen before are known
    cdef Memo seen              # that hash -> Known
    cdef object store           # tetrapylon.identity.redis.Keys; None: none
    cdef Memo remembered        # digest -> Known, or False: no such key
    cdef double ttl
    cdef dict pending           # digest -> tickets of those who wait

    Settings = Settings
    shared = True

    def __init__(self, settings, slab, keys, *, store=None):
        """`keys`: (digest, Known) of the config's own; `store.ask(digest, then)` knows others."""
        from tetrapylon.identity.consumers import places

        Identity.__init__(self, "api_key", slab, optional=settings.optional)
        self.places = places(
            settings.header, settings.cookie, settings.query, usual="X-API-Key", strip=settings.strip)
        self.own = table(keys)
        self.keys = self.own
        self.sha256 = hashlib.sha256
        self.secret[0] = int.from_bytes(os.urandom(8), "little")
        self.secret[1] = int.from_bytes(os.urandom(8), "little")
        self.seen = Memo(REMEMBERED)
        self.store = store
        self.remembered = Memo(REMEMBERED)
        self.ttl = 0 if settings.redis is None else settings.redis.ttl
        self.pending = {}
        challenge = [(b"WWW-Authenticate", b"ApiKey")]
        self.refuses(401, "missing", "Unauthorized", "This asks for an API key.", headers=challenge)
        self.refuses(401, "malformed", "Unauthorized", "The API key is malformed, or there is more than one.",
                     headers=challenge)
        self.refuses(401, "unknown_key", "Unauthorized", "There is no such API key.", headers=challenge)
        self.refuses(503, "unavailable", "Service Unavailable", "API keys cannot be looked up now.",
                     headers=[(b"Retry-After", b"1")])

    @staticmethod
    def build(settings, scope):
        from tetrapylon.identity.keys import of_config, redis_keys, watch

        store = None if settings.redis is None else redis_keys(settings, scope)
        policy = ApiKey(settings, scope.slab, of_config(scope.config, settings), store=store)
        if settings.file is not None:
            watch(settings, scope, policy.replace)
        return policy

    @staticmethod
    def check(settings, config):
        from tetrapylon.identity.keys import problems

        yield from problems(settings, config)

    vouches = staticmethod(vouched)

    def replace(self, keys not None):
        """Take these (digest, Known) beside those of the config, in place of what was replaced before."""
        self.keys = {**table(keys), **self.own}
        self.seen.clear()

    cdef Verdict request(self, Exchange x) noexcept:
        cdef const char* data = NULL
        cdef size_t n = 0
        cdef Found found = look(self.places, x, &data, &n)
        cdef Hash hash
        if found == ABSENT:
            return self.absent(x)
        if found != PRESENT or n > LONGEST:
            return self.deny(x, "malformed")
        hash = siphash(self.secret, data, n)
        who = self.seen.find(<char*>&hash, sizeof(hash), NOW)
        if who is not None:
            return self.admit(x, <Known>who)
        return self.look_up(x, data[:n], (<char*>&hash)[:sizeof(hash)])

    cdef Verdict look_up(self, Exchange x, bytes shown, bytes hash) noexcept:
        """A key that was not seen before."""
        cdef bytes digest = self.sha256(shown).digest()
        cdef Key key = self.keys.get(digest)
        if key is not None and same(key.digest, digest):
            self.seen.put(hash, key.who, NEVER)
            return self.admit(x, key.who)
        if self.store is None:
            return self.deny(x, "unknown_key")
        return self.ask(x, digest)

    cdef Verdict ask(self, Exchange x, bytes digest) noexcept:
        known = self.remembered.find(digest, DIGEST, clock())
        if known is not None:
            return self.decide(x, known)
        waiting = self.pending.get(digest)
        if waiting is None:
            if len(self.pending) >= PENDING:
                return self.deny(x, "unavailable")
            waiting = self.pending[digest] = []
            self.store.ask(digest, self.told)
        if len(waiting) >= PENDING:
            return self.deny(x, "unavailable")
        waiting.append(wait(x))
        return WAIT

    cdef Verdict decide(self, Exchange x, known) noexcept:
        return self.admit(x, <Known>known) if known else self.deny(x, "unknown_key")

    def told(self, bytes digest not None, known):
        """The store's answer: a Known, False for no such key, None for no answer."""
        cdef Ticket ticket
        if known is not None:
            self.remembered.put(digest, known, clock() + <unsigned long long>(self.ttl * 1e9))
        for waiting in self.pending.pop(digest, ()):
            ticket = waiting
            if current(ticket):
                if known is None:
                    self.deny(ticket.exchange, "unavailable")
                else:
                    self.decide(ticket.exchange, known)
            ticket.resume()


cdef dict table(keys):
    cdef dict found = {}
    cdef Key key
    for digest, who in keys:
        key = Key.__new__(Key)
        key.digest = digest
        key.who = who
        found[digest] = key
    return found


cdef bint same(const char* one, const char* other) noexcept nogil:
    """In constant time. Finding the digest tells nothing of the key: nobody can choose a digest's bytes."""
    cdef unsigned char difference = 0
    cdef int i
    for i in range(DIGEST):
        difference |= <unsigned char>(one[i] ^ other[i])
    return difference == 0
