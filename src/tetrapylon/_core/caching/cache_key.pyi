"""What tells one stored response from another."""

from collections.abc import Sequence
from typing import final

from tetrapylon._core.shared.marks import Marks

@final
class CacheKey:
    """Of the requests of one route.

    `place` tells it from other routes; `parts` are what tells apart besides the URI, as in `config.amounts`.
    """

    by_consumer: bool

    def __init__(self, marks: Marks, place: str, parts: Sequence[str] = ()) -> None: ...
