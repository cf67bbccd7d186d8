"""USR2: new code in the same process, new workers before the old ones go, and not one request lost."""

import itertools
import os
import signal
import threading
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.test_reload import answering
from tests.harness import Conversation, Gateway, Upstream, answers, ask, eventually, leaks, proxy, request
from tests.harness.load import load


def replace(gateway: Gateway) -> list[int]:
    """Sends USR2 and waits until the old workers are gone. Gives the new family."""
    old = set(gateway.workers)
    gateway.signal(signal.SIGUSR2)
    eventually(lambda: is_new(gateway, old), "a new family serves alone", within=90)
    return gateway.workers


def is_new(gateway: Gateway, old: set[int]) -> bool:
    family = set(gateway.workers)
    return len(family) == len(old) and not family & old


def test_all_processes_but_the_first_are_new_and_no_request_fails() -> None:
    with Gateway(answering("x", server={"workers": 2})) as gateway, load(gateway.address):
        for _ in range(2):
            replace(gateway)
        assert sum("listening on" in line for line in gateway.lines) == 3


def total(gateway: Gateway, name: str, **labels: str) -> float:
    """The sum of all samples with these labels."""
    with urllib.request.urlopen(f"http://{gateway.admin}/metrics", timeout=10) as response:
        text = response.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def restarted(gateway: Gateway, times: float) -> bool:
    """So many times, and all workers serve again."""
    serving = total(gateway, "tetrapylon_workers", state="serving")
    return total(gateway, "tetrapylon_worker_restarts_total") == times and serving > 0


COUNT = "http_server_request_duration_seconds_count"


def test_counters_keep_their_totals_under_load() -> None:
    """Not a request is lost of what old and new workers count, side by side, and none is counted twice."""
    with Gateway(answering("x", server={"workers": 2})) as gateway:
        with load(gateway.address) as clients:
            for _ in range(2):
                before = total(gateway, COUNT)
                replace(gateway)
                assert total(gateway, COUNT) > before > 0
        # Of a connection that was closed meanwhile the last answer may not have been counted yet.
        answered = sum(each.answered for each in clients)
        eventually(lambda: total(gateway, COUNT, http_route="/") == answered, f"{answered} are counted")
        assert total(gateway, "http_server_active_requests") == 0
        assert total(gateway, "tetrapylon_workers", state="serving") == 2
        assert total(gateway, "tetrapylon_workers", state="draining") == 0


def test_routes_keep_their_counters_wherever_they_stand_in_the_new_config() -> None:
    def config(*paths: str) -> dict[str, Any]:
        return {
            "routes": [{"path": path, "respond": {"body": path}} for path in paths],
            "admin": {"listen": "127.0.0.1:0"},
        }

    with Gateway(config("/a", "/b")) as gateway:
        with gateway.client() as client:
            for path in ("/a", "/b", "/b"):
                assert client.ask("GET", path).body == path.encode()
        gateway.write(config("/new", "/b", "/a"))
        replace(gateway)
        with gateway.client() as client:
            client.ask("GET", "/new")
        counts = {path: total(gateway, COUNT, http_route=path) for path in ("/a", "/b", "/new")}
        assert counts == {"/a": 1, "/b": 2, "/new": 1}


def test_limits_and_the_standing_of_targets_go_on() -> None:
    limit = {"use": "rate_limit", "rate": "2/h", "key": "route"}
    with Gateway(answering("x", policies=[limit])) as gateway:
        with gateway.client() as client:
            assert [client.ask().status for _ in range(3)] == [200, 200, 429]
        replace(gateway)
        with gateway.client() as client:
            assert client.ask().status == 429


