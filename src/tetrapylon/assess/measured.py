"""What gateways cost, as this project's benchmarks measured them side by side."""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec

__all__ = ["Figures", "Measured", "measured"]


class Measured(msgspec.Struct, frozen=True):
    """CPU time to a proxied request in microseconds and memory under load in bytes, medians.

    `ratios`: of CPU time, over that of each other system in the same round: median, lowest, highest.
    """

    title: str
    written_in: str
    cpu_us: float
    memory: float
    ratios: dict[str, tuple[float, float, float]]


class Figures(msgspec.Struct, frozen=True):
    source: str
    date: str
    machine: str
    what: str
    systems: dict[str, Measured]


@cache
def measured() -> Figures:
    data = resources.files("tetrapylon.assess").joinpath("measured.json").read_bytes()
    return msgspec.json.decode(data, type=Figures)
