"""The guard: names the user code that holds the loop, while it does and afterwards."""

from collections.abc import Callable
from typing import Final

from typing_extensions import disjoint_base

from tetrapylon._core.telemetry.counters import Slab

@disjoint_base
class Guard:
    """What runs now; one a process."""

@disjoint_base
class Work:
    """One piece of user code, as operators know it."""

    name: Final[str]

    def __init__(
        self,
        name: str,
        *,
        limit: float = 0.1,
        told: Callable[[Work, float], None] | None = None,
        complains: Callable[[Work, BaseException], None] | None = None,
        slab: Slab | None = None,
    ) -> None:
        """`limit`: seconds of the loop's time at a stretch that pass unremarked; more is `told`."""

def holding() -> tuple[str, float] | None:
    """The user code that holds the loop now, and for how many seconds."""
