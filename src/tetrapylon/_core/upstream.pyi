"""Connections to targets: pool, pick, connect, reuse, replay."""

from typing import Final, final

from typing_extensions import disjoint_base

from tetrapylon._core.address import Address
from tetrapylon._core.counters import Slab
from tetrapylon._core.exchange import Destination, Sink
from tetrapylon._core.lifetime import Lifetime
from tetrapylon._core.message import Limits
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.stream import Connection
from tetrapylon._core.tls import Tls
from tetrapylon._core.wire import Additions, Via

@disjoint_base
class Target:
    """One server of an upstream. `host` is what `Host` says where it is to name the target."""

    name: Final[str]
    weight: Final[int]
    tls: Final[Tls | None]
    addresses: Final[list[Address]]
    connections: Final[int]

    def __init__(
        self,
        name: str,
        *,
        host: bytes,
        weight: int = 1,
        addresses: list[Address] = ...,
        tls: Tls | None = None,
    ) -> None: ...
    def set_addresses(self, addresses: list[Address]) -> None:
        """Replaces the addresses; connections that are open stay."""

@final
class Upstream(Destination):
    """A group of targets with one pool of connections. Times in seconds; `idle` 0 keeps no connection.

    `host` None sends the client's Host on, b"" the target's own, other bytes themselves.
    """

    name: Final[str]
    targets: Final[list[Target]]
    connections: Final[int]

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
    ) -> None: ...
    @property
    def pending(self) -> int:
        """Exchanges that wait for a connection."""

    def close(self) -> None:
        """Drops the idle connections; those in use end with their exchange."""

@final
class UpstreamConnection(Connection):
    """One HTTP/1.1 connection to a target."""

@final
class Requester(Sink):
    """An exchange's view of an upstream connection."""
