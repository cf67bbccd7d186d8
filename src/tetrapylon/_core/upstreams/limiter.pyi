"""The adaptive concurrency limit of an upstream."""

from typing import Final

from typing_extensions import disjoint_base

@disjoint_base
class Limiter:
    """Grows while requests take as long as at best, shrinks beyond `tolerance` times that."""

    limit: Final[float]

    def __init__(
        self, *, least: float = 4.0, most: float = 256.0, initial: float = 16.0, tolerance: float = 1.5
    ) -> None: ...
    def feed(self, seconds: float, count: int = 32, active: float = 1e9, good: bool = True) -> float:
        """As if so many requests had taken so long; the limit then. Tests steer with it."""
