"""`mtls`: whose certificate a client has shown."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from typing_extensions import disjoint_base

from tetrapylon._core.identity import Identity, Known
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.model.credentials import Identifies

class Settings(Identifies, frozen=True, kw_only=True):
    """Knows the consumer by the subject of its client certificate."""

    example: ClassVar[str]

    allow: tuple[str, ...] = ...
    name: str = ...

_Settings = Settings

@disjoint_base
class Mtls(Identity):
    """Knows consumers by the subjects of their certificates."""

    Settings: ClassVar[type[_Settings]]
    shared: ClassVar[bool]

    def __init__(self, settings: _Settings, slab: Slab, find: Callable[[str], Known | None]) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> Mtls: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
    @staticmethod
    def vouches(settings: Identifies) -> list[str]: ...
