"""`cors`: which other origins' pages may use a route (the Fetch standard's CORS protocol)."""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from tetrapylon._core.buffer cimport Head, Header, head_find, same_name
from tetrapylon._core.exchange cimport Exchange, is_method
from tetrapylon._core.http.edit cimport add_line, add_vary, drop_prefixed, out_of_memory
from tetrapylon._core.http.fields cimport Items, Piece, items_of, next_item
from tetrapylon._core.http.respond cimport Answer, Refusal, refuse
from tetrapylon._core.policy cimport ANSWER, CONTINUE, Policy, Verdict

import re
from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName, Method
from tetrapylon.config.units import Duration

cdef enum:
    FEW = 8                 # origins, which are sooner compared than hashed

cdef object ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<any>\*\.)?(?P<host>[a-z0-9_.-]+|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]+|\*))?")
cdef dict USUAL_PORTS = {"http": "80", "https": "443"}


class Settings(Struct, frozen=True, kw_only=True):
    """Lets pages of other origins use a route: answers preflights, and tells browsers what they may read."""

    origins: Annotated[
        tuple[str, ...],
        doc(
            "Origins that may: exact ones as `https://shop.example`, all below a domain as"
            " `https://*.example.com`, any"
            " port as `http://localhost:*`, `null`, or `*` alone for all.",
            min_length=1,
        ),
    ]
    methods: Annotated[tuple[Method, ...], doc("Methods that a preflight may ask for.")] = (
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
    )
    headers: Annotated[
        tuple[str, ...], doc("Request fields that a preflight may ask for; `*` allows whichever it asks for.")
    ] = ("Authorization", "Content-Type")
    expose: Annotated[
        tuple[HeaderName, ...], doc("Response fields that pages may read, beyond the usual ones.")
    ] = ()
    credentials: Annotated[
        bool, doc("Whether cookies and other credentials are sent along; not together with all origins.")
    ] = False
    max_age: Annotated[Duration, doc("For how long a browser may keep a preflight's answer.")] = 600.0


cdef class Pattern:
    """Origins below a domain, on any port, or both."""
    cdef bytes scheme           # with ://
    cdef bytes host             # with its leading dot where anything may stand before it
    cdef bytes port             # with its colon; b"*": any, or none
    cdef bint below

    def __init__(self, match):
        self.scheme = match["scheme"].encode() + b"://"
        self.below = match["any"] is not None
        self.host = (b"." if self.below else b"") + match["host"].encode()
        port = match["port"]
        if port == USUAL_PORTS.get(match["scheme"]):
            port = None
        self.port = b"" if port is None else b"*" if port == "*" else b":" + port.encode()

    cdef bint takes(self, const char* origin, size_t n) noexcept:
        cdef size_t start = len(self.scheme), host_n = len(self.host), end = n, i
        if n < start or memcmp(origin, <const char*>self.scheme, start):
            return False
        if self.port == b"*":
            i = n
            while i > start and c"0" <= origin[i - 1] <= c"9":
                i -= 1
            if i < n and origin[i - 1] == c":":
                end = i - 1
        elif len(self.port):
            if n < start + len(self.port):
                return False
            end = n - len(self.port)
            if memcmp(origin + end, <const char*>self.port, len(self.port)):
                return False
        if not self.below:
            return end - start == host_n and memcmp(origin + start, <const char*>self.host, host_n) == 0
        if end - start <= host_n or memcmp(origin + end - host_n, <const char*>self.host, host_n):
            return False
        # What stands for the star is names and dots: nothing that could end the host before the suffix.
        for i in range(start, end - host_n):
            if not (c"a" <= origin[i] <= c"z" or c"0" <= origin[i] <= c"9" or origin[i] in (c"-", c"_")
                    or (origin[i] == c"." and i > start and origin[i - 1] != c".")):
                return False
        return origin[end - host_n - 1] != c"."


class Origins:
    """Whether an origin is among those of a config: for tests."""

    def __init__(self, *origins):
        self._policy = Cors(Settings(origins=origins))

    def __contains__(self, origin):
        return (<Cors>self._policy).allows(origin, len(origin))


