"""A mixed soak: sizes, methods, disconnects and upstream faults at random, and nothing is left of them.

SOAK=2000000 sends that many requests; without it a few thousand.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from tests.harness import Client, Gateway, eventually, leaks, proxy, request

REQUESTS = int(os.environ.get("SOAK", "6000"))
PROCESSES = 2
RATE = 200  # requests a second that a very slow machine still makes
# A short run has not seen every buffer's largest size in its first tenth.
GROWTH = 0.05 if REQUESTS >= 100_000 else 0.15

GAUGES = (
    "tetrapylon_connections",
    "http_server_active_requests",
    "tetrapylon_upstream_connections",
    "tetrapylon_upstream_connections_idle",
)


class State(NamedTuple):
    """What a gateway at rest holds."""

    gauges: dict[str, float]
    descriptors: int
    processes: list[int]


@contextmanager
def upstream() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.harness.soak_upstream"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def storm(address: str, requests: int, seed: int) -> Counter[str]:
    """Sends them from several processes at once. Returns how often each kind of request was made."""
    command = [sys.executable, "-m", "tests.harness.soak_client", address, str(requests // PROCESSES)]
    clients = [
        subprocess.Popen([*command, str(seed + number)], stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    kinds: Counter[str] = Counter()
    try:
        for client in clients:
            told = json.loads(client.communicate(timeout=60 + requests / RATE)[0])
            assert told["wrong"] == {}
            assert told["requests"] >= requests // PROCESSES
            kinds.update(told["kinds"])
    finally:
        for client in clients:
            client.kill()
            client.wait()
    return kinds


def metrics(gateway: Gateway) -> dict[str, float]:
    """Each sample's sum over its labels, by name."""
    assert gateway.admin is not None
    with Client(gateway.admin) as client:
        response = client.send(request("GET", "/metrics", host="localhost")).response()
    assert response.status == 200
    values: dict[str, float] = {}
    for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", response.body.decode(), re.MULTILINE):
        values[name] = values.get(name, 0) + float(value)
    return values


def state(gateway: Gateway) -> State:
    values = metrics(gateway)
    return State({name: values.get(name, 0) for name in GAUGES}, gateway.descriptors(), gateway.workers)


def busy(pid: int) -> float:
    """CPU seconds that the process tree has used."""
    total = 0
    for process in leaks.children(pid):
        with open(f"/proc/{process}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


@pytest.mark.timeout(300 + REQUESTS / RATE)
def test_nothing_is_left_of_a_mixed_soak() -> None:
    config: dict[str, Any] = {
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"workers": 1},
        "upstream": {"pool": {"idle": "500ms", "max_connections": 32}},
    }
    with upstream() as url, Gateway(proxy(url, **config)) as gateway:
        before = state(gateway)
        assert set(before.gauges.values()) == {0}

        storm(gateway.address, REQUESTS // 10, 1)
        eventually(lambda: state(gateway) == before, f"at rest, as {before}", within=10)
        memory = leaks.pss(gateway.pid)

        kinds = storm(gateway.address, REQUESTS - REQUESTS // 10, 100)
        assert len(kinds) == 11
        eventually(lambda: state(gateway) == before, f"at rest, as {before}", within=10)
        assert leaks.pss(gateway.pid) <= memory * (1 + GROWTH)

        values = metrics(gateway)
        assert values["tetrapylon_worker_restarts_total"] == 0
        assert values["http_server_request_duration_seconds_count"] > REQUESTS * 0.9

        used = busy(gateway.pid)
        with gateway.client() as client:
            assert client.is_idle(1.0)
        assert busy(gateway.pid) - used < 0.2  # no descriptor keeps the loop awake
