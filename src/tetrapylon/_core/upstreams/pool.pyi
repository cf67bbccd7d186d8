"""One HTTP/1.1 connection to a target, and the pool that it belongs to."""

from typing import Final, final

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination, Sink
from tetrapylon._core.reactor import Timed
from tetrapylon._core.stream import Connection

@disjoint_base
class Pool(Destination):
    """What the connections of an upstream share."""

    name: Final[str]
    connections: Final[int]
    active: Final[int]

@final
class UpstreamConnection(Connection):
    """One HTTP/1.1 connection to a target."""

@final
class HedgeTimer(Timed):
    """When a request is asked of a second target."""

@final
class Requester(Sink):
    """An exchange's view of an upstream connection."""
