"""The load generator counts what it should, and above all what went wrong."""

import json
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.e2e import load
from benchmarks.e2e.load import CHUNKED, CONNECT, POST, SCENARIOS, SMALL, Held, Loading, Scenario
from benchmarks.e2e.process import Upstream, free_port


def told(tools: Path, *arguments: object) -> dict[str, Any]:
    command = [str(tools / "load"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode != 0) == (answer["failures"] > 0)
    return answer


UPLOAD = Scenario("upload", "", (*POST.arguments, "--chunked"))


@pytest.mark.parametrize("scenario", [*SCENARIOS, CHUNKED, UPLOAD], ids=lambda one: one.name)
def test_answers_as_expected_are_no_failures(tools: Path, upstream: Upstream, scenario: Scenario) -> None:
    sample = Loading(tools / "load", upstream.port, scenario, seconds=1, requests=300, connections=8).result()
    assert (sample.answered, sample.failures) == (300, 0)
    assert 0 < sample.p50 <= sample.p99 <= sample.longest


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--path", "/wrong/status"], "status"),
        (["--path", "/small", "--expect-status", "204"], "status"),
        (["--path", "/wrong/length", "--expect-length", "203"], "length"),
        (["--path", "/small", "--expect-length", "204"], "length"),
        (["--path", "/chunked", "--expect-length", "202"], "length"),
        (["--path", "/wrong/close"], "closed"),
        (["--path", "/ack", "--post", "10", "--expect-body", '{"received":11}'], "content"),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_a_wrong_answer_is_a_failure(
    tools: Path, upstream: Upstream, arguments: list[str], kind: str
) -> None:
    answer = told(tools, "--port", upstream.port, "--connections", 2, "--requests", 20, *arguments)
    assert answer["failure"][kind] == answer["failures"] == 20


def test_rubbish_is_a_failure(tools: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-rubbish\r\n\r\n")
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        answer = told(tools, "--port", server.getsockname()[1], "--connections", 1, "--requests", 1)
        thread.join()
    assert answer["failure"]["message"] == 1


def test_silence_is_a_failure(tools: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = told(tools, "--port", port, "--connections", 1, "--requests", 1, "--timeout", 0.2)
    assert answer["failure"]["timeout"] == 1


def test_nobody_there_is_a_failure(tools: Path) -> None:
    answer = told(tools, "--port", free_port(), "--connections", 1, "--seconds", 0.3)
    assert answer["failure"]["connect"] > 0
    assert answer["answered"] == 0


def test_a_constant_rate_is_kept(tools: Path, upstream: Upstream) -> None:
    sample = Loading(tools / "load", upstream.port, SMALL, seconds=0.5, warm=0.1, rate=400).result()
    assert sample.failures == 0
    # Those due in the warm-up, 40, may be answered after it.
    assert 196 <= sample.answered <= 244
    assert sample.kept_up


def test_a_stall_is_charged_to_every_request_it_delayed(tools: Path) -> None:
    """One connection, 100 requests a second, one stall of 0.5 s: about half of them were late."""
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for number in range(1000):
                    if not connection.recv(65536):
                        return
                    if number == 20:
                        time.sleep(0.5)
                    connection.sendall(body)

        thread = threading.Thread(target=serve)
        thread.start()
        arguments = ("--connections", 1, "--rate", 100, "--seconds", 1)
        answer = told(tools, "--port", server.getsockname()[1], *arguments)
        thread.join()
    assert answer["recorded"] == 100
    assert answer["latency_us"]["p50"] < 100_000
    assert answer["latency_us"]["p90"] > 300_000


def test_what_fell_due_and_was_never_sent_counts_as_late(tools: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = told(tools, "--port", port, "--connections", 1, "--rate", 100, "--seconds", 0.5)
    assert (answer["answered"], answer["unfinished"], answer["unsent"]) == (0, 1, 49)
    assert answer["recorded"] == 50
    assert answer["latency_us"]["p50"] > 200_000


def test_the_cpu_time_of_processes_is_told(tools: Path, upstream: Upstream) -> None:
    pid = upstream.pid
    sample = Loading(tools / "load", upstream.port, SMALL, seconds=0.3, warm=0.1, pids=[pid]).result()
    assert 0.5 < sample.cpu_per_request < 1000


def test_a_server_that_closes_after_its_answer_is_connected_to_again(tools: Path, upstream: Upstream) -> None:
    sample = Loading(tools / "load", upstream.port, CONNECT, seconds=1, requests=50, connections=4).result()
    assert (sample.answered, sample.failures) == (50, 0)


def test_connections_are_held(tools: Path, upstream: Upstream) -> None:
    before = upstream.descriptors()
    held = Held(tools / "load", upstream.port, 50)
    try:
        assert held.failures == 0
        assert upstream.descriptors() == before + 50
    finally:
        held.close()


def test_a_run_counts_only_when_the_gateway_kept_its_core_busy() -> None:
    line = {
        "answered": 1000, "seconds": 1.0, "rate": 1000.0, "failures": 0, "cpu_ns": 950_000_000,
        "core_busy": 0.98,
        "latency_us": {"p50": 1, "p90": 1, "p99": 1, "p99.9": 1, "max": 1}, "offered": 0.0, "unsent": 0,
        "reconnects": 0, "own_cpu_ns": 1,
    }  # fmt: skip
    assert load.parse(json.dumps(line)).saturated
    assert load.parse(json.dumps(line)).cpu_per_request == 950
    assert not load.parse(json.dumps({**line, "core_busy": 0.96})).saturated
    assert not load.parse(json.dumps({**line, "cpu_ns": 500_000_000})).saturated, "something else ran there"
