"""What passes between the supervisor and the child that reads a config for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tetrapylon.config.diff import Changes
from tetrapylon.config.model import ErrorLog
from tetrapylon.processes.channel import content_of

__all__ = ["Facts", "Finding", "Paper", "Reader", "Sought", "overflow_told", "read_finding"]


class Facts(msgspec.Struct, frozen=True):
    """What the supervisor needs to know of a config."""

    listen: list[str]
    """As `net.listener_keys` has them."""
    tls: list[str] = []
    """Those of `listen` that speak TLS."""
    admin: str | None = None
    admin_tls: bool = False
    workers: int = 1
    errors: ErrorLog = ErrorLog()
    """Where events go."""
    drain: float = 30.0
    """Seconds that exchanges in flight are given to finish."""
    shutdown_delay: float = 0.0
    """Seconds before that, after TERM."""
    descriptors: int = 0
    """How many a worker may come to need."""
    room: int = 1
    """For how many routes' counters there is room."""
    follows: bool = False
    """While it serves, targets are found, answers compared or moves steered: there is work without an admin
    address, too."""
    apps: list[str] = []
    """Those that are hosted, in processes of their own."""


class Sought(msgspec.Struct, frozen=True):
    """Where a config is looked for: its files, and the patterns by which there may be more."""

    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """What came of reading a config: `facts`, or `problems`."""

    facts: Facts | None = None
    problems: list[Any] = []
    sought: Sought = Sought()
    changes: Changes = Changes()
    """From the config in force."""
    same: bool = False
    """It is the config in force, to the last byte."""
    restart: list[str] = []
    """Changed settings that take effect with a restart, and no sooner."""
    overflow: int = 0
    """Routes that found no counters of their own."""
    goes_on: bool = False
    """The table of slots continues that of the supervisor before."""
    shares: dict[str, float] = {}
    """Of routes that move, as `destinations.moves.slot_of` calls them: what their file says."""


class Paper(NamedTuple):
    """The files in memory by which a reader of a config is told what it needs, and tells what it found."""

    config: int
    """To be written: the config, encoded."""
    finding: int
    """To be written: a Finding."""
    slots: int
    """The table of slots, to be added to."""
    room: int = 0
    """How many slots there can be; 0: as seems right for the config."""
    running: int = -1
    """The config in force; -1 at the start."""
    back: int = -1
    """An earlier config, to be taken in place of the source's; -1 for the source's."""


Reader: TypeAlias = Callable[[Paper], int]
"""Returns the exit status."""


def overflow_told(routes: int) -> str:
    return f"{routes} routes share the series of the route `other`: there is no room for more of their own"


def read_finding(file: int) -> Finding:
    return msgspec.msgpack.decode(content_of(file), type=Finding)
