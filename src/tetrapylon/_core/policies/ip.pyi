"""`ip`: which addresses may come in."""

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.identity import Guard
from tetrapylon._core.telemetry.counters import Slab

class Settings(Struct, frozen=True, kw_only=True):
    """Lets requests in by the client's address: the most specific network that holds it decides."""

    example: ClassVar[str]

    allow: tuple[str, ...] = ...
    deny: tuple[str, ...] = ...

_Settings = Settings

@disjoint_base
class Ip(Guard):
    """Lets requests in by the client's address."""

    Settings: ClassVar[type[_Settings]]
    shared: ClassVar[bool]

    def __init__(self, settings: _Settings, slab: Slab) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> Ip: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
