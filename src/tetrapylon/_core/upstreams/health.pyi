"""Passive health and circuit breakers: rules over what the board knows. Times in seconds."""

from typing_extensions import disjoint_base

@disjoint_base
class Health:
    """When a target is ejected because of how it answers; a rule with 0 is none."""

    def __init__(
        self,
        *,
        consecutive: int = 0,
        failure_rate: float = 0.0,
        latency: float = 0.0,
        least: int = 20,
        window: float = 10.0,
        eject: float = 30.0,
        longest: float = 300.0,
        max_ejected: float = 0.5,
    ) -> None: ...

@disjoint_base
class Breaker:
    """Closed, open, half open; a rule with 0 is none."""

    def __init__(
        self,
        *,
        failure_rate: float = 0.5,
        slow_rate: float = 0.0,
        slow: float = 1.0,
        least: int = 20,
        window: float = 10.0,
        open: float = 5.0,
        trials: int = 3,
    ) -> None: ...
