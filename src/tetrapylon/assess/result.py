"""What an assessment says, as data: the JSON output, and what text and page are made from."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Assessment", "Log", "Quantile", "Range", "Split"]


class Range(Struct, frozen=True):
    """A value with its 99% interval."""

    value: float
    low: float
    high: float


class Log(Struct, frozen=True, kw_only=True):
    """What was read. `formats`: each with its lines; times in seconds since 1970."""

    files: list[str]
    requests: int
    formats: dict[str, int]
    begins: float | None
    ends: float | None
    without_times: int
    broken: int
    broken_at: list[str]
    impossible: int
    clock_jumps: int
    closed_by_client: int
    upgraded: int
    dropped: int
    notes: list[str]


class Quantile(Struct, frozen=True, kw_only=True):
    """Milliseconds; `share` from 0 to 1. `upstream`, `win` and `share` are None where they cannot be told.

    `win` is what a gateway that took no time at all would win.
    """

    q: float
    total: float
    upstream: float | None = None
    win: Range | None = None
    share: Range | None = None


class Split(Struct, frozen=True, kw_only=True):
    """How users' time divides between gateway and upstreams, of the requests that reached one.

    `cannot_tell` says why there is no share, and `do` what would give one. `resolution` is that of the log's
    clock in milliseconds. `answered_alone`: requests that no upstream saw, whose time is all the gateway's.
    """

    requests: int
    quantiles: list[Quantile]
    all_time: Range | None = None
    cannot_tell: str = ""
    do: str = ""
    resolution: float = 0.0
    answered_alone: int = 0
    answered_alone_ms: float = 0.0
    notes: list[str] = []


class Assessment(Struct, frozen=True, kw_only=True):
    log: Log | None = None
    upstream_log: Log | None = None
    split: Split | None = None
