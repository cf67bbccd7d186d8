"""`hmac`: requests that a consumer has signed with a secret (RFC 9421, hmac-sha256)."""

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.buffer cimport DROPPED, HOST, X_FORWARDED_PROTO, Head, Header, head_known, same_name
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.identity cimport Identity, Known
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Verdict
from tetrapylon._core.shared.limits cimport Table, Taken, Windows
from tetrapylon._core.telemetry.counters cimport Slab

import hashlib
import hmac
import re
import time
from binascii import Error as Base64Error
from base64 import b64decode
from typing import Annotated

from tetrapylon.config.model.base import Text, Timeout, doc
from tetrapylon.config.model.credentials import Identifies, vouched
from tetrapylon.config.units import Duration, Size

cdef enum:
    LONGEST = 8192          # bytes of Signature-Input, and of Signature
    MOST_COMPONENTS = 64


class Settings(Identifies, frozen=True, kw_only=True):
    """Asks for an HTTP message signature (RFC 9421) by one of the `hmac_keys` of `consumers`.

    The algorithm is `hmac-sha256`. `Signature-Input` must have `created` and `keyid`, and cover what `covers`
    names. The path is signed as it is forwarded: normal, so without dot segments and needless escapes. With a
    `nonce`, a signature is taken once, by whichever worker of the machine. There is room for 262,144 nonces
    at once; beyond, the one that would be forgotten soonest is forgotten early, and counted in the metrics.
    """

    example = "{use: hmac, window: 1m, nonce: true}"

    covers: Annotated[
        tuple[Text, ...],
        doc(
            "Components that a signature must cover. `@request-target` stands for `@path` and `@query` too,"
            " and `@target-uri` for these, `@scheme` and `@authority`."
        ),
    ] = ("@method", "@authority", "@path", "@query")
    body: Annotated[
        bool,
        doc("A body must be signed, too, by `Content-Digest` (RFC 9530); it is held until it is whole."),
    ] = True
    max_body: Annotated[Size, doc("The largest body that is held; larger: 413.")] = 1048576
    window: Annotated[Timeout, doc("How old a signature may be.")] = 300.0
    leeway: Annotated[Duration, doc("By how much clocks may differ.")] = 10.0
    nonce: Annotated[
        bool, doc("Ask for a `nonce`. One that is given is taken once, whether asked for or not.")
    ] = False


