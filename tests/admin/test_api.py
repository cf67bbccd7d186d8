"""The admin's answers, as a function: what is alive, what is ready, what is not there."""

import asyncio
import json
import os
from collections.abc import Awaitable, Mapping
from typing import Any

import pytest

from tetrapylon._core.telemetry.counters import Slabs, State
from tetrapylon.admin.answer import Answer
from tetrapylon.admin.api import Api

SILENCE = 5.0


@pytest.fixture
def slabs() -> Slabs:
    """Two workers, the first of them serving."""
    slabs = Slabs(2, 1)
    slabs.supervisor().claim(os.getpid())
    slabs.slab(0).claim(os.getpid())
    slabs.slab(0).state = State.SERVING
    return slabs


def ask(slabs: Slabs, path: str, method: str = "GET", silence: float = SILENCE, **fields: str) -> Answer:
    answer = Api(slabs, lambda: [{"http_route": "/"}], silence=silence).answer(method, path, fields)
    return answer if isinstance(answer, Answer) else asyncio.run(waited(answer))


async def waited(answer: Awaitable[Answer]) -> Answer:
    return await answer


def headers(answer: Answer) -> Mapping[str, str]:
    return dict(answer.headers)


def problem(answer: Answer) -> dict[str, Any]:
    assert headers(answer)["Content-Type"] == "application/problem+json"
    assert isinstance(answer.body, bytes)
    body: dict[str, Any] = json.loads(answer.body)
    assert body["status"] == answer.status
    assert body["title"]
    return body


def test_it_is_alive_whatever_the_workers_do(slabs: Slabs) -> None:
    for state in State:
        slabs.slab(0).state = state
        assert ask(slabs, "/livez").status == 200


def test_it_is_ready_while_a_worker_serves(slabs: Slabs) -> None:
    answer = ask(slabs, "/readyz")
    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize("state", [State.VACANT, State.STARTING, State.DRAINING])
def test_it_is_not_ready_when_no_worker_serves(slabs: Slabs, state: State) -> None:
    slabs.slab(0).state = state
    answer = ask(slabs, "/readyz")
    assert answer.status == 503
    assert "no worker serves" in problem(answer)["detail"]
    assert headers(answer)["Retry-After"] == "1"


def test_a_silent_worker_does_not_count_as_serving(slabs: Slabs) -> None:
    assert ask(slabs, "/readyz", silence=0.0).status == 503
    slabs.slab(0).beat()
    assert ask(slabs, "/readyz").status == 200


def test_it_is_not_ready_while_draining(slabs: Slabs) -> None:
    slabs.supervisor().state = State.DRAINING
    answer = ask(slabs, "/readyz")
    assert answer.status == 503
    assert "draining" in problem(answer)["detail"]


def test_the_status_lists_what_is_here_and_all_of_it_is(slabs: Slabs) -> None:
    answer = ask(slabs, "/status")
    assert isinstance(answer.body, bytes)
    index = json.loads(answer.body)
    assert index["state"] == "serving"
    assert index["workers"] == {"configured": 2, "serving": 1}
    assert {"/", "/livez", "/readyz", "/metrics", "/upstreams", "/status"} == set(index["endpoints"])
    for path in index["endpoints"]:
        assert ask(slabs, path).status == 200


def test_metrics_are_prometheus_text(slabs: Slabs) -> None:
    answer = ask(slabs, "/metrics")
    assert headers(answer)["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert not isinstance(answer.body, bytes)
    assert b"# TYPE http_server_request_duration_seconds histogram\n" in b"".join(answer.body)


@pytest.mark.parametrize("path", ["/nothing", "/livez/", "/LIVEZ", "", "*", "//livez"])
def test_what_is_not_here_is_404(slabs: Slabs, path: str) -> None:
    answer = ask(slabs, path)
    assert answer.status == 404
    assert "/status lists what is here" in problem(answer)["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_405(slabs: Slabs, method: str) -> None:
    answer = ask(slabs, "/metrics", method)
    assert answer.status == 405
    assert headers(answer)["Allow"] == "GET, HEAD"
    assert "GET and HEAD" in problem(answer)["detail"]


def test_head_is_answered_as_get(slabs: Slabs) -> None:
    assert ask(slabs, "/readyz", "HEAD") == ask(slabs, "/readyz")


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0", True),
        ("Application/OpenMetrics-Text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", True),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=rubbish,text/plain", False),
        ("text/*;q=0.9, application/openmetrics-text;q=0.8", False),
        (",;,=;q", False),
    ],
)
def test_who_asks_for_openmetrics_by_name_gets_it(slabs: Slabs, accept: str, openmetrics: bool) -> None:
    answer = ask(slabs, "/metrics", accept=accept)
    kind = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain; version=0.0.4"
    assert headers(answer)["Content-Type"] == f"{kind}; charset=utf-8"
    assert headers(answer)["Vary"] == "Accept"
    assert b"".join(answer.body).endswith(b"# EOF\n") is openmetrics  # type: ignore[arg-type]


def test_a_query_changes_nothing(slabs: Slabs) -> None:
    assert ask(slabs, "/readyz?verbose=1") == ask(slabs, "/readyz")
