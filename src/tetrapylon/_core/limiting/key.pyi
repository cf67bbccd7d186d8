from collections.abc import Sequence
from typing import final

@final
class Key:
    """What is counted apart: `client`, `consumer`, `route` or `header:NAME`, up to eight of them together.

    `limit` names whose key it is; IPv6 clients that share `prefix` bits are one. Raises ValueError.
    """

    limit: int
    parts: int

    def __new__(cls, parts: Sequence[str], limit: str, prefix: int = 64) -> Key: ...