cdef class Hmac(Identity):
    cdef dict keys              # key id -> (HMAC with the secret in it, Known)
    cdef frozenset covers
    cdef bint body
    cdef double window
    cdef double leeway
    cdef bint nonce
    cdef Table nonces           # of all workers
    cdef Windows once
    cdef uint64_t* forgotten

    Settings = Settings
    shared = True

    def __init__(self, settings, Slab slab not None, keys):
        """`keys`: id -> (secret, Known)."""
        Identity.__init__(self, "hmac", slab, optional=settings.optional)
        self.keys = {
            name.encode(): (hmac.new(secret, digestmod=hashlib.sha256), who)
            for name, (secret, who) in keys.items()
        }
        self.covers = frozenset([name.lower().encode() for name in settings.covers])
        self.body = settings.body
        self.request_limit = settings.max_body
        self.window = settings.window
        self.leeway = settings.leeway
        self.nonce = settings.nonce
        self.nonces = slab.owner.amounts.nonces
        self.once = Windows([(1, settings.window + 2 * settings.leeway, 1)])
        self.forgotten = slab.series("tetrapylon_limit_keys_forgotten_total", {"policy": "hmac"})
        covered = " ".join([f'"{name}"' for name in settings.covers])
        asked = f'sig=({covered});created;keyid;alg="hmac-sha256"' + (";nonce" if self.nonce else "")
        challenge = [
            (b"WWW-Authenticate", b"Signature"),
            (b"Accept-Signature", asked.encode("ascii", "replace")),
        ]
        for reason, detail in REASONS.items():
            self.refuses(401, reason, "Unauthorized", detail, headers=challenge)

    @staticmethod
    def build(settings, scope):
        from tetrapylon.identity.consumers import known

        return Hmac(settings, scope.slab, {
            name: (secret.encode(), known(consumer, settings.headers))
            for consumer in scope.config.consumers for name, secret in consumer.hmac_keys.items()
        })

    @staticmethod
    def check(settings, config):
        if not any([consumer.hmac_keys for consumer in config.consumers if consumer.name]):
            yield (), "no consumer has a key", "give some `hmac_keys`"
        for index, name in enumerate(settings.covers):
            if name.startswith("@") and name.encode() not in DERIVED:
                yield (("covers", index), f"there is no component {name}",
                       f"expected one of {', '.join([each.decode() for each in DERIVED])}, or a field")

    vouches = staticmethod(vouched)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef bytes told = field(head, b"signature-input")
        cdef bytes signed = field(head, b"signature")
        if told is None and signed is None:
            return self.absent(x)
        if told is None or signed is None or len(told) > LONGEST or len(signed) > LONGEST:
            return self.deny(x, "malformed")
        inputs = read_inputs(told)
        signatures = read_signatures(signed)
        if inputs is None or signatures is None:
            return self.deny(x, "malformed")
        ours = [one for one in inputs if one[3].get(b"keyid") in self.keys]
        if not ours:
            return self.deny(x, "unknown_key")
        label, text, components, parameters = ours[0]
        if label not in signatures or len(set(components)) != len(components):
            return self.deny(x, "malformed")
        if parameters.get(b"alg", b"hmac-sha256") != b"hmac-sha256":
            return self.deny(x, "algorithm")
        if not self.covers <= expanded(components):
            return self.deny(x, "coverage")
        if self.body and head.has_body and b"content-digest" not in components:
            return self.deny(x, "coverage")
        base = self.base(x, text, components)
        if base is None:
            return self.deny(x, "coverage")
        started, who = self.keys[parameters[b"keyid"]]
        mac = started.copy()
        mac.update(base)
        if not hmac.compare_digest(mac.digest(), signatures[label]):
            return self.deny(x, "signature")
        return self.in_time(x, parameters, <Known>who, b"content-digest" in components)

    cdef Verdict in_time(self, Exchange x, dict parameters, Known who, bint digest) noexcept:
        """Only for what is signed: strangers fill no memory."""
        cdef double now = time.time()
        cdef bytes nonce
        cdef Taken taken
        cdef Verdict verdict
        created = parameters.get(b"created")
        expires = parameters.get(b"expires", now)
        if not isinstance(created, int) or not isinstance(expires, (int, float)):
            return self.deny(x, "malformed")
        if created > now + self.leeway:
            return self.deny(x, "not_yet_valid")
        if created < now - self.window - self.leeway or expires < now - self.leeway:
            return self.deny(x, "expired")
        nonce = parameters.get(b"nonce")
        if nonce is not None:
            nonce = parameters[b"keyid"] + b"\0" + nonce
            self.nonces.take(self.nonces.hash(nonce, len(nonce)), self.once, 0, &taken)
            self.forgotten[0] += taken.evicted
            if not taken.allowed:
                return self.deny(x, "replayed")
        elif self.nonce:
            return self.deny(x, "nonce")
        verdict = self.admit(x, who)
        return COLLECT if verdict == CONTINUE and digest else verdict

    cdef Verdict whole_request(self, Exchange x) noexcept:
        cdef bytes told = field(&x.request, b"content-digest")
        if told is None or not digests(told, x.body or b""):
            return self.deny(x, "digest")
        return CONTINUE

    cdef bytes base(self, Exchange x, bytes text, list components):
        """RFC 9421 section 2.5: what is signed; None: a component is not there, or not understood."""
        cdef list lines = []
        for name in components:
            value = derived(x, name) if name.startswith(b"@") else field(&x.request, name)
            if value is None:
                return None
            lines.append(b'"%b": %b' % (name, value))
        lines.append(b'"@signature-params": ' + text)
        return b"\n".join(lines)


cdef dict REASONS = {
    "missing": "This asks for a signature (RFC 9421).",
    "malformed": "The signature is malformed.",
    "unknown_key": "The signature is by a key that is not known.",
    "algorithm": "The signature is made by another algorithm than hmac-sha256.",
    "coverage": "The signature does not cover what it has to, or what is not there.",
    "signature": "The signature is wrong.",
    "expired": "The signature is too old.",
    "not_yet_valid": "The signature is from the future.",
    "nonce": "The signature has no nonce.",
    "replayed": "The signature's nonce has been used.",
    "digest": "The body is not what Content-Digest says.",
}
cdef tuple DERIVED = (
    b"@method", b"@authority", b"@scheme", b"@target-uri", b"@request-target", b"@path", b"@query",
)


cdef frozenset expanded(list components):
    found = set(components)
    if b"@target-uri" in found:
        found.update((b"@scheme", b"@authority", b"@request-target"))
    if b"@request-target" in found:
        found.update((b"@path", b"@query"))
    return frozenset(found)


cdef bytes field(Head* head, bytes name):
    """RFC 9421 section 2.1: all lines of that name, in one; None: there is none."""
    cdef list found = []
    cdef Header* line
    cdef uint32_t i
    for i in range(head.count):
        line = &head.headers[i]
        if line.name_length == <uint32_t>len(name) and not line.mark & DROPPED and same_name(
                head.data + line.name, name, line.name_length):
            found.append(head.data[line.value:line.value + line.value_length].strip(b" \t"))
    return b", ".join(found) if found else None


cdef bytes derived(Exchange x, bytes name):
    """RFC 9421 section 2.2."""
    cdef Head* head = &x.request
    cdef bytes target = head.data[x.asked:x.asked + x.asked_length]
    if name == b"@method":
        return head.data[head.method:head.method + head.method_length]
    if name == b"@path":
        return target[:x.path_length]
    if name == b"@query":
        return target[x.path_length:] or b"?"
    if name == b"@request-target":
        return target
    if name == b"@scheme":
        return scheme(x)
    if name == b"@authority":
        return authority(x)
    if name == b"@target-uri":
        return scheme(x) + b"://" + authority(x) + target
    return None


