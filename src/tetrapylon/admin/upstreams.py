"""What the board knows of the targets, for operators and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tetrapylon.admin.text import Kind, head, join_labels, sample

Row = dict[str, Any]

TRANSITIONS = ("unhealthy", "healthy", "ejected", "returned", "circuit_opened", "circuit_closed")
TOLD = ("checked", "ejected_for", "failures_in_row", "circuit", "latency")
COUNTED = (
    ("checks", "tetrapylon_upstream_checks_total", "Active health checks made."),
    ("check_failures", "tetrapylon_upstream_check_failures_total", "Active health checks that failed."),
)
COUNTED_ALL = (
    ("retries", "tetrapylon_upstream_retries_total", "Requests sent again."),
    (
        "retries_denied",
        "tetrapylon_upstream_retries_denied_total",
        "Requests not sent again, because the budget was spent.",
    ),
    ("hedges", "tetrapylon_upstream_hedges_total", "Requests asked of a second target as well."),
    ("shed", "tetrapylon_upstream_shed_total", "Waiting requests given up for others that matter more."),
    ("unavailable", "tetrapylon_upstream_unavailable_total", "Requests for which no target was left."),
)


def state(row: Row) -> str:
    """In one word, what keeps requests from a target; `up` if nothing does."""
    if row["weight"] == 0:
        return "drained"
    if row["checked"] == "unhealthy":
        return "unhealthy"
    if row["ejected_for"]:
        return "ejected"
    if row["circuit"] != "closed":
        return f"circuit_{row['circuit']}"
    return "on_trial" if row["on_trial"] else "up"


def show(rows: Sequence[Row]) -> dict[str, Any]:
    """By upstream: its own circuit and totals, and its targets."""
    shown: dict[str, Any] = {}
    for row in rows:
        upstream = shown.setdefault(row["upstream"], {"targets": {}})
        if row["target"]:
            totals = {key: row["totals"][key] for key in (*TRANSITIONS, "checks", "check_failures")}
            told = {
                key: row[key] for key in ("checked", "ejected_for", "failures_in_row", "circuit", "latency")
            }
            upstream["targets"][row["target"]] = {
                "state": state(row),
                "weight_override": row["weight"],
                **told,
                "totals": totals,
            }
        else:
            upstream["circuit"] = row["circuit"]
            upstream["totals"] = {key: row["totals"][key] for key, *_ in COUNTED_ALL}
    return shown


def families(rows: Sequence[Row]) -> Iterator[str]:
    targets = [(_labels(row), row) for row in rows if row["target"]]
    whole = [(join_labels([("upstream", row["upstream"])]), row) for row in rows if not row["target"]]
    yield from _family(
        "tetrapylon_upstream_target_up",
        "gauge",
        "Whether a target may be given requests: 1 or 0.",
        [(labels, int(state(row) in ("up", "on_trial"))) for labels, row in targets],
    )
    yield from _family(
        "tetrapylon_upstream_transitions_total",
        "counter",
        "Changes of a target's standing, by what it became.",
        [
            (f'{labels},to="{to}"', row["totals"][to])
            for labels, row in targets
            for to in TRANSITIONS
            if row["totals"][to]
        ],
    )
    for key, name, text in COUNTED:
        yield from _family(name, "counter", text, [(labels, row["totals"][key]) for labels, row in targets])
    for key, name, text in COUNTED_ALL:
        yield from _family(name, "counter", text, [(labels, row["totals"][key]) for labels, row in whole])
    yield from _family(
        "tetrapylon_upstream_circuit_open",
        "gauge",
        "Whether the circuit breaker of all targets together is open: 1 or 0.",
        [(labels, int(row["circuit"] == "open")) for labels, row in whole],
    )


def _labels(row: Row) -> str:
    return join_labels([("upstream", row["upstream"]), ("target", row["target"])])


def _family(name: str, kind: Kind, text: str, samples: list[tuple[str, int]]) -> Iterator[str]:
    yield head(name, kind, text)
    for labels, value in samples:
        yield sample(name, labels, str(value))
