"""What was found out about some bytes, kept until it ends, in bounded memory."""

from typing import Any, Final

from typing_extensions import disjoint_base

@disjoint_base
class Memo:
    """Values by bytes, each with an end. When it is full, one goes that was not asked for lately."""

    count: Final[int]
    """How many it holds, those included that are over and were not asked for since."""
    most: Final[int]

    def __init__(self, most: int) -> None:
        """Keeps at most `most`, which is at least 1. Raises ValueError."""

    def get(self, key: bytes, now: float) -> Any:
        """What is known of `key` at the time `now`, in seconds of the monotonic clock; None: nothing."""

    def set(self, key: bytes, value: object, ends: float) -> None:
        """Keep `value` until `ends`, in seconds of the monotonic clock. Raises MemoryError."""

    def clear(self) -> None:
        """Forget everything."""