cdef class Cors(Policy):
    cdef bint everyone
    cdef frozenset exact
    cdef tuple few              # the same, where there are few: compared, not hashed
    cdef list patterns
    cdef bint credentials
    cdef bint any_header
    cdef frozenset headers      # in lower case
    cdef frozenset methods
    cdef bytes methods_text
    cdef bytes headers_text
    cdef bytes expose
    cdef bytes max_age
    cdef Answer preflight
    cdef Refusal bad_origin
    cdef Refusal bad_method
    cdef Refusal bad_header

    Settings = Settings

    def __init__(self, settings):
        exact = set()
        self.patterns = []
        for origin in settings.origins:
            match = ORIGIN.fullmatch(origin)
            if match is None:
                exact.add(origin.encode("ascii"))
            elif match["any"] is None and match["port"] != "*":
                usual = match["port"] is None or match["port"] == USUAL_PORTS.get(match["scheme"])
                port = "" if usual else f":{match['port']}"
                exact.add(f"{match['scheme']}://{match['host']}{port}".encode("ascii"))
            else:
                self.patterns.append(Pattern(match))
        self.everyone = b"*" in exact
        self.exact = frozenset(exact)
        self.few = tuple(exact) if len(exact) <= FEW else ()
        self.credentials = settings.credentials
        self.any_header = "*" in settings.headers
        self.headers = frozenset([name.lower().encode("ascii") for name in settings.headers])
        self.headers_text = ", ".join(settings.headers).encode("ascii")
        self.methods = frozenset([method.encode("ascii") for method in settings.methods])
        self.methods_text = ", ".join(settings.methods).encode("ascii")
        self.expose = ", ".join(settings.expose).encode("ascii")
        self.max_age = str(int(settings.max_age)).encode("ascii")
        self.answers_preflights = True
        self.preflight = Answer(204)
        self.bad_origin = Refusal(
            403, "cors_origin", "Forbidden", "Pages of this origin may not use this route.")
        self.bad_method = Refusal(
            403, "cors_method", "Forbidden", "Pages of other origins may not use this method here.")
        self.bad_header = Refusal(
            403, "cors_header", "Forbidden", "Pages of other origins may not send these header fields here.")

    @staticmethod
    def check(settings, config):
        """Origins that are none, and credentials for everyone."""
        for index, origin in enumerate(settings.origins):
            if origin in ("*", "null") or ORIGIN.fullmatch(origin) is not None:
                continue
            lower = origin.lower().rstrip("/")
            hint = "expected one such as https://shop.example, https://*.example.com or http://localhost:*"
            if lower != origin and ORIGIN.fullmatch(lower) is not None:
                hint = f"did you mean {lower}?"
            elif ORIGIN.fullmatch(f"https://{lower}") is not None:
                hint = f"did you mean https://{lower}?"
            yield ("origins", index), f"{origin!r} is no origin", hint
        if "*" in settings.origins and settings.credentials:
            what = "browsers refuse credentials where every origin is allowed"
            yield ("credentials",), what, "name the origins"
        if "*" in settings.origins and len(settings.origins) > 1:
            yield ("origins",), "`*` allows every origin already", "leave the others out, or leave it out"

    cdef bint allows(self, const char* origin, size_t n) noexcept:
        if self.everyone:
            return True
        if len(self.few):
            for each in self.few:
                if <size_t>len(<bytes>each) == n and memcmp(<char*><bytes>each, origin, n) == 0:
                    return True
        elif origin[:n] in self.exact:
            return True
        for pattern in self.patterns:
            if (<Pattern>pattern).takes(origin, n):
                return True
        return False

    cdef bint allowed(self, Exchange x, Header** origin) noexcept:
        """Is the request from an allowed origin? `origin` is NULL where it has none."""
        cdef Head* head = &x.request
        cdef Header* line
        cdef uint32_t i
        origin[0] = head_find(head, b"origin", 6)
        if origin[0] is NULL:
            return False
        for i in range(head.count):         # two of them are nobody's
            line = &head.headers[i]
            if (line is not origin[0] and line.name_length == 6
                    and same_name(head.data + line.name, b"origin", 6)):
                return False
        return self.allows(head.data + origin[0].value, origin[0].value_length)

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef Header* origin = NULL
        cdef Header* method
        cdef Items items
        cdef Piece name
        if not is_method(x, b"OPTIONS", 7):
            return CONTINUE
        method = head_find(head, b"access-control-request-method", 29)
        if method is NULL or head_find(head, b"origin", 6) is NULL:
            return CONTINUE
        if not self.allowed(x, &origin):
            return refuse(x, self.bad_origin)
        if (head.data + method.value)[:method.value_length] not in self.methods:
            return refuse(x, self.bad_method)
        if not self.any_header:
            items = items_of(head, b"access-control-request-headers", 30)
            while next_item(&items, &name):
                if name.data[:name.n].lower() not in self.headers:
                    return refuse(x, self.bad_header)
        x.answer = self.preflight
        return ANSWER

    cdef Verdict response(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef Header* origin = NULL
        cdef Header* asked
        cdef bint allowed = self.allowed(x, &origin)
        cdef bint ours = x.answer is self.preflight or x.answer is self.bad_origin or (
            x.answer is self.bad_method or x.answer is self.bad_header)
        cdef int code = 0
        drop_prefixed(head, b"access-control-")
        if not self.everyone:
            # Also where nothing was allowed: a cache must not give that answer to an origin that may.
            code |= add_vary(head, b"Origin")
        if ours:
            code |= add_vary(head, b"Access-Control-Request-Method")
            code |= add_vary(head, b"Access-Control-Request-Headers")
        if self.everyone:
            code |= add_line(head, b"Access-Control-Allow-Origin", b"*", 1)
        elif allowed:
            code |= add_line(head, b"Access-Control-Allow-Origin", x.request.data + origin.value,
                             origin.value_length)
        else:
            return CONTINUE if code == 0 else out_of_memory(x)
        if self.credentials:
            code |= add_line(head, b"Access-Control-Allow-Credentials", b"true", 4)
        if x.answer is self.preflight:
            code |= add_line(head, b"Access-Control-Allow-Methods", self.methods_text, len(self.methods_text))
            if self.any_header:
                asked = head_find(&x.request, b"access-control-request-headers", 30)
                if asked is not NULL:
                    code |= add_line(head, b"Access-Control-Allow-Headers", x.request.data + asked.value,
                                     asked.value_length)
            elif self.headers_text:
                code |= add_line(head, b"Access-Control-Allow-Headers", self.headers_text,
                                 len(self.headers_text))
            code |= add_line(head, b"Access-Control-Max-Age", self.max_age, len(self.max_age))
        elif self.expose:
            code |= add_line(head, b"Access-Control-Expose-Headers", self.expose, len(self.expose))
        return CONTINUE if code == 0 else out_of_memory(x)
