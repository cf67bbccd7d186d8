"""`validate`: requests, and answers, that are not what was agreed."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, Self

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Filter
from tetrapylon._core.policy import Policy
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.schemas import Agreed
from tetrapylon.messages.validation import Checks

class Settings(Struct, frozen=True, kw_only=True):
    """Holds requests, and answers if wanted, to types of yours, to JSON Schemas or to an OpenAPI document."""

    body: Agreed | None = None
    query: Agreed | None = None
    headers: Agreed | None = None
    cookies: Agreed | None = None
    path: Agreed | None = None
    openapi: str | None = None
    operation: str | None = None
    required: bool = True
    content_types: tuple[str, ...] = ()
    limit: int = 1048576
    answers: Literal["pass", "report", "enforce"] = "pass"
    responses: dict[str, Agreed] = {}

_Settings = Settings

@disjoint_base
class Validate(Policy):
    """Refuses requests that are not what was agreed; reports or refuses such answers."""

    Settings: ClassVar[type[_Settings]]

    def __init__(
        self,
        settings: _Settings,
        checks: Checks,
        slab: Slab,
        *,
        tell: Callable[[str, int, list[dict[str, str]]], None],
        broke: Callable[[BaseException], None],
    ) -> None:
        """`tell` is given the route, the status and the errors of each answer that is not what was agreed.

        `broke` is given what a type of the user's raised: such a request, or answer, is refused with 500.
        """
    @classmethod
    def build(cls, settings: _Settings, scope: Any) -> Self:
        """Raises LoadError."""
    @staticmethod
    def resolve(settings: _Settings) -> _Settings:
        """With the content of the files that they name. Raises ValueError."""
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str, ...], str, str]]: ...

@disjoint_base
class Reading(Filter):
    """Listens in on an answer that streams by."""
