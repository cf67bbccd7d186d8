"""`filter`: methods, paths and queries that a route does not take."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.net import Method

class Settings(Struct, frozen=True, kw_only=True):
    """Refuses requests by their method, path and query."""

    methods: Annotated[
        tuple[Method, ...], doc("The only methods taken, 405 for others; all when left out.")
    ] = ()
    deny_paths: Annotated[
        tuple[str, ...],
        doc(
            "Regular expressions that are looked for in the path, percent-decoded once; what has one is"
            " refused."
        ),
    ] = ()
    deny_queries: Annotated[tuple[str, ...], doc("The same, of the query.")] = ()
    query: Annotated[
        tuple[str, ...] | None, doc("The only names of query parameters that are taken; any when left out.")
    ] = None
    max_parameters: Annotated[int, doc("How many parameters a query has at most.", ge=0, le=100_000)] = 100
    status: Annotated[Literal[400, 403, 404], doc("The status for what is refused by path or query.")] = 403

_Settings = Settings

@disjoint_base
class Filter(Policy):
    """Refuses requests by method, path and query."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ...) -> None: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
