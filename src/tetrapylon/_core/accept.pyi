"""Listeners: which clients may connect, and who they are."""

import socket
from typing import Final

from typing_extensions import disjoint_base

from tetrapylon._core.net.tls import Tls
from tetrapylon._core.reactor import Handle, Reactor, Timed
from tetrapylon._core.stages import Pipeline, Snapshot
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.telemetry.log import AccessLog

MOST_UNSENT: Final = 262144
"""Bytes to a client that the kernel takes beyond what the network has taken (TCP_NOTSENT_LOWAT)."""

@disjoint_base
class Acceptor(Pipeline):
    """The pipeline with its listeners."""

    connections: Final[int]
    """Client connections open now."""

    def __init__(
        self, reactor: Reactor, snapshot: Snapshot, slab: Slab, log: AccessLog | None = None
    ) -> None: ...
    @property
    def active(self) -> int:
        """Client connections still open, tunnels among them."""

    def listen(
        self, sock: socket.socket, *, tls: Tls | None = None, proxy_protocol: bool = False
    ) -> Listener:
        """Accepts connections from a listening, non-blocking socket; its descriptor stays the caller's.

        `tls`: each begins with a handshake. `proxy_protocol`: each begins with a PROXY header, version 1 or 2
        and is closed if it has none.
        """

    def stop_listening(self, listener: Listener) -> None:
        """Takes what is queued already, then no more from this one. Connections live on."""

@disjoint_base
class Listener(Handle):
    """A listening socket."""

    def change(self, *, tls: Tls | None = None, proxy_protocol: bool = False) -> None:
        """What connections accepted from now on speak."""

@disjoint_base
class Patience(Timed):
    """The deadline of a connection that has to announce itself."""

@disjoint_base
class Announced(Handle):
    """An accepted connection before its PROXY header is complete."""
