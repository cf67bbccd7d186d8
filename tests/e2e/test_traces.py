"""W3C trace context towards upstreams, and spans at a real OTLP collector's end of the wire."""

import http.server
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness import Upstream, answers
from tests.harness.gateway import Gateway
from tests.harness.wait import eventually

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{PARENT}-01"
FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])")


class Collector(http.server.ThreadingHTTPServer):
    """Takes OTLP over HTTP, or says 503."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.away = False
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                if not collector.away:
                    collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(400 if collector.away else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def end(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.end()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answers.raw(answers.response(b"ok"))) as upstream:
        yield upstream


def config(upstream: Upstream, traces: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "upstreams": {"app": {"targets": [upstream.url]}},
        "policies": [{"use": "traceparent", **settings}],
        "routes": [
            {"path": "/users/{id:int}", "upstream": "app"},
            {"path": "/ping", "respond": {"body": "pong"}},
        ],
    }
    return made | ({"traces": traces} if traces is not None else {})


def ask(gateway: Gateway, upstream: Upstream, *fields: tuple[str, str]) -> tuple[str, str, str]:
    """Trace, span and sampled flag as the upstream is told."""
    with gateway.client() as client:
        assert client.ask("GET", "/users/7?token=sesame", fields).status == 200
    value = upstream.requests[-1].headers.get("traceparent")
    assert value is not None
    found = FORM.fullmatch(value)
    assert found is not None, value
    return found[1], found[2], found[3]


def test_a_trace_goes_on_with_a_span_of_our_own(upstream: Upstream) -> None:
    with Gateway(config(upstream)) as gateway:
        trace, span, sampled = ask(gateway, upstream, ("traceparent", VALID), ("tracestate", "a=b"))
        assert (trace, sampled) == (TRACE, "1")
        assert span != PARENT
        assert upstream.requests[-1].headers.get("tracestate") == "a=b"
        assert ask(gateway, upstream, ("traceparent", VALID[:-1] + "0"))[2] == "0"
        assert ask(gateway, upstream, ("traceparent", "cc" + VALID[2:] + "-what-comes-later"))[0] == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        VALID.upper(),
        "ff" + VALID[2:],
        VALID + "-more",
        "cc" + VALID[2:] + "more",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}_{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0x",
    ],
)
def test_what_is_no_trace_begins_one(upstream: Upstream, value: str) -> None:
    with Gateway(config(upstream)) as gateway:
        trace, _, sampled = ask(gateway, upstream, ("traceparent", value), ("tracestate", "a=b"))
        assert trace not in (TRACE, "0" * 32)
        assert sampled == "1"
        assert upstream.requests[-1].headers.get("tracestate") is None


def test_two_of_them_are_none_and_no_client_can_remove_ours(upstream: Upstream) -> None:
    with Gateway(config(upstream)) as gateway:
        assert ask(gateway, upstream, ("traceparent", VALID), ("Traceparent", VALID))[0] != TRACE
        assert ask(gateway, upstream, ("Connection", "traceparent"), ("trace_parent", "x"))[0] != TRACE


def test_clients_need_not_be_believed_and_a_share_is_sampled(upstream: Upstream) -> None:
    with Gateway(config(upstream, accept=False, sample=0.0)) as gateway:
        traces = {ask(gateway, upstream, ("traceparent", VALID)) for _ in range(5)}
        assert len({trace for trace, _, _ in traces}) == 5
        assert {sampled for _, _, sampled in traces} == {"0"}


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_spans_reach_the_collector(upstream: Upstream, collector: Collector) -> None:
    traces = {"endpoint": collector.url, "service": "shop", "headers": {"X-Key": "sesame"}}
    with Gateway(config(upstream, traces)) as gateway:
        trace, span_id, _ = ask(gateway, upstream, ("traceparent", VALID), ("User-Agent", "probe"))
        ask(gateway, upstream, ("traceparent", VALID[:-1] + "0"))
        eventually(lambda: len(collector.spans) == 1, "the sampled one is there", within=15)
        (span,) = collector.spans
        assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
            trace,
            span_id,
            PARENT,
        )
        assert span.name == "GET /users/{id:int}"
        assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10_000_000_000
        told = attributes(span)
        assert told["http.response.status_code"] == 200
        assert (told["http.route"], told["url.path"]) == ("/users/{id:int}", "/users/7")
        assert told["user_agent.original"] == "probe"
        assert "sesame" not in str(span)
        (resource,) = collector.requests[0].resource_spans
        assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "shop"
        assert collector.headers[0]["x-key"] == "sesame"


def test_what_waits_is_sent_at_the_end(upstream: Upstream, collector: Collector) -> None:
    with Gateway(config(upstream, {"endpoint": collector.url})) as gateway:
        for _ in range(20):
            ask(gateway, upstream)
    assert len(collector.spans) == 20
    assert len({span.trace_id for span in collector.spans}) == 20


def test_a_collector_that_is_away_stops_no_traffic_and_is_told_once(
    upstream: Upstream, collector: Collector
) -> None:
    collector.away = True
    with Gateway(config(upstream, {"endpoint": collector.url, "timeout": "1s"})) as gateway:
        for _ in range(3):
            ask(gateway, upstream)
            eventually(lambda: "traces: spans were lost" in gateway.stderr, "it is told", within=15)
        assert gateway.stderr.count("traces: spans were lost") == 1
        collector.away = False
        ask(gateway, upstream)
        eventually(lambda: len(collector.spans) > 0, "it is back", within=15)