cdef bytes scheme(Exchange x):
    cdef Header* line = head_known(&x.request, X_FORWARDED_PROTO) if x.peer.trusted else NULL
    if line is not NULL:
        return x.request.data[line.value:line.value + line.value_length].lower()
    return b"https" if x.peer.tls else b"http"


cdef bytes authority(Exchange x):
    """In lower case, without the scheme's own port (RFC 9421 section 2.2.3)."""
    cdef Header* line = head_known(&x.request, HOST)
    if line is NULL:
        return b""
    host = x.request.data[line.value:line.value + line.value_length].lower()
    return host.removesuffix(b":443" if scheme(x) == b"https" else b":80")


# Structured fields (RFC 8941), as far as signatures use them. Characters are taken in runs: one by one, each
# would be a choice that the expression could come back to.
cdef bytes RUN = rb'[\x20\x21\x23-\x5b\x5d-\x7e]*'
cdef bytes STRING = rb'"' + RUN + rb'(?:\\["\\]' + RUN + rb')*"'
cdef bytes LABEL = rb"[a-z*][a-z0-9_.*-]*"
cdef bytes TOKEN = rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
cdef bytes VALUE = rb"(?:-?[0-9]{1,15}|" + STRING + rb"|:[A-Za-z0-9+/=]*:|\?[01]|" + TOKEN + rb")"
cdef bytes PARAMETER = rb"; *" + LABEL + rb"(?:=" + VALUE + rb")?"
cdef bytes INNER = rb"\( *(?:" + STRING + rb"(?: +" + STRING + rb")*)? *\)(?:" + PARAMETER + rb")*"
cdef object MEMBER = re.compile(rb"(" + LABEL + rb")=(" + INNER + rb")")
cdef object BINARY = re.compile(rb"(" + LABEL + rb")=:([A-Za-z0-9+/=]*):")
cdef object BETWEEN = re.compile(rb"[ \t]*,[ \t]*")
cdef object ONE_STRING = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"')
cdef object ONE_PARAMETER = re.compile(rb"; *(" + LABEL + rb")(?:=(" + VALUE + rb"))?")


def read_inputs(bytes text not None):
    """`Signature-Input` -> [(label, its text, components, parameters)]; None: it is malformed.

    Components with parameters of their own are not understood: they make it malformed.
    """
    cdef list found = []
    members = read_dictionary(text, MEMBER)
    if members is None:
        return None
    for label, inner in members:
        end = closing(inner)
        components = ONE_STRING.findall(inner, 0, end)
        if len(components) > MOST_COMPONENTS:
            return None
        parameters = {name: bare(value) for name, value in ONE_PARAMETER.findall(inner, end + 1)}
        found.append((label, inner, components, parameters))
    return found


cdef Py_ssize_t closing(bytes inner) noexcept:
    """Where the list's parenthesis closes: the first one outside of strings."""
    cdef const char* text = inner
    cdef Py_ssize_t i = 0
    cdef bint quoted = False
    while quoted or text[i] != c")":
        if text[i] == c'"':
            quoted = not quoted
        elif quoted and text[i] == c"\\":
            i += 1
        i += 1
    return i


def read_signatures(bytes text not None):
    """`Signature` -> {label: bytes}; None: it is malformed."""
    members = read_dictionary(text, BINARY)
    try:
        if members is None:
            return None
        return {label: b64decode(value, validate=True) for label, value in members}
    except Base64Error:
        return None


cdef list read_dictionary(bytes text, pattern):
    """Members of a dictionary, each once; None: it is malformed."""
    cdef list found = []
    cdef Py_ssize_t at = 0
    while True:
        member = pattern.match(text, at)
        if member is None:
            return None
        found.append(member.groups())
        at = member.end()
        if at == len(text):
            break
        between = BETWEEN.match(text, at)
        if between is None:
            return None
        at = between.end()
    return found if len({label for label, _ in found}) == len(found) else None


cdef object bare(bytes value):
    """An item's value: an int, or the bytes of a string, a token or whatever else."""
    if value[:1] == b'"':
        return value[1:len(value) - 1].replace(b'\\"', b'"').replace(b"\\\\", b"\\")
    if value[:1] == b"-" or value.isdigit():
        return int(value)
    return value


cdef bint digests(bytes told, bytes body) noexcept:
    """Does Content-Digest (RFC 9530 section 2) fit the body, by all algorithms known, at least one?"""
    members = read_signatures(told)
    if members is None:
        return False
    known = [name for name in members if name in ALGORITHMS]
    return len(known) > 0 and all(
        [hmac.compare_digest(ALGORITHMS[name](body).digest(), members[name]) for name in known])


cdef dict ALGORITHMS = {b"sha-256": hashlib.sha256, b"sha-512": hashlib.sha512}
