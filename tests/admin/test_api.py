"""The admin's answers, as a function: what is alive, what is ready, what is not there."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest

from tetrapylon._core.counters import Slabs, State
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


def ask(slabs: Slabs, path: str, method: str = "GET", silence: float = SILENCE) -> Answer:
    answer = Api(slabs, lambda: [{"http_route": "/"}], silence=silence).answer(method, path, {})
    assert isinstance(answer, Answer)
    return answer


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


def test_the_index_lists_what_is_here_and_all_of_it_is(slabs: Slabs) -> None:
    answer = ask(slabs, "/")
    assert isinstance(answer.body, bytes)
    index = json.loads(answer.body)
    assert index["state"] == "serving"
    assert index["workers"] == {"configured": 2, "serving": 1}
    assert {"/", "/livez", "/readyz", "/metrics", "/health"} == set(index["endpoints"])
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
    assert "/ lists what is here" in problem(answer)["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_405(slabs: Slabs, method: str) -> None:
    answer = ask(slabs, "/metrics", method)
    assert answer.status == 405
    assert headers(answer)["Allow"] == "GET, HEAD"
    assert "GET and HEAD" in problem(answer)["detail"]


def test_head_is_answered_as_get(slabs: Slabs) -> None:
    assert ask(slabs, "/readyz", "HEAD") == ask(slabs, "/readyz")


def test_a_query_changes_nothing(slabs: Slabs) -> None:
    assert ask(slabs, "/readyz?verbose=1") == ask(slabs, "/readyz")
