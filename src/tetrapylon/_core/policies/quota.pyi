from collections.abc import Iterator
from typing import Any, ClassVar, Literal, TypeAlias

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.limiting.counted import Counted
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.amounts import CountedBy, Ipv6Prefix, OnFailure, RedisUrl, StoreTimeout, Told
from tetrapylon.config.model import Config

class Settings(Struct, frozen=True, kw_only=True):
    """So many requests of each key in a calendar day or month."""

    limit: int
    per: Literal["day", "month"] = "day"
    key: CountedBy = "consumer"
    ipv6_prefix: Ipv6Prefix = 64
    name: str | None = None
    headers: Told = "always"
    store: Literal["file", "redis", "memory"] = "file"
    path: str = "quota.sqlite"
    redis: RedisUrl | None = None
    on_failure: OnFailure = "local"
    timeout: StoreTimeout = 0.05

def end_of(per: str, today: int) -> int:
    """The day (since 1970) on which the day's or month's period is over."""

_Settings: TypeAlias = Settings

@disjoint_base
class Quota(Counted):
    """The policy; `place` tells it from others with the same settings, `batch` asks Redis."""

    Settings: ClassVar[type[Settings]]

    def __init__(self, settings: _Settings, slab: Slab, place: str, batch: Any = None) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> Quota:
        """For a route of the gateway that `scope` is about."""

    @staticmethod
    def check(settings: _Settings, config: Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """A store that cannot be used: path, fault and hint."""

    def recall(self) -> None:
        """Takes up what the file knows."""
