"""What `python -m benchmarks.assess` found, as the table of docs/assess.md."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "assess.md"
BEGIN, END = "<!-- assess:begin -->", "<!-- assess:end -->"


def save(told: dict[str, Any]) -> None:
    """One system a line, so that a difference between two commits can be read."""
    rows = ",\n  ".join(json.dumps(each) for each in told["systems"])
    head = {key: value for key, value in told.items() if key != "systems"}
    RESULTS.write_text(f'{json.dumps(head)[:-1]}, "systems": [\n  {rows}\n]}}\n')


def cell(row: dict[str, Any] | None) -> list[str]:
    """The truth, what was said, and a mark where they differ."""
    if row is None:
        return ["-", "too few requests"]
    if row["said"] is None:
        return [f"{row['truth']:.1%}", "withheld"]
    low, _, high = row["said"]
    mark = "" if row["covered"] else ", **missed**"
    return [f"{row['truth']:.1%}", f"{low:.1%} to {high:.1%}{mark}"]


def table(told: dict[str, Any]) -> str:
    lines = [
        "| gateway, its work, service | requests | p50, stopwatch | p50, said | p95, stopwatch | p95, said |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in told["systems"]:
        rows = {row["q"]: row for row in each["quantiles"]}
        name = f"{each['gateway']}, {each['work_ms']:g} ms, {each['service']}"
        cells = [name, f"{each['requests']:,}", *cell(rows.get(0.5)), *cell(rows.get(0.95))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write(told: dict[str, Any]) -> None:
    """Raises ValueError where the page has no place for it."""
    text = PAGE.read_text(encoding="utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"{PAGE.name}: no {BEGIN} ... {END}")
    rows = [row for each in told["systems"] for row in each["quantiles"]]
    widths = [row["said"][2] - row["said"][0] for row in rows if row["said"]]
    summary = (
        f"{told['covered']} of {len(told['systems'])} systems are covered at every quantile that was said,"
        f" {sum(row['covered'] for row in rows)} of {len(rows)} quantiles; the widest interval is"
        f" {100 * max(widths, default=0):.1f} points ({told['date']})."
    )
    PAGE.write_text(f"{before}{BEGIN}\n{summary}\n\n{table(told)}\n{END}{after}", encoding="utf-8")
