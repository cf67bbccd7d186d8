from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.amounts import CountedBy, Ipv6Prefix
from tetrapylon.config.model import Config

class Settings(Struct, frozen=True, kw_only=True):
    """So many requests of each key under way at once."""

    limit: int
    key: CountedBy = "client"
    ipv6_prefix: Ipv6Prefix = 64
    name: str | None = None

_Settings: TypeAlias = Settings

@disjoint_base
class Concurrency(Policy):
    """The policy; `place` tells it from others with the same settings."""

    Settings: ClassVar[type[Settings]]

    def __init__(self, settings: _Settings, slab: Slab, place: str) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> Concurrency:
        """For a route of the gateway that `scope` is about."""

    @staticmethod
    def check(settings: _Settings, config: Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """A key of too many parts: path, fault and hint."""
