"""TLS on the reactor's own sockets, by Python's ssl module."""

import ssl
from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import disjoint_base

from tetrapylon._core.stream import SocketStream

@disjoint_base
class Window:
    """A stretch of memory, lent to the ssl module for the length of a call."""

@disjoint_base
class Tls:
    """What the TLS connections of one listener, or to one target, have in common.

    With a `server_name` it is for connections to a target whose certificate is held to that name. The subject
    of a client's certificate goes to upstreams in `subject_header`, unless that is None.
    """

    context: ssl.SSLContext
    """That of handshakes from now on."""
    server_side: Final[bool]
    server_name: Final[str | None]
    subject_header: Final[bytes | None]

    def __init__(
        self, context: ssl.SSLContext, *, server_name: str | None = None, subject_header: bytes | None = None
    ) -> None: ...

def spell_subject(names: Sequence[Any]) -> bytes:
    """A subject as `ssl.SSLObject.getpeercert` has it -> RFC 4514 text, printable ASCII alone."""

@disjoint_base
class TlsStream(SocketStream):
    """A socket that speaks TLS."""

    subject: Final[bytes | None]
