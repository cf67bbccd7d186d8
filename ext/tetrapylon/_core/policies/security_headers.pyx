"""`security_headers`: what browsers are told to be careful about."""

from tetrapylon._core.buffer cimport Head, head_find
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.edit cimport add_line, drop_lines, out_of_memory
from tetrapylon._core.http.template cimport is_secure
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict

from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName, HeaderValue
from tetrapylon.config.units import Duration


class Settings(Struct, frozen=True, kw_only=True):
    """Tells browsers to be careful; what the upstream says of its own accord stays, unless `override`."""

    hsts: Annotated[
        Duration | None,
        doc("`Strict-Transport-Security` for this long, to clients that came by TLS (RFC 6797 section 7.2)."),
    ] = 31536000.0
    hsts_subdomains: Annotated[bool, doc("Whether that holds for all names below the host as well.")] = False
    hsts_preload: Annotated[bool, doc("Whether browsers may build it in: hard to take back.")] = False
    sniff: Annotated[
        bool, doc("Whether browsers may guess media types; if not, `X-Content-Type-Options`.")
    ] = False
    frame: Annotated[
        Literal["deny", "same_origin", "allow"], doc("Which pages may frame these: `X-Frame-Options`.")
    ] = "deny"
    referrer: Annotated[HeaderValue, doc("`Referrer-Policy`; empty: none.")] = (
        "strict-origin-when-cross-origin"
    )
    opener: Annotated[HeaderValue, doc("`Cross-Origin-Opener-Policy`; empty: none.")] = "same-origin"
    resource: Annotated[HeaderValue, doc("`Cross-Origin-Resource-Policy`; empty: none.")] = ""
    embedder: Annotated[HeaderValue, doc("`Cross-Origin-Embedder-Policy`; empty: none.")] = ""
    content: Annotated[HeaderValue, doc("`Content-Security-Policy`; empty: none.")] = ""
    permissions: Annotated[HeaderValue, doc("`Permissions-Policy`; empty: none.")] = ""
    remove: Annotated[
        tuple[HeaderName, ...], doc("Fields that tell attackers what runs here, and that nobody needs.")
    ] = ("Server", "X-Powered-By", "X-AspNet-Version")
    override: Annotated[bool, doc("Whether to replace what the upstream says in these fields.")] = False


cdef class SecurityHeaders(Policy):
    cdef list lines             # (name, name in lower case, value)
    cdef list removed           # in lower case
    cdef bytes hsts             # None: not said
    cdef bint override

    Settings = Settings

    def __init__(self, settings=Settings()):  # noqa: B008
        lines = {
            "X-Content-Type-Options": "" if settings.sniff else "nosniff",
            "X-Frame-Options": {"deny": "DENY", "same_origin": "SAMEORIGIN", "allow": ""}[settings.frame],
            "Referrer-Policy": settings.referrer,
            "Cross-Origin-Opener-Policy": settings.opener,
            "Cross-Origin-Resource-Policy": settings.resource,
            "Cross-Origin-Embedder-Policy": settings.embedder,
            "Content-Security-Policy": settings.content,
            "Permissions-Policy": settings.permissions,
        }
        self.lines = [
            (name.encode(), name.lower().encode(), value.encode("latin-1"))
            for name, value in lines.items() if value
        ]
        self.removed = [name.lower().encode() for name in settings.remove]
        self.override = settings.override
        if settings.hsts is not None:
            hsts = f"max-age={settings.hsts:.0f}"
            if settings.hsts_subdomains:
                hsts += "; includeSubDomains"
            if settings.hsts_preload:
                hsts += "; preload"
            self.hsts = hsts.encode()

    @staticmethod
    def check(settings, config):
        """What the preload lists of browsers ask for."""
        if settings.hsts_preload and (
            settings.hsts is None or settings.hsts < 31536000 or not settings.hsts_subdomains
        ):
            yield ("hsts_preload",), "the lists take only a year or more, with subdomains", (
                "set `hsts: 365d` and `hsts_subdomains: true`")

    cdef Verdict response(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef bytes value
        for name in self.removed:
            drop_lines(head, name)
        for name, lower, line in self.lines:
            value = line
            if not self.put(head, name, lower, value):
                return out_of_memory(x)
        if self.hsts is not None and is_secure(x):
            if not self.put(head, b"Strict-Transport-Security", b"strict-transport-security", self.hsts):
                return out_of_memory(x)
        return CONTINUE

    cdef bint put(self, Head* head, bytes name, bytes lower, bytes value) noexcept:
        if self.override:
            drop_lines(head, lower)
        elif head_find(head, lower, len(lower)) is not NULL:
            return True
        return add_line(head, name, value, len(value)) == 0
