"""Bodies of one's own for the errors that the gateway answers with, chosen by status and Accept."""

from collections.abc import Iterable
from typing import Final

from typing_extensions import disjoint_base

VARIABLE: Final[object]
CONTROLS: Final[object]
QUALITY: Final[object]
VARIABLES: Final[tuple[str, ...]]
"""What may stand in braces in a page; all else in it is as it is."""

@disjoint_base
class Page:
    """One body, for some statuses and one media type. Values are escaped as the type asks for."""

    statuses: frozenset[int]
    content_type: bytes
    def __init__(self, type: str, body: str, *, statuses: Iterable[int] = ()) -> None:
        """For every status, unless `statuses` says which."""

@disjoint_base
class Pages:
    """All of a config's, in its order, which decides between those that a client likes alike."""

    def __init__(self, pages: Iterable[Page]) -> None: ...

def parse_accept(accept: bytes) -> list[tuple[bytes, bytes, float]]:
    """(type, subtype, quality) of what can be read of an Accept field (RFC 9110, 12.5.1)."""
