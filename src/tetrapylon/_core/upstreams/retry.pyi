"""When a request is sent again, and how often all of them may be. Times in seconds."""

from collections.abc import Iterable
from typing import Final

from typing_extensions import disjoint_base

from tetrapylon._core.reactor import Reactor, Timed

CAUSES: Final[dict[str, int]]

@disjoint_base
class Budget:
    """Retries as a share of the requests of the last `window` seconds, and at least `floor` of them."""

    def __init__(self, share: float, *, floor: int = 3, window: float = 10.0) -> None: ...
    def spend(self, requests: int, wanted: int, now: int) -> int:
        """How many of so many retries pass after so many requests at `now`, in ns. Tests count with it."""

@disjoint_base
class Retry:
    """The rules of one upstream. `methods` are those beside the idempotent ones."""

    budget: Final[Budget]

    def __init__(
        self,
        reactor: Reactor,
        *,
        attempts: int = 1,
        on: Iterable[str | int] = ...,
        methods: Iterable[bytes] | None = None,
        patience: float | None = None,
        backoff: float = 0.025,
        budget: float = 0.2,
    ) -> None: ...

@disjoint_base
class Tries(Timed):
    """What an upstream remembers of a request that it sent more than once."""
