"""Which content coding a client gets (RFC 9110 section 12.5.3)."""

from typing import Final

CODINGS_BY_NAME: Final[dict[str, int]]
NAMES: Final[dict[int, str]]

def negotiate(accept: str | None, offered: tuple[str, ...]) -> str:
    """The coding for an `Accept-Encoding` (None: there is none), of those offered, the preferred one first.

    `identity` where the client prefers that, and where it takes none of them.
    """
