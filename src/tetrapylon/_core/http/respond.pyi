"""What the gateway answers by itself."""

from collections.abc import Iterable
from typing import Final

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

@disjoint_base
class Refusal(Destination):
    """A policy's no: problem+json (RFC 9457) with `Proxy-Status` (RFC 9209).

    `reason` is its name in the log and in counters, `error` the type that Proxy-Status gives.
    """

    status: Final[int]

    def __init__(
        self,
        status: int,
        reason: str,
        title: str,
        detail: str,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
        error: str = "http_request_denied",
    ) -> None: ...
