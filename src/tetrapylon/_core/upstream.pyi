"""Connections to upstreams: pool, choice of a target, connect, reuse, replay."""

from collections.abc import Iterable

from tetrapylon._core.counters import Slab
from tetrapylon._core.exchange import Destination, Sink
from tetrapylon._core.message import Limits
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.stream import Connection
from tetrapylon._core.wire import Via

class Address:
    """A socket address, ready for connect(2). Two of the same text are equal."""

    @property
    def text(self) -> str:
        """`127.0.0.1:80`, `[::1]:80` or `unix:/path`."""
    @staticmethod
    def ip(host: str, port: int, scope: int = 0) -> Address:
        """An IPv4 or IPv6 address in text form. Raises ValueError for anything else."""
    @staticmethod
    def unix(path: str) -> Address:
        """A Unix socket. Raises ValueError when the path is longer than 107 bytes."""
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

class Target:
    """One server of an upstream: its addresses, all used in turn, and its idle connections.

    `host` is what is sent as Host where the upstream says so. `weight` is its share, 1 or more.
    """

    def __init__(
        self, name: str, *, host: bytes, weight: int = 1, addresses: Iterable[Address] = ()
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> int: ...
    @property
    def addresses(self) -> list[Address]: ...
    @property
    def connections(self) -> int:
        """Open, idle ones included."""
    def set_addresses(self, addresses: list[Address]) -> None:
        """Replaces the addresses; connections that are open stay."""

class Upstream(Destination):
    """A group of targets with one pool of connections; smooth weighted round robin between them.

    `host` None sends the client's Host on, b"" the target's own, other bytes themselves. Times in seconds:
    `connect` for a connection to come up, `wait` for one to become free, `idle` until an unused one closes,
    0 keeps none. `max_connections` are open at most, and `max_pending` exchanges wait for one.
    """

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
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def targets(self) -> list[Target]: ...
    @property
    def connections(self) -> int:
        """Open, idle ones included."""
    @property
    def pending(self) -> int:
        """Exchanges that wait for a connection."""
    def close(self) -> None:
        """Drops the idle connections; those in use end with their exchange."""

class UpstreamConnection(Connection):
    """One HTTP/1.1 connection to a target."""

class Requester(Sink):
    """An exchange's view of an upstream connection."""
