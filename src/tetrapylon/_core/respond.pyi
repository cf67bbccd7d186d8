"""What the gateway answers by itself: fixed responses, and its own errors (RFC 9457, RFC 9209)."""

from collections.abc import Iterable

from tetrapylon._core.exchange import Destination

class Answer(Destination):
    """One fixed response; Content-Length and Date are added.

    `headers` are names and values. `location` is a Location in parts: bytes stand for themselves, an integer
    for the route's parameter of that index, as the client sent it.
    """

    def __init__(
        self,
        status: int,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        location: list[bytes | int] | None = None,
    ) -> None: ...
