"""Why a request takes the route it takes."""

from types import GenericAlias
from typing import Any, Generic, TypeVar, final

from tetrapylon._core.routing.route import Route

_T_co = TypeVar("_T_co", covariant=True)

@final
class Candidate(Generic[_T_co]):
    """A route, and what becomes of it."""

    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    @property
    def route(self) -> Route[_T_co]: ...
    @property
    def wins(self) -> bool: ...
    @property
    def reason(self) -> str:
        """What keeps the request from the route, or that the route takes it: one clause."""

def explain(
    routes: list[Route[_T_co]], method: str, path: str, host: str, headers: dict[str, str], limit: int
) -> list[Candidate[_T_co]]:
    """What `Router.explain` answers; here `path` is normal, `host` bare and header names are lower-case."""
