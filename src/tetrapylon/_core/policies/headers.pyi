"""`headers`: header fields set, added, removed and renamed, on their way in and out."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName

class Edits(Struct, frozen=True, kw_only=True):
    """What happens to the header fields of a message, in this order."""

    rename: Annotated[dict[HeaderName, HeaderName], doc("Fields that get another name: `{OLD: NEW}`.")] = {}
    remove: Annotated[
        tuple[str, ...], doc("Fields to take out; `X-Internal-*` takes all that begin so.")
    ] = ()
    set: Annotated[
        dict[HeaderName, str],
        doc(
            "Fields that have this value and no other. `{client}`, `{consumer}`, `{request_id}`, `{route}`,"
            " `{host}`,"
            " `{authority}`, `{scheme}`, `{method}`, `{path}`, `{query}`, `{target}`, `{header:NAME}` of the"
            " request"
            " and the parameters of the route's path are filled in, `{{` is a brace; a value that comes out"
            " empty"
            " takes the field away."
        ),
    ] = {}
    add: Annotated[
        dict[HeaderName, str],
        doc("Fields to add to those that are there; as `set`, but an empty one is not added."),
    ] = {}

class Settings(Struct, frozen=True, kw_only=True):
    """Sets, adds, removes and renames header fields."""

    request: Annotated[Edits, doc("What upstreams, and the policies after this one, are told.")] = Edits()
    response: Annotated[Edits, doc("What clients, and the policies before this one, are told.")] = Edits()

_Settings = Settings

@disjoint_base
class Line:
    """A field with its template."""

@disjoint_base
class Steps:
    """The edits of one direction."""

    def meant(self, name: str) -> bytes:
        """What else goes by a name, in lower case: in a request with dashes, as CGI and WSGI read it."""

@disjoint_base
class Headers(Policy):
    """Edits the fields of requests and responses."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ..., parameters: Any = ...) -> None: ...
    @classmethod
    def build(cls, settings: _Settings, scope: Any) -> Headers: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
    @staticmethod
    def texts(settings: _Settings) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
        """The templates among the settings; see `Policy`."""
