"""Client connections."""

from collections.abc import Iterable
from typing import Protocol, final

from typing_extensions import disjoint_base

from tetrapylon._core.accept import Acceptor
from tetrapylon._core.exchange import Sink
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.stages import Snapshot
from tetrapylon._core.stream import Connection, StreamProtocol
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.telemetry.log import AccessLog

class _Closes(Protocol):
    def close(self) -> None: ...

@disjoint_base
class Gateway(Acceptor):
    """The pipeline with its client connections. `closing` is closed with it."""

    def __init__(
        self,
        reactor: Reactor,
        snapshot: Snapshot,
        slab: Slab,
        log: AccessLog | None = None,
        *,
        closing: Iterable[_Closes] = (),
    ) -> None: ...
    def protocol_factory(self) -> StreamProtocol:
        """A protocol for one client connection: `loop.create_server(gateway.protocol_factory, ...)`."""

    def drain(self, patience: float = 0.0) -> None:
        """Serves what has arrived, accepts no more, and closes connections after their next answer.

        Idle ones are closed after `patience` s: a request may be on its way already, to be lost otherwise.
        """

    def close(self) -> None:
        """Cuts what is left, writes out what is buffered, and leaves the loop."""

    def reopen_logs(self) -> None:
        """Opens log files anew by name, after they were moved away."""

@final
class DownstreamConnection(Connection):
    """One client connection, HTTP/1."""

@final
class ClientSide(Sink):
    """An exchange's view of a client connection."""
