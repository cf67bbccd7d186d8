"""`rewrite`: another path or query towards the upstream."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc

class Query(Struct, frozen=True, kw_only=True):
    """What happens to the parameters of a query, in this order."""

    remove: Annotated[tuple[str, ...], doc("Parameters to take out; `utm_*` takes all that begin so.")] = ()
    set: Annotated[
        dict[str, str], doc("Parameters that have this value and no other, with variables filled in.")
    ] = {}
    add: Annotated[dict[str, str], doc("Parameters to add to those that are there.")] = {}

class Settings(Struct, frozen=True, kw_only=True):
    """Changes the path and the query that the upstream sees; routes are chosen by what the client sent."""

    match: Annotated[
        str | None, doc("A regular expression (Python's) for the whole path; other paths stay as they are.")
    ] = None
    to: Annotated[
        str | None,
        doc(
            "The new path, and after a `?` a query in place of the client's. Filled in: `{1}` and `{NAME}`,"
            " the groups"
            " of `match`, and the variables of `headers`."
        ),
    ] = None
    strip: Annotated[str, doc("What to take from the beginning of the path, as whole segments.")] = ""
    prefix: Annotated[str, doc("What to put before the path.")] = ""
    query: Annotated[Query, doc("What happens to the query.")] = Query()

_Settings = Settings

def group_names(pattern: Any) -> dict[str, int]:
    """The names that an expression gives its groups, by number and by name; with each group's number."""

@disjoint_base
class Parameter:
    """A parameter of a query with its template."""

@disjoint_base
class Rewrite(Policy):
    """Changes the target that the upstream sees."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings, parameters: Any = ...) -> None: ...
    @classmethod
    def build(cls, settings: _Settings, scope: Any) -> Rewrite: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
    @staticmethod
    def texts(settings: _Settings) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
        """The templates among the settings; see `Policy`."""
