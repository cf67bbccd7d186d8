"""`cors`: which other origins' pages may use a route (the Fetch standard's CORS protocol)."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName, Method
from tetrapylon.config.units import Duration

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

_Settings = Settings

class Origins:
    """Whether an origin is among those of a config: for tests."""

    def __init__(self, *origins: str) -> None: ...
    def __contains__(self, origin: bytes) -> bool: ...

@disjoint_base
class Pattern:
    """Origins below a domain, on any port, or both."""

@disjoint_base
class Cors(Policy):
    """Answers preflights, and tells browsers what they may read."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings) -> None: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
