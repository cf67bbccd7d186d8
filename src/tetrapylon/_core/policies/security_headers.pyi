"""`security_headers`: what browsers are told to be careful about."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
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

_Settings = Settings

@disjoint_base
class SecurityHeaders(Policy):
    """Adds what browsers are to be careful about."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ...) -> None: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
