from collections.abc import Iterable
from typing import final

@final
class Fields:
    """What responses tell of windows, each `(name, quota, seconds)`.

    `headers` says when: `always`, `refused` or `never`.

    Raises ValueError for a name of more than 64 characters.
    """

    def __new__(cls, windows: Iterable[tuple[str, int, int]], headers: str) -> Fields: ...
