"""`jwt`: a token that somebody trusted has signed (RFC 7519)."""

from tetrapylon._core.exchange cimport Exchange, Ticket, current, wait
from tetrapylon._core.identity cimport ABSENT, PRESENT, Found, Identity, Known, look
from tetrapylon._core.memo cimport Memo
from tetrapylon._core.policy cimport WAIT, Verdict
from tetrapylon._core.reactor cimport clock

from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon.config.model.base import Text, Timeout, Token, doc
from tetrapylon.config.model.credentials import Identifies, Scope, vouched
from tetrapylon.config.net import CheckPath, HeaderName
from tetrapylon.config.secrets import SECRET
from tetrapylon.config.units import Duration, Size

cdef enum:
    WAITING = 10000         # requests that wait for keys at once

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
    "ES512", "EdDSA",
]


class Jwks(Struct, frozen=True, kw_only=True):
    """Where an issuer publishes its keys (RFC 7517)."""

    upstream: Annotated[
        Text, doc("The upstream to ask; with `https://` targets, for whoever answers is believed.")
    ]
    path: Annotated[CheckPath, doc("The path of the JWK Set there.")] = "/.well-known/jwks.json"
    host: Annotated[Token | None, doc("The `Host` to ask for; the upstream's own when left out.")] = None
    refresh: Annotated[Timeout, doc("How often the keys are fetched again.")] = 600.0
    cooldown: Annotated[
        Timeout, doc("For a key that is not known they are fetched at once, but not twice within this time.")
    ] = 10.0
    timeout: Annotated[Timeout, doc("How long a fetch may take.")] = 5.0


class Settings(Identifies, frozen=True, kw_only=True):
    """Asks for a JSON Web Token, and knows the consumer by what it says.

    Keys come from `jwks`, `jwks_file`, `public_key` or `secret`; each serves only the algorithms of its own
    type. A token that was verified is known by its bytes until it expires or the keys change. Needs
    `pip install tetrapylon[jwt]`.
    """

    example = (
        "{use: jwt, jwks: {upstream: login}, issuer: [\"https://login.example\"], audience: [shop]}"
    )

    header: Annotated[
        HeaderName | None,
        doc("The field it stands in; `Authorization`, as a bearer token, if no place is given."),
    ] = None
    cookie: Annotated[Text | None, doc("The cookie it stands in.")] = None
    query: Annotated[Text | None, doc("The parameter of the query it stands in.")] = None
    strip: Annotated[bool, doc("Do not send it on to the upstream.")] = False
    algorithms: Annotated[
        tuple[Algorithm, ...], doc("What a token may be signed with.", min_length=1)
    ] = ("RS256", "ES256", "EdDSA")
    jwks: Annotated[Jwks | None, doc("Keys that the issuer publishes.")] = None
    jwks_file: Annotated[Text | None, doc("A file with a JWK Set, read again when it changes.")] = None
    public_key: Annotated[Text | None, doc("A PEM file with a public key or certificate.")] = None
    secret: Annotated[
        Text | None, SECRET, doc("For HS256, HS384 and HS512; `${NAME}` keeps it out of the file.")
    ] = None
    issuer: Annotated[tuple[Text, ...], doc("Whose tokens: `iss` must be one of these.")] = ()
    audience: Annotated[tuple[Text, ...], doc("For whom they are meant: `aud` must name one of these.")] = ()
    leeway: Annotated[
        Duration, doc("By how much clocks may differ, for `exp`, `nbf` and `iat`; whole seconds.", le=600)
    ] = 10.0
    required: Annotated[tuple[Text, ...], doc("Claims that a token must have.")] = ("exp",)
    claims: Annotated[
        dict[Text, str | tuple[str, ...]],
        doc("Claims, and what each must be, or contain: a text or one of several."),
    ] = {}
    scopes: Annotated[tuple[Scope, ...], doc("Scopes that it must have, or it is refused with 403.")] = ()
    scope_claim: Annotated[Text, doc("The claim with the scopes: a list, or words between blanks.")] = "scope"
    consumer_claim: Annotated[Text, doc("The claim that names the consumer.")] = "sub"
    groups_claim: Annotated[
        Text | None, doc("The claim with groups, besides those that `consumers` has for the name.")
    ] = None
    known_only: Annotated[bool, doc("Refuse those whom `consumers` does not name.")] = False
    max_size: Annotated[Size, doc("The longest token that is looked at.", ge=64, le=65536)] = 8192
    cache: Annotated[int, doc("Verified tokens that each worker remembers.", ge=1, le=10_000_000)] = 10_000


