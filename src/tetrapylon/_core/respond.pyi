"""What the gateway answers by itself."""

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination

@disjoint_base
class Answer(Destination):
    """One fixed response.

    `headers` are (name, value) pairs; Content-Length and Date are added. `location` adds a Location field:
    bytes, and indices of the path's parameters, in turn.
    """

    def __init__(
        self,
        status: int,
        *,
        headers: list[tuple[bytes, bytes]] = ...,
        body: bytes = b"",
        location: list[bytes | int] | None = None,
    ) -> None: ...
