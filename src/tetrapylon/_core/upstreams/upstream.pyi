"""Upstreams: which target gets a request, when, and what becomes of it when that one fails."""

from collections.abc import Callable
from typing import Final, final

from typing_extensions import disjoint_base

from tetrapylon._core.http.message import Limits
from tetrapylon._core.http.wire import Additions, Via
from tetrapylon._core.lifetime import Lifetime
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.upstreams.balance import Balancer
from tetrapylon._core.upstreams.health import Breaker, Health
from tetrapylon._core.upstreams.hedge import Hedge
from tetrapylon._core.upstreams.limiter import Limiter
from tetrapylon._core.upstreams.pool import Pool
from tetrapylon._core.upstreams.retry import Retry
from tetrapylon._core.upstreams.target import Target

@disjoint_base
class Tier:
    """Targets that are asked alike."""

@final
class Upstream(Pool):
    """A group of targets with one pool of connections. Times in seconds; `idle` 0 keeps no connection.

    `host` None sends the client's Host on, b"" the target's own, other bytes themselves. `tell` is called
    with a target's name ("": all of them), what became of it and why.
    """

    targets: Final[list[Target]]

    def __init__(
        self,
        reactor: Reactor,
        name: str,
        targets: list[Target],
        via: Via,
        *,
        slab: Slab,
        host: bytes | None = None,
        connect: float = 2.0,
        wait: float = 5.0,
        idle: float = 55.0,
        max_connections: int = 256,
        max_pending: int = 1024,
        limits: Limits | None = None,
        additions: Additions | None = None,
        lifetime: Lifetime | None = None,
        balancer: Balancer | None = None,
        health: Health | None = None,
        breaker: Breaker | None = None,
        main_breaker: Breaker | None = None,
        limiter: Limiter | None = None,
        retry: Retry | None = None,
        hedge: Hedge | None = None,
        panic: float = 0.0,
        slow_start: float = 0.0,
        zone: str = "",
        deadline_header: bytes | None = None,
        tell: Callable[[str, str, str], None] | None = None,
    ) -> None: ...
    def set_targets(self, targets: list[Target]) -> None:
        """Other targets from now on; those that are gone finish what they have begun."""

    def touch(self) -> None:
        """Tells the board that these targets are there. Now and then."""

    @property
    def usable(self) -> list[str]:
        """The names of the targets that may be given a request now."""

    @property
    def pending(self) -> int:
        """Exchanges that wait for a connection."""

    def close(self) -> None:
        """Drops the idle connections; those in use end with their exchange."""
