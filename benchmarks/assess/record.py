"""What `python -m benchmarks.assess` found: results.json, and the table of docs/assess.md."""

import json
from pathlib import Path
from typing import Any

from .systems import System

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "assess.md"
BEGIN, END = "<!-- assess:begin -->", "<!-- assess:end -->"


def save(name: str, told: dict[str, Any]) -> None:
    """Puts one set of systems in the place of what was known of it, one system a line, so that a difference
    between two commits can be read; then the page follows."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known[name] = told
    sets = []
    for each, of in sorted(known.items()):
        rows = ",\n  ".join(json.dumps(row) for row in of["systems"])
        sets.append(f'{json.dumps(each)}: {{"date": {json.dumps(of["date"])}, "systems": [\n  {rows}\n]}}')
    RESULTS.write_text("{" + ",\n".join(sets) + "}\n")
    PAGE.write_text(written(known), encoding="utf-8")


def cell(row: dict[str, Any] | None) -> list[str]:
    """The truth, what was said, and a mark where they differ."""
    if row is None:
        return ["", ""]
    if row["said"] is None:
        return [f"{row['truth']:.1%}", "withheld"]
    low, _, high = row["said"]
    mark = "" if row["covered"] else ", **missed**"
    return [f"{row['truth']:.1%}", f"{low:.1%} to {high:.1%}{mark}"]


def table(told: dict[str, Any]) -> str:
    lines = [
        "| gateway, its work, service, users | requests | p50 | said | p95 | said | p99 | said |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in told["systems"]:
        rows = {row["q"]: row for row in each["quantiles"]}
        cells = [System(**each["system"]).title, f"{each['requests']:,}"]
        cells += [text for q in (0.5, 0.95, 0.99) for text in cell(rows.get(q))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def is_covered(each: dict[str, Any]) -> bool:
    """Whether all that is said of a system is true, and something is said of its median."""
    rows = each["quantiles"]
    return bool(rows) and rows[0]["said"] is not None and all(row["covered"] for row in rows)


def summary(told: dict[str, Any]) -> str:
    systems = told["systems"]
    rows = [row for each in systems for row in each["quantiles"]]
    said = [row for row in rows if row["said"]]
    widest = max((row["said"][2] - row["said"][0] for row in said), default=0.0)
    return (
        f"{sum(map(is_covered, systems))} of {len(systems)} systems covered;"
        f" {sum(row['covered'] for row in said)} of {len(said)} intervals, {len(rows) - len(said)} withheld;"
        f" the widest is {100 * widest:.1f} points ({told['date']})"
    )


def written(known: dict[str, Any]) -> str:
    """docs/assess.md with what is known. Raises ValueError where the page has no place for it."""
    text = PAGE.read_text(encoding="utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"{PAGE.name}: no {BEGIN} ... {END}")
    parts = []
    for name, what in (
        ("judged", "Held out"),
        ("first", "Those that the first allowances were found with"),
        ("second", "Those that waits were found with"),
    ):
        if name in known:
            parts.append(f"- {what}: {summary(known[name])}.")
    if "without_times" in known:
        systems = known["without_times"]["systems"]
        refused = sum(bool(each["cannot_tell"]) for each in systems)
        parts.append(f'- Without the times: "cannot tell" of {refused} of {len(systems)}.')
    if "judged" in known:
        parts.append(f"\n{table(known['judged'])}")
    return f"{before}{BEGIN}\n" + "\n".join(parts) + f"\n{END}{after}"
