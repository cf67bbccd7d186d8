"""A worker that is killed under load: what is lost, how soon it is back, and what its counters keep."""

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.e2e.test_replace import COUNT, restarted, total
from tests.harness import Gateway, Upstream, answers, eventually, proxy, request
from tests.harness.load import Load
from tests.harness.wire import Truncated

KILLS = 3
CLIENTS = 8
WORKERS = 2


def config(upstream: Upstream) -> dict[str, Any]:
    return proxy(upstream.url, server={"workers": WORKERS}, admin={"listen": "127.0.0.1:0"})


@contextmanager
def clients(gateway: Gateway) -> Iterator[Sequence[Load]]:
    """Half of them keep their connections; what fails is left to the test."""
    loads = [Load(gateway.address, "/", keep=bool(index % 2)) for index in range(CLIENTS)]
    threads = [threading.Thread(target=each.run, daemon=True) for each in loads]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: all(each.answered > 2 for each in loads), "the clients are at it")
        yield loads
    finally:
        for each in loads:
            each.stop()
        for thread in threads:
            thread.join(10)


def kill_worker(gateway: Gateway, times: int) -> float:
    """Kills one of them; gives the seconds until all serve again."""
    with urllib.request.urlopen(f"http://{gateway.admin}/live", timeout=10) as response:
        pid = json.load(response)["workers"][0]["pid"]
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: restarted(gateway, times), "it is counted", within=30)
    serving = {"state": "serving"}
    eventually(lambda: total(gateway, "tetrapylon_workers", **serving) == WORKERS, "it is back", within=30)
    return time.monotonic() - began


def test_only_what_it_had_in_flight_is_lost_and_it_is_back_in_a_second() -> None:
    with Upstream(answers.ok, record=False) as upstream, Gateway(config(upstream)) as gateway:
        with clients(gateway) as loads:
            times = [kill_worker(gateway, kill + 1) for kill in range(KILLS)]
            before = [each.answered for each in loads]
            eventually(
                lambda: all(each.answered > count for each, count in zip(loads, before, strict=True)),
                "every client gets answers again",
            )
        # The quickest of some: the machine may have other work.
        assert min(times) < 1.0, times
        # A client has one request in flight, so it loses no more of them than there were deaths.
        lost = [each.failures for each in loads]
        assert all(len(failures) <= KILLS for failures in lost), lost
        assert not any("Refused" in failure or "Timeout" in failure for each in lost for failure in each)
        answered = sum(each.answered for each in loads)
        count = sum(map(len, lost))
        # What was answered at the moment of a death may not have been counted, and the other way round.
        eventually(lambda: abs(total(gateway, COUNT) - answered) <= count + KILLS, f"{answered} are counted")
        assert total(gateway, "http_server_active_requests") == 0


def test_what_its_neighbour_has_in_flight_goes_on() -> None:
    gate = threading.Event()
    slow = answers.raw(gate, answers.response(b"late"))
    with Upstream(slow) as upstream, Gateway(config(upstream)) as gateway:
        held = [gateway.client(timeout=20) for _ in range(16)]  # the kernel spreads them over both
        for client in held:
            client.send(request("GET", "/"))
        upstream.wait_requests(len(held))
        kill_worker(gateway, 1)
        gate.set()
        ended = []
        for client in held:
            try:
                ended.append(client.response().body)
            except (ConnectionError, Truncated):
                ended.append(b"lost")
            client.close()
        assert set(ended) == {b"late", b"lost"}, ended
