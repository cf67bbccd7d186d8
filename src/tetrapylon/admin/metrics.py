"""Counters as Prometheus text (format 0.0.4): OpenTelemetry's names, labels by route and never by path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from tetrapylon.admin import upstreams
from tetrapylon.admin.text import Kind, head, join_labels, sample

if TYPE_CHECKING:
    from tetrapylon._core.counters import HistogramCounts, RouteCounts, Slabs, Totals, WorkerCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PIECE = 64 * 1024

DURATION = "http_server_request_duration_seconds"
SHARE = "tetrapylon_gateway_duration_seconds"
UPSTREAM = "tetrapylon_upstream_duration_seconds_total"
RECEIVED = "tetrapylon_received_bytes_total"
SENT = "tetrapylon_sent_bytes_total"
LAG = "tetrapylon_loop_lag_seconds"

WORKER_COUNTERS = (
    ("accepted", "tetrapylon_connections_accepted_total", "Client connections accepted."),
    ("upstream_connects", "tetrapylon_upstream_connects_total", "Connections opened to upstreams."),
    (
        "upstream_connect_failures",
        "tetrapylon_upstream_connect_failures_total",
        "Connections to upstreams that could not be opened.",
    ),
    (
        "upstream_reuses",
        "tetrapylon_upstream_reuses_total",
        "Requests sent on an upstream connection kept open.",
    ),
    (
        "upstream_replays",
        "tetrapylon_upstream_replays_total",
        "Requests sent again because a kept upstream connection had died.",
    ),
    ("late_resumes", "tetrapylon_late_resumes_total", "Waits resumed after their exchange had gone."),
    ("log_drops", "tetrapylon_access_log_drops_total", "Access-log lines that could not be written."),
    ("restarts", "tetrapylon_worker_restarts_total", "Processes that died and were replaced."),
)

WORKER_GAUGES = (
    ("connections", "tetrapylon_connections", "Client connections open now."),
    ("exchanges", "http_server_active_requests", "Requests in flight now."),
    ("tunnels", "tetrapylon_tunnels", "WebSockets and other upgraded connections open now."),
    (
        "upstream_connections",
        "tetrapylon_upstream_connections",
        "Upstream connections open now, idle ones too.",
    ),
    ("upstream_idle", "tetrapylon_upstream_connections_idle", "Upstream connections open now and idle."),
)


# Families whose series get their names as the gateway runs (`_core/series.pyi`): kind and text.
FAMILIES: dict[str, tuple[Kind, str]] = {
    "tetrapylon_series_dropped_total": ("counter", "What was counted for series that had no room."),
    "tetrapylon_mirror_copies_total": ("counter", "Copies of requests sent to a second upstream."),
    "tetrapylon_mirror_dropped_total": (
        "counter",
        "Copies not made: too many under way, or too much body.",
    ),
    "tetrapylon_mirror_failed_total": ("counter", "Copies that got no whole answer."),
    "tetrapylon_cache_requests_total": ("counter", "Requests to a cache, by what it had for them."),
    "tetrapylon_cache_evictions_total": ("counter", "Stored answers that had to make room."),
    "tetrapylon_cache_bytes": ("gauge", "Bytes of stored answers, in all workers."),
    "tetrapylon_cache_objects": ("gauge", "Stored answers, in all workers."),
    "tetrapylon_part_failures_total": (
        "counter",
        "Parts of aggregates that failed, by route and part: no answer, an error, or no JSON.",
    ),
    "tetrapylon_limit_keys_forgotten_total": (
        "counter",
        "Keys that were forgotten before their time, for want of room.",
    ),
    "tetrapylon_limit_store_failures_total": (
        "counter",
        "Requests decided without the store that counts them, because it was away.",
    ),
    "tetrapylon_limit_uncounted_total": (
        "counter",
        "Requests let through uncounted, for want of room.",
    ),
    "tetrapylon_spans_total": (
        "counter",
        "Spans of sampled requests: exported, dropped for want of room, failed.",
    ),
    "tetrapylon_policy_refusals_total": ("counter", "Requests that a policy refused, by policy and reason."),
    "tetrapylon_code_blocked_total": ("counter", "Times that a handler or plugin held the loop for long."),
    "tetrapylon_code_blocked_milliseconds_total": ("counter", "For how long it did, those times."),
    "tetrapylon_code_errors_total": ("counter", "Exceptions of handlers and plugins."),
    "tetrapylon_code_timeouts_total": ("counter", "Hooks of plugins that took longer than their timeout."),
}


class Exposition:
    """Renders the sums of `slabs`; `labels` gives those of each route's slot; equal ones share a series."""

    def __init__(
        self,
        slabs: Slabs,
        labels: Callable[[], Sequence[Mapping[str, str]]],
        workers: Callable[[], int],
        version: str,
    ) -> None:
        """`workers` gives how many are configured."""
        self._slabs = slabs
        self._workers = workers
        self._version = version
        self._labels = labels
        self._known = 0
        self._series: dict[str, list[int]] = {"": [-1]}
        self._duration_buckets = _bucket_labels(slabs.duration_bounds)
        self._share_buckets = _bucket_labels(slabs.share_bounds)
        self._outcomes = [
            join_labels(
                [("http_response_status_class", name)] if name != "aborted" else [("error_type", name)]
            )
            for name in slabs.outcome_names
        ]

    def stream(self) -> Iterator[bytes]:
        """The text of one moment, in pieces: ten thousand busy routes make 40 MB of it."""
        labels = self._labels()
        for index, each in enumerate(labels[self._known :], self._known):
            self._series.setdefault(join_labels(each.items()), []).append(index)
        self._known = len(labels)
        totals = self._slabs.totals()
        piece: list[str] = []
        size = 0
        for line in chain(self._route_families(totals), self._worker_families(totals, totals.worker())):
            piece.append(line)
            size += len(line)
            if size >= PIECE:
                yield "".join(piece).encode()
                piece.clear()
                size = 0
        if piece:
            yield "".join(piece).encode()

    def _routes(self, totals: Totals) -> Iterator[tuple[str, RouteCounts]]:
        """Summed anew for each family: kept for all of them they would take more memory than the text."""
        for labels, indices in self._series.items():
            counts = totals.sum_routes(indices)
            if counts is not None:
                yield labels, counts

    def _route_families(self, totals: Totals) -> Iterator[str]:
        """A route that was never asked for has no series."""
        yield head(DURATION, "histogram", "Time from a request's first byte to its response's last.")
        for labels, counts in self._routes(totals):
            for outcome, histogram in zip(self._outcomes, counts["durations"], strict=True):
                if any(histogram["buckets"]):
                    yield from _histogram(DURATION, _and(labels, outcome), histogram, self._duration_buckets)
        yield head(SHARE, "histogram", "Of a request's time, the part spent in the gateway itself.")
        for labels, counts in self._routes(totals):
            yield from _histogram(SHARE, labels, counts["gateway"], self._share_buckets)
        yield head(
            UPSTREAM, "counter", "Of all requests' time, the part spent waiting for upstreams, in seconds."
        )
        for labels, counts in self._routes(totals):
            yield sample(UPSTREAM, labels, _seconds(counts["upstream_ns"]))
        yield head(RECEIVED, "counter", "Bytes of requests received from clients, heads included.")
        for labels, counts in self._routes(totals):
            yield sample(RECEIVED, labels, str(counts["bytes_in"]))
        yield head(SENT, "counter", "Bytes of responses sent to clients, heads included.")
        for labels, counts in self._routes(totals):
            yield sample(SENT, labels, str(counts["bytes_out"]))

    def _worker_families(self, totals: Totals, worker: WorkerCounts) -> Iterator[str]:
        values: dict[str, object] = {**worker}
        for key, name, text in WORKER_COUNTERS:
            yield head(name, "counter", text) + sample(name, "", str(values[key]))
        now: dict[str, object] = {**worker["now"]}
        for key, name, text in WORKER_GAUGES:
            yield head(name, "gauge", text) + sample(name, "", str(now[key]))
        name = "tetrapylon_rejects_total"
        yield head(name, "counter", "Requests and connections that the gateway itself refused, by reason.")
        for reason, count in totals.rejects().items():
            yield sample(name, join_labels([("reason", reason)]), str(count))
        yield head(LAG, "histogram", "How late the workers' event loops ran a timer.")
        yield from _histogram(LAG, "", worker["lag"], self._share_buckets)
        yield from self._named_families()
        yield from upstreams.families(self._slabs.board.rows())
        yield from self._process_families()

    def _named_families(self) -> Iterator[str]:
        told = ""
        for text, value in self._slabs.series.totals():
            family = text.partition("{")[0]
            if family != told:
                told = family
                kind, about = FAMILIES[family]
                yield head(family, kind, about)
            yield f"{text} {value}\n"

    def _process_families(self) -> Iterator[str]:
        slabs = map(self._slabs.slab, range(self._slabs.workers))
        states = [slab.state for slab in slabs if slab.state]
        states += [0] * (self._workers() - len(states))
        name = "tetrapylon_workers"
        yield head(name, "gauge", "Workers, by what they are doing.")
        for state in self._slabs.states:
            yield sample(name, join_labels([("state", state.name.lower())]), str(states.count(state)))
        name = "tetrapylon_build_info"
        yield head(name, "gauge", "Always 1; the version is in the label.")
        yield sample(name, join_labels([("version", self._version)]), "1")


def _and(labels: str, more: str) -> str:
    return f"{labels},{more}" if labels else more


def _bucket_labels(bounds: Sequence[float]) -> list[str]:
    return [join_labels([("le", f"{bound:g}")]) for bound in bounds] + ['le="+Inf"']


def _seconds(ns: int) -> str:
    return f"{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"


def _histogram(name: str, labels: str, histogram: HistogramCounts, buckets: list[str]) -> Iterator[str]:
    count = 0
    for bucket, count in zip(buckets, accumulate(histogram["buckets"]), strict=True):
        yield sample(f"{name}_bucket", _and(labels, bucket), str(count))
    yield sample(f"{name}_sum", labels, _seconds(histogram["sum_ns"]))
    yield sample(f"{name}_count", labels, str(count))
