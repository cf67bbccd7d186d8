"""Spans on their way to a collector: by OpenTelemetry's SDK, on a thread that gives way to the loop.

Needs the extra `otel`. Imported when a config has `traces`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tetrapylon._version import VERSION
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon._core.policies.traceparent import Span

__all__ = ["Spans"]

BATCH = 64
WAIT = 1.0
"""Seconds that a span may wait for others."""
FAREWELL = 2.0
"""Seconds for what is left when the gateway ends."""
HEX = 16


class Exporter(Protocol):
    """What OpenTelemetry calls a SpanExporter."""

    def export(self, spans: Sequence[Any]) -> Any: ...
    def shutdown(self) -> None: ...


class Spans:
    """A bounded queue of spans, and the thread that empties it. Spans that find no room are counted."""

    def __init__(
        self,
        exporter: Exporter,
        service: str,
        most: int,
        count: Callable[[str, int], object],
    ) -> None:
        """`count` is told (`exported`, `dropped` or `failed`, how many)."""
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._exporter = exporter
        self._resource = Resource.create({"service.name": service, "service.version": VERSION})
        self._scope = InstrumentationScope("tetrapylon", VERSION)
        self._most = most
        self._count = count
        self._queue: deque[Span] = deque()
        self._filled = threading.Event()
        self._closed = False
        self._failing = False
        self._thread: threading.Thread | None = None

    def put(self, span: Span) -> None:
        """Called on the loop: never waits."""
        if len(self._queue) >= self._most:
            self._count("dropped", 1)
            return
        self._queue.append(span)
        if self._thread is None:
            # Not before the first span: a thread does not live through the fork of a worker.
            self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
            self._thread.start()
        if len(self._queue) >= BATCH and not self._filled.is_set():
            self._filled.set()

    def close(self, wait: float = FAREWELL) -> None:
        """No further spans; what is left is sent, and waited for so many seconds."""
        self._closed = True
        self._filled.set()
        if self._thread is not None:
            self._thread.join(wait)

    def _run(self) -> None:
        while not self._closed or self._queue:
            self._filled.wait(WAIT)
            self._filled.clear()
            while self._queue:
                self._send([self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))])
        self._exporter.shutdown()

    def _send(self, batch: list[Span]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        made = []
        for span in batch:
            made.append(self._made(span))
            time.sleep(0)  # The loop may have waited for the interpreter: it goes first.
        try:
            failed = self._exporter.export(made) is not SpanExportResult.SUCCESS
            reason = "the collector did not take them"
        except Exception as error:  # noqa: BLE001 - whatever a transport raises must not end the thread
            failed, reason = True, f"{type(error).__name__}: {error}"
        self._count("failed" if failed else "exported", len(made))
        if failed and not self._failing:
            say("warning", f"traces: spans were lost: {reason}; told again after the next success")
        self._failing = failed

    def _made(self, span: Span) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        trace_id = int(span.trace_id, HEX)
        flags = TraceFlags(TraceFlags.SAMPLED)
        parent = None
        if span.parent_id is not None:
            parent = SpanContext(trace_id, int(span.parent_id, HEX), is_remote=True, trace_flags=flags)
        broken = span.status >= 500 or span.status == 0
        return ReadableSpan(
            name=f"{_text(span.method)} {span.route}",
            context=SpanContext(trace_id, int(span.span_id, HEX), is_remote=False, trace_flags=flags),
            parent=parent,
            resource=self._resource,
            attributes=_attributes(span),
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR if broken else StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )


def otlp(endpoint: str, headers: Mapping[str, str], timeout: float) -> Exporter:
    """Spans by OTLP over HTTP, with protobuf."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter: Exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=timeout)
    return exporter


def _attributes(span: Span) -> dict[str, str | int | float]:
    """By OpenTelemetry's conventions for HTTP servers. The query is left out: it may hold secrets."""
    found: dict[str, str | int | float | None] = {
        "http.request.method": _text(span.method),
        "http.route": span.route,
        "http.response.status_code": span.status or None,
        "url.path": _text(span.path),
        "server.address": None if span.host is None else _text(span.host),
        "client.address": _text(span.client),
        "user_agent.original": None if span.user_agent is None else _text(span.user_agent),
        "error.type": None if span.error is None else _text(span.error),
        "tetrapylon.upstream": None if span.upstream is None else _text(span.upstream),
        "tetrapylon.upstream.duration": span.upstream_ns / 1e9,
        "http.request.resend_count": span.resend_count or None,
        "enduser.id": span.consumer,
    }
    return {name: value for name, value in found.items() if value is not None}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
