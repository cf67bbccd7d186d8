"""What the page shows: counts now and over the last quarter of an hour, and what has happened meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tetrapylon.admin.upstreams import state

if TYPE_CHECKING:
    from tetrapylon._core.telemetry.counters import HistogramCounts, Slabs, Totals, WorkerCounts

EVERY = 5.0
"""Seconds between two samples."""
SAMPLES = 181
EVENTS = 100
ROUTES = 500
"""Of more routes than these, the busiest are told."""

TROUBLES = (
    ("log_drops", "access-log lines dropped"),
    ("upstream_connect_failures", "connections to upstreams failed"),
    ("late_resumes", "waits resumed too late"),
)
"""Worker counters that should stand still."""
TROUBLE = {
    "tetrapylon_series_dropped_total": "counts without a series of their own",
    "tetrapylon_mirror_failed_total": "mirrored requests without an answer",
    "tetrapylon_limit_store_failures_total": "requests decided without the limits' store",
    "tetrapylon_limit_uncounted_total": "requests let through uncounted",
    "tetrapylon_code_blocked_total": "times that your code held the loop",
    "tetrapylon_code_errors_total": "exceptions of handlers and plugins",
    "tetrapylon_code_timeouts_total": "hooks of plugins timed out",
}
"""Likewise families whose series get their names as the gateway runs."""


class Recorder:
    """Samples the counters. All numbers that it tells only rise, but for those of `now`; whoever looks takes
    the difference of two.

    `labels` gives those of each route's slot, `news` what is known of reloads (`Link.news`).
    """

    def __init__(
        self,
        slabs: Slabs,
        labels: Callable[[], Sequence[Mapping[str, str]]],
        news: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._slabs = slabs
        self._labels = labels
        self._news = news
        self._clock = clock
        self._samples: deque[dict[str, Any]] = deque(maxlen=SAMPLES)
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._standing: dict[tuple[str, str], dict[str, Any]] = {}
        self._seen: dict[str, Any] = {}
        self._ranked: dict[int, int] = {}
        self._counted: dict[int, int] = {}
        self._counted_at = 0.0

    def tick(self) -> None:
        """Every EVERY seconds."""
        sample = self._sample(self._slabs.totals())
        self._samples.append(sample)
        self._notice(sample)

    def live(self, since: float = 0.0) -> dict[str, Any]:
        """All of it; of the samples those that are younger than `since`, in seconds since the epoch."""
        totals = self._slabs.totals()
        sample = self._sample(totals)
        self._notice(sample)
        routes, left_out = self._routes(totals)
        return {
            "bounds": {"duration": self._slabs.duration_bounds, "gateway": self._slabs.share_bounds},
            "outcomes": self._slabs.outcome_names,
            "now": sample,
            "samples": [each for each in self._samples if each["time"] > since],
            "events": list(self._events),
            "targets": [
                {"upstream": upstream, "target": target, **standing}
                for (upstream, target), standing in sorted(self._standing.items())
            ],
            "upstreams": dict(self._slabs.upstream_counts()),
            "routes": routes,
            "routes_left_out": left_out,
            "workers": list(self._workers()),
        }

    def troubles(self) -> dict[str, int]:
        """What should stand still and has not, since the start."""
        return self._troubles(self._slabs.totals().worker())

    # -- counts

    def _sample(self, totals: Totals) -> dict[str, Any]:
        worker = totals.worker()
        counts = totals.sum_routes(range(-1, len(self._labels())))
        durations: Sequence[HistogramCounts] = counts["durations"] if counts is not None else []
        now = worker["now"]
        return {
            "time": self._clock(),
            "outcomes": [sum(each["buckets"]) for each in durations] or [0] * len(self._slabs.outcome_names),
            "duration": _merged(durations),
            "gateway": counts["gateway"]["buckets"] if counts is not None else [],
            "bytes_in": counts["bytes_in"] if counts is not None else 0,
            "bytes_out": counts["bytes_out"] if counts is not None else 0,
            "rejects": {reason: count for reason, count in totals.rejects().items() if count},
            "troubles": self._troubles(worker),
            "lag": worker["lag"]["buckets"],
            "restarts": worker["restarts"],
            "accepted": worker["accepted"],
            "connections": now["connections"],
            "exchanges": now["exchanges"],
            "tunnels": now["tunnels"],
            "upstream_connections": sum(each["connections"] for _, each in self._slabs.upstream_counts()),
        }

    def _troubles(self, worker: WorkerCounts) -> dict[str, int]:
        values: dict[str, Any] = {**worker}
        found = {text: values[key] for key, text in TROUBLES if values[key]}
        for series, value in self._slabs.series.totals():
            about = TROUBLE.get(series.partition("{")[0])
            if about is not None and value:
                found[about] = found.get(about, 0) + value
        return found

    def _routes(self, totals: Totals) -> tuple[list[dict[str, Any]], int]:
        """The busiest since the last look at them, if there are many; and how many others there are."""
        labels = self._labels()
        rows = totals.rows(len(labels))
        left_out = max(0, len(rows) - ROUTES)
        if left_out:
            rows = self._busiest(rows)
        told = [
            {
                "slot": index,
                "route": _name(labels[index]) if index >= 0 else "(no route)",
                "methods": labels[index].get("tetrapylon_route_methods", "") if index >= 0 else "",
                "host": labels[index].get("server_address", "") if index >= 0 else "",
                "outcomes": outcomes,
                "duration": duration["buckets"],
                "duration_ns": duration["sum_ns"],
                "gateway": gateway["buckets"],
            }
            for index, outcomes, duration, gateway in rows
        ]
        return told, left_out

    def _busiest(self, rows: list[Any]) -> list[Any]:
        now = self._clock()
        counted = {index: sum(outcomes) for index, outcomes, *_ in rows}
        if now - self._counted_at >= EVERY:
            # The choice stands for a while: whoever takes differences has to find a row again.
            self._ranked = {index: count - self._counted.get(index, 0) for index, count in counted.items()}
            self._counted, self._counted_at = counted, now
        busy = sorted(rows, key=lambda row: (-self._ranked.get(row[0], 0), -counted[row[0]], row[0]))
        return sorted(busy[:ROUTES], key=lambda row: int(row[0]))

    def _workers(self) -> Iterable[dict[str, Any]]:
        now = time.monotonic_ns()
        states = {int(each): each.name.lower() for each in self._slabs.states}
        for index in range(self._slabs.workers):
            slab = self._slabs.slab(index)
            if not slab.state:
                continue
            counters = slab.counters()
            gauges = counters["now"]
            yield {
                "worker": index,
                "pid": slab.pid,
                "state": states[slab.state],
                "silent": (now - slab.heartbeat_ns) / 1e9,
                "age": (now - slab.started_ns) / 1e9,
                "connections": gauges["connections"],
                "exchanges": gauges["exchanges"],
                "accepted": counters["accepted"],
                "lag": counters["lag"]["buckets"],
            }

    # -- what happens

    def _notice(self, sample: Mapping[str, Any]) -> None:
        """Makes events of what differs from the last look."""
        news = self._news()
        first = not self._seen
        was, self._seen = (
            self._seen,
            {
                "generation": news["generation"],
                "last": news["last"],
                "restarts": sample["restarts"],
                "troubles": sample["troubles"],
            },
        )
        self._notice_targets(sample["time"], first=first)
        if first:
            return
        last = news["last"]
        if last is not None and last != was["last"]:
            if last["outcome"] == "refused":
                why = "; ".join(problem["text"] for problem in last["problems"])
                self._tell(last["time"], "refused", f"reload refused ({last['origin']}): {why}")
            else:
                text = f"reload {last['outcome']} ({last['origin']}): {last['summary']}"
                self._tell(last["time"], "reload", text, generation=last["generation"])
        if died := sample["restarts"] - was["restarts"]:
            self._tell(sample["time"], "restart", f"{died} of the gateway's processes died and were replaced")
        for text in sample["troubles"].keys() - was["troubles"].keys():
            self._tell(sample["time"], "trouble", f"{text}, for the first time")

    def _notice_targets(self, now: float, *, first: bool) -> None:
        standing = {}
        for row in self._slabs.board.rows():
            if not row["target"]:
                found = "up" if row["circuit"] == "closed" else f"circuit_{row['circuit']}"
            else:
                found = state(row)
            key = (row["upstream"], row["target"])
            before = self._standing.get(key)
            if before is not None and before["state"] == found:
                standing[key] = before
                continue
            standing[key] = {"state": found, "since": now}
            well = found in ("up", "on_trial")
            if not first and (before is not None or not well):
                who = f"target {row['target']}" if row["target"] else "all targets"
                kind = "recovered" if well else "target"
                self._tell(now, kind, f"upstream {row['upstream']}: {who}: {found.replace('_', ' ')}")
        self._standing = standing

    def _tell(self, at: float, kind: str, text: str, **more: Any) -> None:
        self._events.append({"time": at, "kind": kind, "text": text, **more})


def _name(labels: Mapping[str, str]) -> str:
    other = "otel_metric_overflow" in labels
    return "(other routes)" if other else labels.get("http_route", "")


def _merged(histograms: Sequence[HistogramCounts]) -> list[int]:
    return [sum(column) for column in zip(*(each["buckets"] for each in histograms), strict=True)]
