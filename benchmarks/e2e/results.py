"""What the experiment wrote down: rows of plain numbers, kept as JSON, that every table is computed from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .load import Sample


@dataclass(frozen=True)
class System:
    name: str
    title: str
    version: str
    compared: bool


@dataclass(frozen=True)
class Run:
    """One scenario against one system. `steady`: the same processes before and after."""

    round: int
    system: str
    scenario: str
    steady: bool
    sample: Sample


@dataclass(frozen=True)
class Start:
    """Seconds from starting the command to its first answer."""

    round: int
    system: str
    seconds: float


@dataclass(frozen=True)
class Footprint:
    """Bytes of the whole process tree: under load, and what one idle keep-alive connection adds."""

    round: int
    system: str
    processes: int
    pss: int
    rss: int
    per_connection: float
    failures: int


@dataclass(frozen=True)
class Deployment:
    """Seconds from files that are already here to a runnable command, then to its first answer."""

    round: int
    system: str
    install: float
    start: float


@dataclass(frozen=True)
class Stream:
    """One gibibyte through one connection: bytes of memory before, and at most during."""

    system: str
    what: str
    before: int
    peak: int
    seconds: float


@dataclass
class Results:
    meta: dict[str, str | float]
    systems: list[System] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    pairs: list[Run] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    help_seconds: list[float] = field(default_factory=list)

    def save(self, path: Path, bars: list[Mapping[str, Any]]) -> None:
        rows = {**_rounded(asdict(self)), "bars": bars}
        lines = [f"{json.dumps(key)}: {_dump(value)}" for key, value in rows.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        told: dict[str, Any] = json.loads(path.read_text())
        runs = {
            key: [Run(**{**row, "sample": Sample(**row["sample"])}) for row in told[key]]
            for key in ("runs", "pairs")
        }
        return cls(
            meta=told["meta"],
            systems=[System(**row) for row in told["systems"]],
            starts=[Start(**row) for row in told["starts"]],
            footprints=[Footprint(**row) for row in told["footprints"]],
            deployments=[Deployment(**row) for row in told["deployments"]],
            streams=[Stream(**row) for row in told["streams"]],
            help_seconds=told["help_seconds"],
            **runs,
        )


def _dump(value: object) -> str:
    """JSON with one row a line, so that a difference between two commits can be read."""
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(json.dumps(row) for row in value) + "\n]"
    return json.dumps(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
