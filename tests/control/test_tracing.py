"""The queue of spans: bounded, counted, emptied off the loop."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace.export import SpanExportResult

from tests.harness.wait import eventually
from tetrapylon._core.policies.traceparent import Span
from tetrapylon.telemetry.tracing import Spans

SPAN = Span(
    trace_id=b"0af7651916cd43dd8448eb211c80319c",
    span_id=b"b7ad6b7169203331",
    parent_id=None,
    method=b"GET",
    route="/",
    path=b"/\xff",
    host=None,
    status=502,
    start_ns=1,
    end_ns=2,
    client=b"127.0.0.1",
    user_agent=None,
    upstream=None,
    upstream_ns=1_500_000_000,
    resend_count=2,
    consumer="mobile",
    error=b"connect_failed",
)


class Exporter:
    """Takes spans once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.spans: list[Any] = []
        self.shut = False
        self.fault: Exception | None = None

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.shut = True


def test_a_slow_collector_fills_the_queue_and_no_more() -> None:
    exporter, counts = Exporter(), Counter[str]()
    spans = Spans(exporter, "s", 100, lambda outcome, count: counts.update({outcome: count}))
    for _ in range(1000):
        spans.put(SPAN)
    assert counts["dropped"] >= 1000 - 100 - 2 * 64
    exporter.gate.set()
    eventually(
        lambda: counts["exported"] + counts["dropped"] == 1000, "each is exported or counted", within=10
    )
    assert len(exporter.spans) == counts["exported"]
    spans.close()
    assert exporter.shut


def test_a_span_says_what_broke() -> None:
    exporter = Exporter()
    exporter.gate.set()
    spans = Spans(exporter, "s", 100, lambda outcome, count: None)
    spans.put(SPAN)
    spans.close()
    (span,) = exporter.spans
    assert span.status.status_code.name == "ERROR"
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/",
        "http.response.status_code": 502,
        "url.path": "/\ufffd",
        "client.address": "127.0.0.1",
        "error.type": "connect_failed",
        "tetrapylon.upstream.duration": 1.5,
        "http.request.resend_count": 2,
        "enduser.id": "mobile",
    }
    assert span.parent is None


def test_an_exporter_that_raises_does_not_end_the_thread() -> None:
    exporter, counts = Exporter(), Counter[str]()
    exporter.gate.set()
    exporter.fault = OSError("no route")
    spans = Spans(exporter, "s", 100, lambda outcome, count: counts.update({outcome: count}))
    for _ in range(64):
        spans.put(SPAN)
    eventually(lambda: counts["failed"] == 64, "they are counted", within=10)
    exporter.fault = None
    for _ in range(64):
        spans.put(SPAN)
    eventually(lambda: counts["exported"] == 64, "and the next ones exported", within=10)
    spans.close()
