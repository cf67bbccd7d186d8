"""What the benchmarks of users' own Python measured last, one part a command, and the page made of it."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill

import msgspec

__all__ = ["Bar", "record", "render"]

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "benchmarks" / "python-costs.json"
PAGE = ROOT / "docs" / "python-costs.md"
INTRO = """\
# What Python in the gateway costs

Measured by the commands below, which rewrite this page: CPU time (user and system, of all processes of a
system) a request, at 64 connections from wrk on another core, one core for the system. Systems take turns
within a round; a ratio is the median of the rounds' own, its spread beside it.

On a shared machine a ratio moves by more than that from one hour to another: in three runs, of builds that
lie 6% of their instructions apart, a GET was 0.42, 0.53 and 0.54 of Go's and 0.56, 0.36 and 0.37 of
Granian's. The table has the last.
"""


class Bar(msgspec.Struct, frozen=True):
    """A ratio that was agreed on, and what it was in each round."""

    title: str
    most: float
    ratios: tuple[float, ...]
    unit: str = "x"

    @property
    def value(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool:
        return self.value <= self.most

    def __str__(self) -> str:
        spread = f"{min(self.ratios):.3f} to {max(self.ratios):.3f}"
        said = "met" if self.met else "NOT MET"
        return f"{self.title}: {self.value:.3f} {self.unit} ({spread}): bar {self.most:.3f} {said}"


class Part(msgspec.Struct, frozen=True):
    """One command's last run."""

    title: str
    command: str
    day: str
    machine: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[Bar, ...]
    note: str = ""


def record(
    name: str,
    title: str,
    command: str,
    costs: Mapping[tuple[str, str], Sequence[float]],
    bars: Sequence[Bar],
    note: str = "",
) -> None:
    """Takes the place of what `command` measured before. `costs`: by system and scenario, microseconds."""
    systems = list(dict.fromkeys(system for system, _ in costs))
    scenarios = list(dict.fromkeys(scenario for _, scenario in costs))
    rows = tuple(
        (
            system,
            *(
                f"{statistics.median(costs[system, scenario]):.1f}" if (system, scenario) in costs else ""
                for scenario in scenarios
            ),
        )
        for system in systems
    )
    python = f"Python {platform.python_version()}"
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {python}"
    parts = _parts()
    parts[name] = Part(
        title,
        command,
        datetime.now(UTC).date().isoformat(),
        machine,
        ("us a request", *scenarios),
        rows,
        tuple(bars),
        note,
    )
    DATA.write_bytes(msgspec.json.format(msgspec.json.encode(parts), indent=1) + b"\n")
    PAGE.write_text(render(parts))


def _parts() -> dict[str, Part]:
    return msgspec.json.decode(DATA.read_bytes(), type=dict[str, Part]) if DATA.exists() else {}


def render(parts: Mapping[str, Part] | None = None) -> str:
    """The page, of what is recorded unless `parts` are given."""
    lines = [INTRO]
    for _, part in sorted((_parts() if parts is None else parts).items()):
        lines += [f"## {part.title}\n", f"`{part.command}`, {part.day}: {part.machine}.\n"]
        lines += [_row(part.columns), _row(["---", *["--:"] * (len(part.columns) - 1)])]
        lines += [*map(_row, part.rows), ""]
        lines += [_row(["ratio", "measured", "spread", "bar", ""]), _row(["---", "--:", "--:", "--:", "---"])]
        for bar in part.bars:
            spread = f"{min(bar.ratios):.3f} to {max(bar.ratios):.3f}"
            unit = "" if bar.unit == "x" else f" {bar.unit}"
            cells = [bar.title, f"{bar.value:.3f}{unit}", spread, f"{bar.most:.3f}{unit}"]
            lines.append(_row([*cells, "met" if bar.met else "**not met**"]))
        lines += ["", *([fill(part.note, 118), ""] if part.note else [])]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
