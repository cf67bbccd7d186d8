"""`server_timing`: the time split in the answer."""

import re
import threading
import time

from tests.harness import answers
from tests.policies.rigs import behind

TIMING = {"use": "server_timing"}


def times(value: str | None) -> dict[str, float]:
    """Milliseconds by name, as W3C Server Timing has them."""
    found = re.findall(r"(\w+);dur=([0-9.]+)(?:, |$)", value or "")
    return {name: float(duration) for name, duration in found}


def test_the_upstream_time_is_the_upstreams_and_the_rest_the_gateways() -> None:
    gate = threading.Event()
    with behind(TIMING, script=answers.slow(gate, answers.response(b"late"))) as (client, upstream, _):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream.wait_requests(1)
        began = time.monotonic()
        threading.Timer(0.2, gate.set).start()
        response = client.response()
        waited = (time.monotonic() - began) * 1000
    told = times(response.headers.get("Server-Timing"))
    assert 150 < told["upstream"] < waited + 100
    assert 0 < told["gateway"] < 100


def test_what_the_upstream_says_of_its_own_times_stays() -> None:
    script = answers.raw(answers.response(b"ok", headers=[("Server-Timing", "db;dur=3")]))
    with behind(TIMING, script=script) as (client, _, _gateway):
        lines = client.ask("GET", "/").headers.all("Server-Timing")
    assert lines[0] == "db;dur=3"
    assert times(lines[1]).keys() == {"gateway", "upstream"}


def test_an_answer_of_the_gateways_own_has_no_upstream_time() -> None:
    with behind(TIMING, {"use": "maintenance"}) as (client, _, _gateway):
        told = times(client.ask("GET", "/").headers.get("Server-Timing"))
    assert told.keys() == {"gateway"}


def test_only_those_who_ask_are_told() -> None:
    with behind({**TIMING, "asked_by": "X-Timing"}) as (client, _, _gateway):
        assert not client.ask("GET", "/").headers.has("Server-Timing")
        assert client.ask("GET", "/", [("x-timing", "1")]).headers.has("Server-Timing")
