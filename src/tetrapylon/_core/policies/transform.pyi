"""`transform`: JSON bodies rewritten by config, on the way in and on the way out."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.code.json_edit import make_edit as make_edit
from tetrapylon._core.code.json_edit import split as split
from tetrapylon._core.policy import Policy
from tetrapylon.config.changes import Change

class Settings(Struct, frozen=True, kw_only=True):
    """Rewrites JSON: requests before the upstream sees them, answers with 2xx before the client does."""

    request: Change | None = None
    response: Change | None = None
    other: Literal["pass", "refuse"] = "pass"
    limit: int = 1048576

_Settings = Settings

def pieces(text: str) -> list[str | tuple[bytes, ...]]:
    """The pieces of a string in a template: texts, and paths as tuples. Raises ValueError."""

@disjoint_base
class Rewriting:
    """A Change, compiled."""

    def __init__(self, change: Change) -> None: ...

@disjoint_base
class Transform(Policy):
    """Rewrites JSON bodies."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings) -> None: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
