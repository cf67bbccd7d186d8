"""`mirror`: a share of the requests goes to a second upstream, too."""

from collections.abc import Iterator
from random import random as random
from typing import Any, ClassVar, Self

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Plan
from tetrapylon._core.policy import Policy
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.upstreams.call import CallStages
from tetrapylon._core.upstreams.copies import Copy

class Settings(Struct, frozen=True, kw_only=True):
    """Sends a copy of a share of the requests to a second upstream, whose answers nobody waits for."""

    upstream: str
    share: float = 1.0
    in_flight: int = 64
    body: int = 65536
    timeout: float = 5.0

_Settings = Settings

@disjoint_base
class Mirrored(Copy):
    """One request on its way to the second upstream."""

@disjoint_base
class Mirror(Policy):
    """A share of the requests goes to a second upstream, too; its answers are thrown away."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings, stages: CallStages, plan: Plan, slab: Slab) -> None: ...
    @classmethod
    def build(cls, settings: _Settings, scope: Any) -> Self: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str, ...], str, str]]: ...