cdef class Jwt(Identity):
    cdef tuple places
    cdef size_t longest
    cdef object judge           # identity.bearers.Bearers: token -> (Known, seconds it holds), or a reason
    cdef object published       # tetrapylon.identity.jwks.Published; None: all keys are at hand
    cdef readonly Memo verified     # token -> Known
    cdef Py_ssize_t waiting

    Settings = Settings
    shared = True

    def __init__(self, settings, slab, judge, *, published=None):
        from tetrapylon.identity.consumers import places

        Identity.__init__(self, "jwt", slab, optional=settings.optional)
        self.places = places(
            settings.header, settings.cookie, settings.query, usual="Authorization", strip=settings.strip)
        self.longest = settings.max_size
        self.judge = judge
        self.published = published
        self.verified = Memo(settings.cache)
        self.refuses(401, "missing", "Unauthorized", "This asks for a token.",
                     headers=[(b"WWW-Authenticate", b"Bearer")])
        challenge = [(b"WWW-Authenticate", b'Bearer error="invalid_token"')]
        for reason, detail in REASONS.items():
            self.refuses(401, reason, "Unauthorized", detail, headers=challenge)
        scope = f'Bearer error="insufficient_scope", scope="{" ".join(settings.scopes)}"'
        self.refuses(403, "scope", "Forbidden", "The token does not have the scopes that this needs.",
                     headers=[(b"WWW-Authenticate", scope.encode("ascii", "replace"))])
        self.refuses(403, "consumer", "Forbidden", "The token's subject is nobody who is known here.")
        self.refuses(503, "unavailable", "Service Unavailable",
                     "The keys that tokens are verified with are missing.", headers=[(b"Retry-After", b"1")])

    @staticmethod
    def build(settings, scope):
        from tetrapylon.identity.bearers import Bearers

        bearers = Bearers(settings, scope)
        policy = Jwt(settings, scope.slab, bearers, published=bearers.published)
        bearers.changed = policy.verified.clear
        return policy

    @staticmethod
    def check(settings, config):
        from tetrapylon.identity.bearers import problems

        yield from problems(settings, config)

    vouches = staticmethod(vouched)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef const char* data = NULL
        cdef size_t n = 0
        cdef Found found = look(self.places, x, &data, &n)
        if found == ABSENT:
            return self.absent(x)
        if found != PRESENT:
            return self.deny(x, "malformed")
        if n > self.longest:
            return self.deny(x, "too_large")
        who = self.verified.find(data, n, x.stages.reactor.now)
        if who is not None:
            return self.admit(x, <Known>who)
        return self.examine(x, data[:n], True)

    cdef Verdict examine(self, Exchange x, bytes token, bint may_wait) noexcept:
        verdict = self.judge.examine(token)
        if isinstance(verdict, tuple):
            who, seconds = <tuple>verdict
            self.verified.put(token, who, clock() + <unsigned long long>(<double>seconds * 1e9))
            return self.admit(x, <Known>who)
        if verdict == "unknown_key" and self.published is not None:
            if may_wait and self.waiting < WAITING:
                ticket = wait(x)
                if self.published.ask(lambda: self.again(ticket, token)):
                    self.waiting += 1
                    return WAIT
                x.ticket = 0
            if not self.published.ready:
                return self.deny(x, "unavailable")
        return self.deny(x, <str>verdict)

    def again(self, Ticket ticket not None, bytes token not None):
        """Keys have been fetched, or could not be."""
        self.waiting -= 1
        if current(ticket):
            self.examine(ticket.exchange, token, False)
        ticket.resume()


cdef dict REASONS = {
    "malformed": "The token is malformed, or there is more than one.",
    "too_large": "The token is longer than this takes.",
    "encrypted": "The token is encrypted; this takes signed ones.",
    "nested": "The token holds another one; this takes plain ones.",
    "algorithm": "The token is signed with an algorithm that this does not take.",
    "unknown_key": "The token is signed with a key that is not known.",
    "signature": "The token's signature is wrong.",
    "expired": "The token has expired.",
    "not_yet_valid": "The token is not valid yet.",
    "issuer": "The token is from somebody else.",
    "audience": "The token is for somebody else.",
    "missing_claim": "The token lacks a claim that this needs.",
    "claim": "The token has a claim that this does not take.",
}
