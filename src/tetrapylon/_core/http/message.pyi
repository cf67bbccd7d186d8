"""What a message is: its events, its limits, and what its head says of its framing (RFC 9112)."""

from typing import Final, final

from typing_extensions import disjoint_base

@final
class Limits:
    """What one head may cost: bytes of its fields, their number, bytes of its target. Trailers too."""

    head: Final[int]
    headers: Final[int]
    target: Final[int]

    def __init__(self, *, head: int = 32768, headers: int = 100, target: int = 8192) -> None: ...

@disjoint_base
class Parser:
    """Bytes of one direction of a connection -> events."""

@disjoint_base
class Backend:
    """Makes parsers."""
