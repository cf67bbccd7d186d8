"""`record`: a sample of the requests, as they came, goes to a file."""

import time as time
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, Self, type_check_only

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy

@type_check_only
class Outbox(Protocol):
    """What takes requests; it must not raise."""

    def record(self, request: tuple[Any, ...]) -> None:
        """Route, time (s since the epoch), method, target, fields, body or None, whether a body was left out,
        and the status that the client was told, 0 for none."""

class Settings(Struct, frozen=True, kw_only=True):
    """Writes a sample of the requests, redacted, to the file that `record` names, to be sent again."""

    sample: float = 0.01
    body: int = 65536

_Settings = Settings

@disjoint_base
class Taken:
    """One request on its way to the file."""

@disjoint_base
class Record(Policy):
    """Sees the requests as they are where it stands in the list: first of all, as they came."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings, route: str, outbox: Outbox) -> None: ...
    @classmethod
    def build(cls, settings: _Settings, scope: Any) -> Self: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str, ...], str, str]]: ...
