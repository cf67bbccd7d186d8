"""`acl`: what a consumer may do."""

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.identity import Guard
from tetrapylon._core.telemetry.counters import Slab

class Settings(Struct, frozen=True, kw_only=True):
    """Lets consumers through by name, group and scope; list it behind the policies that say who it is."""

    example: ClassVar[str]

    groups: tuple[str, ...] = ...
    consumers: tuple[str, ...] = ...
    deny_groups: tuple[str, ...] = ...
    scopes: tuple[str, ...] = ...

_Settings = Settings

@disjoint_base
class Acl(Guard):
    """Lets consumers through by name, group and scope."""

    Settings: ClassVar[type[_Settings]]
    shared: ClassVar[bool]

    def __init__(self, settings: _Settings, slab: Slab) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> Acl: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
