"""`redirect`: to TLS, to the one host, to the one spelling of a path, or elsewhere."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.net import ServerName

class Settings(Struct, frozen=True, kw_only=True):
    """Answers with a redirect where the request came by another scheme, host or spelling than it should."""

    https: Annotated[bool, doc("Whether requests that came without TLS are sent to `https://`.")] = False
    port: Annotated[int, doc("The port of `https://`.", ge=1, le=65535)] = 443
    host: Annotated[ServerName | None, doc("The one host; requests for others are sent there.")] = None
    trailing_slash: Annotated[
        Literal["keep", "add", "remove"],
        doc("What becomes of a `/` at the end of the path; `/` itself stays."),
    ] = "keep"
    match: Annotated[
        str | None,
        doc("A regular expression (Python's) for the whole path; what it matches is sent to `to`."),
    ] = None
    to: Annotated[
        str | None,
        doc(
            "A path or URL, after which the client's query follows unless it has one. Filled in: `{1}` and"
            " `{NAME}`, the"
            " groups of `match`, and the variables of `headers`."
        ),
    ] = None
    status: Annotated[Literal[301, 302, 303, 307, 308], doc("The status code.")] = 308

_Settings = Settings

@disjoint_base
class Redirect(Policy):
    """Sends clients elsewhere."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings, parameters: Any = ...) -> None: ...
    @classmethod
    def build(cls, settings: _Settings, scope: Any) -> Redirect: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
    @staticmethod
    def texts(settings: _Settings) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
        """The templates among the settings; see `Policy`."""
