"""After how long a request is asked of a second target: a percentile of what answers take, as it changes."""

from typing import Final

from typing_extensions import disjoint_base

from tetrapylon._core.reactor import Reactor

@disjoint_base
class Hedge:
    """One upstream's rule, and one worker's knowledge. Times in seconds, shares from 0 to 1.

    `floor`: never sooner. `least`: answers that must have come before it is used.
    """

    after: Final[float]

    def __init__(
        self, reactor: Reactor, *, percentile: float = 0.95, floor: float = 0.002, least: int = 100
    ) -> None: ...
    def feed(self, seconds: list[float]) -> float:
        """As if answers had taken so long; what the percentile is then, in seconds. Tests steer with it."""
