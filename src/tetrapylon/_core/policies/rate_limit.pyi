from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct
from typing_extensions import disjoint_base

from tetrapylon._core.limiting.counted import Counted
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.amounts import CountedBy, Ipv6Prefix, OnFailure, Period, RedisUrl, StoreTimeout, Told
from tetrapylon.config.model import Config

class Settings(Struct, frozen=True, kw_only=True):
    """So many requests in a period, for each key, over all workers of the machine."""

    rate: Period | tuple[Period, ...]
    burst: Annotated[int, Meta(ge=1)] | tuple[Annotated[int, Meta(ge=1)], ...] | None = None
    key: CountedBy = "client"
    ipv6_prefix: Ipv6Prefix = 64
    name: str | None = None
    headers: Told = "always"
    store: Literal["memory", "redis"] = "memory"
    redis: RedisUrl | None = None
    on_failure: OnFailure = "local"
    timeout: StoreTimeout = 0.05

_Settings: TypeAlias = Settings

def windows_of(settings: _Settings) -> list[tuple[float, float, int]]:
    """(requests, seconds, burst) of each rate. Raises ValueError with what is wrong."""

@disjoint_base
class RateLimit(Counted):
    """The policy; `place` tells it from others with the same settings, `batch` asks Redis."""

    Settings: ClassVar[type[Settings]]

    def __init__(self, settings: _Settings, slab: Slab, place: str, batch: Any = None) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> RateLimit:
        """For a route of the gateway that `scope` is about."""

    @staticmethod
    def check(settings: _Settings, config: Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """Rates that cannot be counted, and a store that cannot be used: path, fault and hint."""
