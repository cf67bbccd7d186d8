"""What the board knows of the targets, for operators and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tetrapylon.admin.text import Format, join_labels

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


def show(rows: Sequence[Row], workers: Mapping[int, Sequence[Any]]) -> list[dict[str, Any]]:
    """Each upstream and its targets: what the board knows of them, and what the workers that answered do.

    `workers`: what each of them says, by its place.
    """
    shown: dict[str, dict[str, Any]] = {}
    for row in rows:
        upstream = _upstream(shown, row["upstream"])
        if row["target"]:
            target = _target(upstream, row["target"])
            told = {key: row[key] for key in TOLD}
            totals = {key: row["totals"][key] for key in (*TRANSITIONS, "checks", "check_failures")}
            target |= {"state": state(row), "weight_override": row["weight"], **told, "totals": totals}
        else:
            upstream["circuit"] = row["circuit"]
            upstream["totals"] = {key: row["totals"][key] for key, *_ in COUNTED_ALL}
    for place, upstreams in sorted(workers.items()):
        for each in upstreams:
            upstream = _upstream(shown, each["name"])
            upstream["connections"] += each["connections"]
            upstream["queue"] += each["pending"]
            upstream["workers"][place] = {"connections": each["connections"], "queue": each["pending"]}
            for one in each["targets"]:
                target = _target(upstream, one["url"])
                target["connections"] += one["connections"]
                target |= {"weight": one["weight"], "addresses": one["addresses"]}
    return [{**each, "targets": [*each["targets"].values()]} for each in shown.values()]


def _upstream(shown: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    empty = {"name": name, "connections": 0, "queue": 0, "workers": {}, "targets": {}}
    return shown.setdefault(name, empty)


def _target(upstream: dict[str, Any], url: str) -> dict[str, Any]:
    target: dict[str, Any] = upstream["targets"].setdefault(
        url, {"url": url, "state": "up", "connections": 0}
    )
    return target


def families(form: Format, rows: Sequence[Row]) -> Iterator[str]:
    targets = [(_labels(row), row) for row in rows if row["target"]]
    whole = [(join_labels([("upstream", row["upstream"])]), row) for row in rows if not row["target"]]
    name = "tetrapylon_upstream_target_up"
    yield form.head(name, "gauge", "Whether a target may be given requests: 1 or 0.")
    for labels, row in targets:
        yield form.gauge(name, labels, int(state(row) in ("up", "on_trial")))
    name = "tetrapylon_upstream_transitions_total"
    yield form.head(name, "counter", "Changes of a target's standing, by what it became.")
    for labels, row in targets:
        for to in TRANSITIONS:
            if row["totals"][to]:
                yield form.counter(name, f'{labels},to="{to}"', row["totals"][to])
    for counted, of in ((COUNTED, targets), (COUNTED_ALL, whole)):
        for key, name, text in counted:
            yield form.head(name, "counter", text)
            for labels, row in of:
                yield form.counter(name, labels, row["totals"][key])
    name = "tetrapylon_upstream_circuit_open"
    yield form.head(name, "gauge", "Whether the circuit breaker of all targets together is open: 1 or 0.")
    for labels, row in whole:
        yield form.gauge(name, labels, int(row["circuit"] == "open"))


def _labels(row: Row) -> str:
    return join_labels([("upstream", row["upstream"]), ("target", row["target"])])
