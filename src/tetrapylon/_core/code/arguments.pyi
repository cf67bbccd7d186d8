"""From a request to the arguments of a handler."""

from collections.abc import Callable
from typing import Any, Final, Literal

from typing_extensions import disjoint_base

@disjoint_base
class BadArgument(Exception):
    """What does not fit."""

    status: Final[int]
    place: Final[str]
    name: Final[str]
    detail: Final[str]
    def __init__(self, status: int, place: str, name: str, detail: str) -> None: ...

def told(error: Exception) -> tuple[str, str]:
    """What msgspec says is wrong, and of which field: `items[0].n`; empty for all of it."""

@disjoint_base
class Argument:
    """One parameter, and how a request fills it; see `tetrapylon.handler.Parameter`."""

    name: Final[str]
    def __init__(
        self,
        name: str,
        place: Literal["path", "query", "header", "cookie", "body", "request"],
        kind: Literal["text", "int", "float", "bool", "type", "bytes"],
        *,
        key: str | None = None,
        index: int = 0,
        type: Any = None,
        many: bool = False,
        required: bool = True,
        default: Any = None,
        factory: Callable[[], Any] | None = None,
    ) -> None: ...
