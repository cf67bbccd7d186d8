"""The life of a request, stage by stage: target, route, policies, destination, response, end."""

from collections.abc import Callable
from typing import Any, Self

from tetrapylon._core.counters import Slab
from tetrapylon._core.exchange import Destination, Plan, Stages
from tetrapylon._core.log import AccessLog
from tetrapylon._core.message import Limits
from tetrapylon._core.policy import Policy
from tetrapylon._core.reactor import Reactor, Timed
from tetrapylon._core.route import Router
from tetrapylon._core.wire import Via

class Snapshot:
    """What one config means to the data plane. Immutable; swapped whole.

    `router` is frozen and leads to Plans. Times in seconds: `header` from a request's first byte to its last
    field, `body_idle` between two pieces of a body, `keepalive` between two requests, 0 closes after
    each answer.
    `trusts` says of an address as text whether its X-Forwarded-* are believed; None: of nobody.
    """

    def __init__(
        self,
        reactor: Reactor,
        router: Router[Plan],
        *,
        limits: Limits | None = None,
        via: Via | None = None,
        header: float = 10.0,
        body_idle: float = 30.0,
        keepalive: float = 75.0,
        max_connections: int = 10000,
        trusts: Callable[[str], bool] | None = None,
    ) -> None: ...
    @property
    def router(self) -> Router[Plan]: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def max_connections(self) -> int: ...
    @property
    def trusts(self) -> Callable[[str], bool] | None: ...

class Flusher(Timed):
    """Writes the access log out a moment after the first line that waits."""

class Pipeline(Stages):
    """Drives every exchange through its stages; what it comes from and goes to is not its concern."""

    def __new__(
        cls, reactor: Reactor, snapshot: Snapshot, slab: Slab, log: AccessLog | None = None, **more: Any
    ) -> Self: ...
    @property
    def draining(self) -> bool: ...
    def swap(self, snapshot: Snapshot) -> None:
        """Serves by another snapshot from the next request on; exchanges in flight keep theirs."""

def make_plan(
    reactor: Reactor,
    name: str,
    destination: Destination,
    slab: Slab,
    index: int,
    *,
    body_limit: int | None = None,
    body_idle: float | None = None,
    response: float | None = None,
    idle: float | None = None,
    total: float | None = None,
    rewrite: list[bytes | int] | None = None,
    policies: tuple[Policy, ...] = (),
) -> Plan:
    """A route's record: where its requests go and under which limits.

    `index` is the route's in the slab. `body_limit` in bytes, times in seconds, None for no limit. `rewrite`
    is the path in parts: bytes stand for themselves, an integer for the parameter of that index.

    Raises IndexError for a route that the slab has no room for.
    """
