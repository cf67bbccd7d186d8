"""The life of a request, stage by stage."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination, Plan, Stages
from tetrapylon._core.http.message import Limits
from tetrapylon._core.http.pages import Pages
from tetrapylon._core.http.wire import Via
from tetrapylon._core.lifetime import Lifetime
from tetrapylon._core.policy import Policy
from tetrapylon._core.reactor import Reactor, Timed
from tetrapylon._core.routing.route import Router
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.telemetry.log import AccessLog

@disjoint_base
class Snapshot:
    """What one config means to the data plane; immutable. Times in seconds; `keepalive` 0 closes each time.

    `router` is frozen and leads to Plans. `trusts` tells whose X-Forwarded-* are believed, by address. No
    client may set fields called as in `reserved`. `pages` are the config's own error bodies. `stamps` are
    policies that mark the answers to requests without a route.
    """

    router: Final[Router[Plan]]
    limits: Final[Limits]
    max_connections: Final[int]
    max_connections_per_client: Final[int]
    reserved: Final[tuple[bytes, ...]]
    pages: Final[Pages | None]
    trusts: Final[Callable[[str], bool] | None]
    stamps: Final[tuple[Policy, ...]]

    def __init__(
        self,
        reactor: Reactor,
        router: Router[Plan],
        *,
        limits: Limits | None = None,
        via: Via | None = None,
        header: float = 10.0,
        handshake: float = 5.0,
        body_idle: float = 30.0,
        keepalive: float = 75.0,
        max_connections: int = 10000,
        max_connections_per_client: int = 0,
        lifetime: Lifetime | None = None,
        trusts: Callable[[str], bool] | None = None,
        reserved: Iterable[bytes] = (),
        pages: Pages | None = None,
        stamps: Iterable[Policy] = (),
    ) -> None: ...

def make_plan(
    reactor: Reactor,
    name: str,
    destination: Destination,
    slab: Slab,
    index: int,
    *,
    body_limit: int | None = None,
    body: float | None = None,
    body_idle: float | None = None,
    response: float | None = None,
    idle: float | None = None,
    total: float | None = None,
    tunnel: float | None = None,
    rewrite: list[bytes | int] | None = None,
    policies: tuple[Any, ...] = (),
    parameters: tuple[str, ...] = (),
    lease: object = None,
    priority: int = 1,
    sample: float | None = None,
) -> Plan:
    """A route's record: where its requests go, under which limits. Times in seconds, None for no limit.

    `lease` is let go with the record, after the last exchange that was begun by it. `sample` is the share of
    its answers that is logged, None for that of the log.
    """

@disjoint_base
class Flusher(Timed):
    """Writes the access log out a moment after its first waiting line."""

@disjoint_base
class Pipeline(Stages):
    """Drives every exchange through its stages, in order."""

    draining: Final[bool]

    def __init__(
        self, reactor: Reactor, snapshot: Snapshot, slab: Slab, log: AccessLog | None = None
    ) -> None: ...
    def swap(self, snapshot: Snapshot) -> None:
        """Serves by another snapshot from the next request on; exchanges in flight keep their plans."""

    def write_to(self, log: AccessLog | None) -> None:
        """Logs to another log from the next line on. The old one is the caller's to close."""