def test_what_is_changed_through_an_old_worker_is_not_stale_in_a_new_one() -> None:
    changed = threading.Event()
    numbers = itertools.count()

    def origin(peer: Conversation) -> None:
        while not peer.reader.at_end():
            if peer.request().method == "POST":
                peer.send(changed, answers.response())
            else:
                fresh = [("Cache-Control", "max-age=600")]
                peer.send(answers.response(b"%d" % next(numbers), headers=fresh))

    with Upstream(origin) as upstream:
        config = proxy(upstream.url, policies=[{"use": "cache"}], admin={"listen": "127.0.0.1:0"})
        with Gateway(config) as gateway, gateway.client() as old:
            old.send(request("POST", "/a", body=b"x"))
            upstream.wait_requests(1)
            gateway.signal(signal.SIGUSR2)
            drains = partial(total, gateway, "tetrapylon_workers", state="draining")
            eventually(lambda: drains() == 1, "the old worker serves nobody else", within=90)
            first = ask(gateway.address, target="/a").body
            assert ask(gateway.address, target="/a").body == first
            changed.set()
            assert old.response("POST").status == 200
            assert ask(gateway.address, target="/a").body != first


def test_a_worker_of_the_new_code_that_dies_is_counted_with_those_before() -> None:
    with Gateway(answering("x")) as gateway:
        for restarts in (1.0, 2.0):
            os.kill(gateway.workers[0], signal.SIGKILL)
            eventually(partial(restarted, gateway, restarts), "it is replaced, and serves", within=30)
            replace(gateway)
        assert total(gateway, "tetrapylon_worker_restarts_total") == 2


def test_no_descriptor_is_left_of_what_was_before() -> None:
    with Gateway(answering("x")) as gateway:
        replace(gateway)
        after_one = kinds(gateway)
        for _ in range(2):
            replace(gateway)
        assert kinds(gateway) == after_one


def kinds(gateway: Gateway) -> list[str]:
    """What the supervisor has open; pipes and sockets without their numbers."""
    return sorted(name.partition(":[")[0] for name in leaks.descriptors(gateway.pid).values())


def test_counts_begin_anew_where_there_is_room_for_another_number_of_routes() -> None:
    with Gateway(answering("x")) as gateway:
        with gateway.client() as client:
            client.ask()
        gateway.write(answering("x", metrics={"max_routes": 10}))
        replace(gateway)
        gateway.wait_line("SIGUSR2: all counts begin anew: there were counters for 65535 routes")
        with gateway.client() as client:
            client.ask()
        assert total(gateway, COUNT) == 1


def test_counts_begin_anew_by_other_bounds() -> None:
    with Gateway(answering("x")) as gateway:
        with gateway.client() as client:
            client.ask()
        gateway.write(answering("x", metrics={"duration_bounds": ["1ms", "1s"]}))
        replace(gateway)
        gateway.wait_line("SIGUSR2: all counts begin anew: descriptor")
        assert total(gateway, COUNT) == 0


def test_the_new_code_serves_by_the_config_as_it_is_now() -> None:
    with Gateway(answering("old")) as gateway:
        gateway.write(answering("new"))
        replace(gateway)
        with gateway.client() as client:
            assert client.ask().body == b"new"
        gateway.write(answering("newest"))
        gateway.signal(signal.SIGHUP)
        gateway.wait_line("applied, generation 2")


def test_code_that_cannot_begin_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken release: what is imported first raises, from a certain moment on."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nif os.path.exists({str(tmp_path / 'broken')!r}): os._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Gateway(answering("old")) as gateway, load(gateway.address):
        before = gateway.workers
        (tmp_path / "broken").touch()
        gateway.signal(signal.SIGUSR2)
        gateway.wait_line("before it could serve; the old serves on", within=90)
        assert gateway.workers == before


def test_a_config_that_is_bad_now_changes_nothing() -> None:
    with Gateway(answering("old")) as gateway, gateway.client() as client:
        before = gateway.workers
        gateway.write("routes: [")
        gateway.signal(signal.SIGUSR2)
        gateway.wait_line("exited with status 2 before it could serve", within=90)
        assert gateway.workers == before
        assert client.ask().body == b"old"


def test_an_old_worker_that_does_not_end_is_killed_in_time() -> None:
    with Gateway(answering("x", server={"timeouts": {"drain": "200ms"}})) as gateway:
        worker = gateway.workers[0]
        os.kill(worker, signal.SIGSTOP)
        replace(gateway)
        gateway.wait_line(f"old worker (pid {worker}) has not ended in time; killing it")
