"""Counters as metrics: OpenTelemetry's names where it has one, labels by route and never by path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from tetrapylon.admin import processes, upstreams
from tetrapylon.admin.text import Format, Kind, both, bucket_labels, join_labels, seconds

if TYPE_CHECKING:
    from tetrapylon._core.telemetry.counters import HistogramCounts, RouteCounts, Slabs, Totals, WorkerCounts

PIECE = 64 * 1024

REQUESTS = "tetrapylon_requests_total"
DURATION = "http_server_request_duration_seconds"
SHARE = "tetrapylon_gateway_duration_seconds"
UPSTREAM = "tetrapylon_upstream_duration_seconds_total"
RECEIVED = "tetrapylon_received_bytes_total"
SENT = "tetrapylon_sent_bytes_total"
IN_FLIGHT = "tetrapylon_route_active_requests"
CONNECT = "tetrapylon_upstream_connect_duration_seconds"
FIRST_BYTE = "tetrapylon_upstream_first_byte_duration_seconds"
CALL = "http_client_request_duration_seconds"
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
)


UPSTREAM_TIMES: tuple[tuple[Literal["connect", "first_byte", "total"], str, str], ...] = (
    ("connect", CONNECT, "Time until a connection to an upstream was open, its TLS handshake included."),
    (
        "first_byte",
        FIRST_BYTE,
        "Time from a request handed to an upstream to the first byte of its response.",
    ),
    ("total", CALL, "Time from a request handed to an upstream to the last byte of its response."),
)
UPSTREAM_GAUGES: tuple[tuple[Literal["connections", "idle", "waiting"], str, str], ...] = (
    ("connections", "tetrapylon_upstream_connections", "Upstream connections open now, idle ones too."),
    ("idle", "tetrapylon_upstream_connections_idle", "Upstream connections open now and idle."),
    ("waiting", "tetrapylon_upstream_queue", "Requests that wait for a connection to the upstream now."),
)
OVERFLOW = (("upstream", "other"), ("otel_metric_overflow", "true"))

COUNTED_IN_MS = "_milliseconds_total"
# Families whose series get their names as the gateway runs (`_core/shared/series.pyi`): kind and text.
FAMILIES: dict[str, tuple[Kind, str]] = {
    "tetrapylon_reloads_total": (
        "counter",
        "Reloads and rollbacks that were ordered, by what became of them.",
    ),
    "tetrapylon_app_processes": ("gauge", "Processes of a hosted app that serve."),
    "tetrapylon_app_restarts_total": ("counter", "Processes of a hosted app that died and were replaced."),
    "tetrapylon_series_dropped_total": ("counter", "What was counted for series that had no room."),
    "tetrapylon_mirror_copies_total": ("counter", "Copies of requests sent to a second upstream."),
    "tetrapylon_mirror_dropped_total": (
        "counter",
        "Copies not made: too many under way, or too much body.",
    ),
    "tetrapylon_mirror_failed_total": ("counter", "Copies that got no whole answer."),
    "tetrapylon_shadow_copies_total": ("counter", "Requests sent to a shadow's second destination, too."),
    "tetrapylon_shadow_dropped_total": (
        "counter",
        "Samples of a shadow that were not compared: too many under way, or waiting to be compared.",
    ),
    "tetrapylon_shadow_too_large_total": (
        "counter",
        "Samples of a shadow that were not compared: too much body.",
    ),
    "tetrapylon_shadow_batches_lost_total": (
        "counter",
        "Batches of samples that found nobody who compares.",
    ),
    "tetrapylon_record_dropped_total": (
        "counter",
        "Requests that were sampled for a record and dropped in a worker, by route.",
    ),
    "tetrapylon_record_lost_total": (
        "counter",
        "Requests that were sampled for a record and could not be written.",
    ),
    "tetrapylon_cache_requests_total": ("counter", "Requests to a cache, by what it had for them."),
    "tetrapylon_cache_evictions_total": ("counter", "Stored answers that had to make room."),
    "tetrapylon_cache_redis_total": (
        "counter",
        "Answers shared in Redis, by what became of a question, an answer to be stored or a change.",
    ),
    "tetrapylon_cache_bytes": ("gauge", "Bytes of stored answers, in all workers."),
    "tetrapylon_cache_objects": ("gauge", "Stored answers, in all workers."),
    "tetrapylon_upstream_lookup_failures_total": (
        "counter",
        "Times that a target's name did not resolve, by target: its last addresses stay in use.",
    ),
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
    "tetrapylon_unfit_answers_total": (
        "counter",
        "Answers that are not what was agreed, and were reported, by route.",
    ),
    "tetrapylon_policy_refusals_total": ("counter", "Requests that a policy refused, by policy and reason."),
    "tetrapylon_code_blocked_total": ("counter", "Times that a handler or plugin held the loop for long."),
    "tetrapylon_code_blocked_seconds_total": ("counter", "For how long it did, those times."),
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
        news: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """`workers` gives how many are configured, `news` what became of configs."""
        self._slabs = slabs
        self._workers = workers
        self._version = version
        self._labels = labels
        self._news = news
        self.more: list[Callable[[Format], Iterator[str]]] = []
        """Families that others tell."""
        self._known = 0
        self._series: dict[str, list[int]] = {"": [-1]}
        self._duration_buckets = bucket_labels(slabs.duration_bounds)
        self._share_buckets = bucket_labels(slabs.share_bounds)
        self._outcomes = [
            join_labels(
                [("http_response_status_class", name)] if name != "aborted" else [("error_type", name)]
            )
            for name in slabs.outcome_names
        ]
        self._methods = [join_labels([("http_request_method", name)]) for name in slabs.method_names]

    def stream(self, form: Format) -> Iterator[bytes]:
        """The text of one moment, in pieces: ten thousand busy routes make 40 MB of it."""
        labels = self._labels()
        for index, each in enumerate(labels[self._known :], self._known):
            self._series.setdefault(join_labels(each.items()), []).append(index)
        self._known = len(labels)
        totals = self._slabs.totals()
        piece: list[str] = []
        size = 0
        lines = chain(
            self._route_families(form, totals),
            self._worker_families(form, totals, totals.worker()),
            [form.end],
        )
        for line in lines:
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

    def _durations(self, totals: Totals) -> Iterator[tuple[str, HistogramCounts]]:
        """Of each route, method and outcome that was seen."""
        for labels, indices in self._series.items():
            for method, outcomes in totals.by_method(indices):
                for outcome, told in zip(self._outcomes, outcomes, strict=True):
                    if any(told["buckets"]):
                        yield both(labels, f"{self._methods[method]},{outcome}"), told

    def _route_families(self, form: Format, totals: Totals) -> Iterator[str]:
        """A route that was never asked for has no series."""
        yield form.head(REQUESTS, "counter", "Requests answered or cut short, by method.")
        for labels, told in self._durations(totals):
            yield form.counter(REQUESTS, labels, sum(told["buckets"]))
        yield form.head(DURATION, "histogram", "Time from a request's first byte to its response's last.")
        for labels, told in self._durations(totals):
            yield from form.histogram(
                DURATION, labels, self._duration_buckets, told["buckets"], told["sum_ns"]
            )
        yield form.head(IN_FLIGHT, "gauge", "Requests in flight now, by route.")
        for labels, counts in self._routes(totals):
            yield form.gauge(IN_FLIGHT, labels, counts["in_flight"])
        yield form.head(
            SHARE,
            "histogram",
            "Of a request's time, the part spent in the gateway itself: not waiting for upstream or client.",
        )
        for labels, counts in self._routes(totals):
            share = counts["gateway"]
            yield from form.histogram(SHARE, labels, self._share_buckets, share["buckets"], share["sum_ns"])
        yield form.head(
            UPSTREAM,
            "counter",
            "Of all requests' time, the part spent waiting for upstreams, bodies included, in seconds.",
        )
        for labels, counts in self._routes(totals):
            yield form.counter(UPSTREAM, labels, seconds(counts["upstream_ns"]))
        yield form.head(RECEIVED, "counter", "Bytes of requests received from clients, heads included.")
        for labels, counts in self._routes(totals):
            yield form.counter(RECEIVED, labels, counts["bytes_in"])
        yield form.head(SENT, "counter", "Bytes of responses sent to clients, heads included.")
        for labels, counts in self._routes(totals):
            yield form.counter(SENT, labels, counts["bytes_out"])

    def _worker_families(self, form: Format, totals: Totals, worker: WorkerCounts) -> Iterator[str]:
        values: dict[str, object] = {**worker}
        for key, name, text in WORKER_COUNTERS:
            yield form.head(name, "counter", text) + form.counter(name, "", values[key])
        now: dict[str, object] = {**worker["now"]}
        for key, name, text in WORKER_GAUGES:
            yield form.head(name, "gauge", text) + form.gauge(name, "", now[key])
        name = "tetrapylon_rejects_total"
        yield form.head(
            name, "counter", "Requests and connections that the gateway itself refused, by reason."
        )
        for reason, count in totals.rejects().items():
            yield form.counter(name, join_labels([("reason", reason)]), count)
        yield form.head(LAG, "histogram", "How late the workers' event loops ran a timer.")
        lag = worker["lag"]
        yield from form.histogram(LAG, "", self._share_buckets, lag["buckets"], lag["sum_ns"])
        yield from self._named_families(form)
        yield from self._upstream_families(form)
        yield from upstreams.families(form, self._slabs.board.rows())
        yield from self._move_families(form)
        if self._news is not None:
            yield from _config_families(form, self._news())
        for tell in self.more:
            yield from tell(form)
        yield from self._process_families(form)

    def _named_families(self, form: Format) -> Iterator[str]:
        told = ""
        for text, count in self._slabs.series.totals():
            value: float = count
            family, _, labels = text.partition("{")
            if family.endswith(COUNTED_IN_MS):  # words of shared memory are whole numbers
                family, value = f"{family.removesuffix(COUNTED_IN_MS)}_seconds_total", count / 1000
            kind, about = FAMILIES[family]
            if family != told:
                told = family
                yield form.head(family, kind, about)
            write = form.counter if kind == "counter" else form.gauge
            yield write(family, labels.removesuffix("}"), value)

    def _upstream_families(self, form: Format) -> Iterator[str]:
        times = [
            (join_labels([("upstream", name)] if name else OVERFLOW), counts)
            for name, counts in self._slabs.upstream_counts()
        ]
        for gauge, name, text in UPSTREAM_GAUGES:
            yield form.head(name, "gauge", text)
            for labels, counts in times:
                yield form.gauge(name, labels, counts[gauge])
        for key, name, text in UPSTREAM_TIMES:
            yield form.head(name, "histogram", text)
            for labels, counts in times:
                told = counts[key]
                yield from form.histogram(
                    name, labels, self._duration_buckets, told["buckets"], told["sum_ns"]
                )

    def _move_families(self, form: Format) -> Iterator[str]:
        rows = [(*name.partition("\n")[::2], share, sides) for name, share, sides in self._slabs.moves.rows()]
        if not rows:
            return
        yield form.head("tetrapylon_move_share", "gauge", "Of a route that moves, the new side's share.")
        for route, to, share, _ in rows:
            yield form.gauge("tetrapylon_move_share", join_labels([("route", route), ("to", to)]), share)
        counted = (
            ("tetrapylon_move_requests_total", "Requests of a route that moves, by side."),
            ("tetrapylon_move_errors_total", "Of these, those with 5xx or without a whole answer."),
        )
        for at, (family, text) in enumerate(counted):
            yield form.head(family, "counter", text)
            for route, to, _, sides in rows:
                for side, counts in zip(("old", "new"), sides, strict=True):
                    labels = join_labels([("route", route), ("to", to), ("side", side)])
                    yield form.counter(family, labels, counts[at])

    def _process_families(self, form: Format) -> Iterator[str]:
        slabs = map(self._slabs.slab, range(self._slabs.workers))
        states = [slab.state for slab in slabs if slab.state]
        states += [0] * (self._workers() - len(states))
        name = "tetrapylon_workers"
        yield form.head(name, "gauge", "Workers, by what they are doing.")
        for state in self._slabs.states:
            yield form.gauge(name, join_labels([("state", state.name.lower())]), states.count(state))
        name = "tetrapylon_build_info"
        yield form.head(name, "info", "Always 1; the version is in the label.")
        yield form.gauge(name, join_labels([("version", self._version)]), 1)
        yield from processes.families(form, self._processes())

    def _processes(self) -> Iterator[tuple[str, int]]:
        supervisor = self._slabs.supervisor().pid
        if supervisor:
            yield "supervisor", supervisor
        yield "control", os.getpid()
        for index in range(self._slabs.workers):
            slab = self._slabs.slab(index)
            if slab.state and slab.pid:
                yield f"worker {index}", slab.pid


def _config_families(form: Format, news: Mapping[str, Any]) -> Iterator[str]:
    last, history = news["last"], news["history"]
    refused = last is not None and last["outcome"] == "refused"
    name = "tetrapylon_config_generation"
    yield form.head(
        name, "gauge", "The number of the config in force; each reload that changes it counts on."
    )
    yield form.gauge(name, "", news["generation"])
    name = "tetrapylon_config_last_reload_successful"
    yield form.head(name, "gauge", "Whether the last reload was taken on: 1, also before the first, or 0.")
    yield form.gauge(name, "", int(not refused))
    if history:
        name = "tetrapylon_config_last_reload_success_timestamp_seconds"
        yield form.head(name, "gauge", "When the last config was taken on, in seconds since the epoch.")
        taken = history[-1]["time"] if last is None or refused else max(last["time"], history[-1]["time"])
        yield form.gauge(name, "", taken)
