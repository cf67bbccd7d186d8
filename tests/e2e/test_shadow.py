"""A second destination gets copies, and how its answers differ is told; clients notice nothing."""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers, request
from tests.harness import eventually as holds
from tests.harness.upstream import Script


def says(body: Callable[[str], Any]) -> Script:
    """A service that answers JSON."""
    kind = [("Content-Type", "application/json")]
    return answers.each(lambda asked: answers.response(json.dumps(body(asked.target)).encode(), headers=kind))


eventually = partial(holds, within=30.0)
"""Comparing gives way to traffic: on a busy machine it takes its time."""

numbers = count()


def old(target: str) -> Any:
    return {"id": 1, "price": 2.0, "serial": f"{next(numbers):032x}"}


def new(target: str) -> Any:
    return {"serial": f"{next(numbers):032x}", "price": 2 if target != "/odd" else 3, "id": 1}


class Running:
    def __init__(self, gateway: Gateway, first: Upstream, second: Upstream) -> None:
        self.gateway, self.first, self.second = gateway, first, second

    def ask(self, path: str, method: str = "GET") -> Any:
        return json.loads(self.gateway.operate(path, method).body)

    def route(self) -> Any:
        found = self.ask("/diff")
        return found[0] if found else {"compared": 0}

    def metric(self, name: str) -> int:
        text = self.gateway.operate().body.decode()
        return sum(int(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


@contextmanager
def shadowed(
    tmp_path: Path,
    first: Script | None = None,
    second: Script | None = None,
    *,
    route: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Running]:
    with ExitStack() as stack:
        one = stack.enter_context(Upstream(first or says(old)))
        two = stack.enter_context(Upstream(second or says(new)))
        config = {
            "upstreams": {"old": {"targets": [one.url]}, "new": {"targets": [two.url]}},
            "routes": [
                {
                    "path": "/{rest:path}",
                    "name": "shop",
                    "upstream": "old",
                    "shadow": {"to": "new", "sample": "100%", **settings},
                    **(route or {}),
                }
            ],
            "diff": {"file": str(tmp_path / "diff.sqlite")},
            "admin": {"listen": "127.0.0.1:0"},
        }
        yield Running(stack.enter_context(Gateway(config)), one, two)


def test_what_means_the_same_is_the_same_and_what_does_not_is_told(tmp_path: Path) -> None:
    with shadowed(tmp_path) as running, running.gateway.client() as client:
        for n in range(30):
            assert json.loads(client.ask("GET", f"/{n}").body)["price"] == 2.0
        eventually(lambda: running.route()["compared"] == 30, "all are compared")
        assert running.route()["different"] == 0
        client.ask("GET", "/odd")
        eventually(lambda: running.route()["compared"] == 31, "one more")
        told = running.route()
        assert told["different"] == 1
        (one,) = told["differences"]
        assert (one["where"], one["kind"], one["count"]) == ("body price", "value", 1)
        assert one["samples"][0]["target"] == "/odd"
        assert [each["where"] for each in told["noise"]] == ["body serial"]


def test_answers_that_are_equal_to_the_last_byte_count_too(tmp_path: Path) -> None:
    same = answers.named("same")
    with shadowed(tmp_path, same, same) as running, running.gateway.client() as client:
        for n in range(40):
            client.ask("GET", f"/{n}")
        eventually(lambda: running.route()["compared"] == 40, "all are compared")
        assert running.route()["different"] == 0


def test_a_copy_is_the_request_and_unsafe_ones_are_not_copied_unless_named(tmp_path: Path) -> None:
    with shadowed(tmp_path, again="100%") as running, running.gateway.client() as client:
        client.ask("POST", "/a", body=b"hello")
        client.ask("GET", "/b?c=1", headers=[("X-A", "b"), ("Connection", "X-Hop"), ("X-Hop", "1")])
        (copy,) = running.second.wait_requests(1)
        assert (copy.method, copy.target, copy.headers.get("X-A")) == ("GET", "/b?c=1", "b")
        assert copy.headers.get("X-Hop") is None
        eventually(lambda: running.route()["compared"] == 1, "it is compared")
        assert [each.method for each in running.first.requests].count("POST") == 1
    with shadowed(tmp_path, methods=["POST"], again="100%") as running, running.gateway.client() as client:
        client.ask("POST", "/a", body=b"hello")
        (copy,) = running.second.wait_requests(1)
        assert (copy.method, copy.body) == ("POST", b"hello")
        assert [each.method for each in running.first.requests] == ["POST"]


def test_a_second_that_hangs_or_is_away_delays_nobody_and_is_told(tmp_path: Path) -> None:
    gate = threading.Event()
    late = answers.raw(gate, answers.response(b"late"))
    with (
        shadowed(tmp_path, None, late, in_flight=5, timeout="300ms") as running,
        running.gateway.client() as client,
    ):
        began = time.monotonic()
        for n in range(50):
            assert client.ask("GET", f"/{n}").status == 200
        assert time.monotonic() - began < 10
        eventually(lambda: running.route()["compared"] >= 5, "they are given up")
        (one,) = running.route()["differences"]
        assert (one["where"], one["kind"]) == ("answer", "error")
        assert running.metric("tetrapylon_shadow_copies_total") + running.metric(
            "tetrapylon_shadow_dropped_total"
        ) == pytest.approx(50, abs=5)
        gate.set()


def test_large_bodies_pass_whole_and_are_not_compared(tmp_path: Path) -> None:
    with (
        shadowed(tmp_path, answers.sized(200_000), answers.sized(200_000)) as running,
        running.gateway.client() as client,
    ):
        assert len(client.ask("GET", "/a").body) == 200_000
        eventually(lambda: running.metric("tetrapylon_shadow_too_large_total") == 1, "it is counted")
        assert running.ask("/diff") == []


def test_findings_survive_a_restart_and_can_be_forgotten(tmp_path: Path) -> None:
    with shadowed(tmp_path) as running, running.gateway.client() as client:
        client.ask("GET", "/odd")
        eventually(lambda: running.route()["compared"] == 1, "it is compared")
    with shadowed(tmp_path) as running:
        eventually(lambda: running.route()["compared"] == 1, "they are read")
        assert running.ask("/diff/forget?route=shop", "POST") == {"forgotten": "shop"}
        assert running.ask("/diff") == []


def test_a_corrupt_file_is_moved_aside_and_traffic_untouched(tmp_path: Path) -> None:
    path = tmp_path / "diff.sqlite"
    path.write_bytes(b"nothing that SQLite knows" * 500)
    with shadowed(tmp_path) as running, running.gateway.client() as client:
        assert client.ask("GET", "/odd").status == 200
        eventually(lambda: running.route()["compared"] == 1, "it is compared")
        assert "moved to" in running.gateway.stderr
    with sqlite3.connect(path) as base:
        assert base.execute("SELECT name FROM routes").fetchall() == [("shop",)]
    base.close()


def test_a_file_that_is_damaged_meanwhile_is_moved_aside_and_traffic_untouched(tmp_path: Path) -> None:
    path = tmp_path / "diff.sqlite"
    with shadowed(tmp_path) as running, running.gateway.client() as client:
        assert client.ask("GET", "/odd").status == 200
        eventually(lambda: path.exists() and b"shop" in path.read_bytes(), "it is written")
        with path.open("r+b", buffering=0) as raw:

            def noticed() -> bool:
                os.pwrite(raw.fileno(), b"nothing that SQLite knows" * 100, 0)  # it may be writing itself
                return "diff.sqlite.aside', begun anew" in running.gateway.stderr

            eventually(noticed, "it is said")
        assert client.ask("GET", "/odd").status == 200
        eventually(lambda: running.route()["compared"] == 2, "what was known is")
    with shadowed(tmp_path) as running:
        eventually(lambda: running.route()["compared"] == 2, "and was written")


def test_a_client_that_leaves_leaves_nothing_under_way(tmp_path: Path) -> None:
    gate = threading.Event()
    slow = answers.raw(gate, answers.response(b"late"))
    with shadowed(tmp_path, slow, None, in_flight=1) as running:
        with running.gateway.client() as client:
            client.send(request("GET", "/a"))
            running.first.wait_requests(1)
            client.reset()
            eventually(lambda: bool(running.gateway.access_log), "the gateway has noticed")
        gate.set()
        with running.gateway.client() as client:

            def copied() -> bool:
                client.ask("GET", "/b")
                return bool(running.second.requests)

            eventually(copied, "there is room for the next sample")
        assert all(each.target == "/b" for each in running.second.requests)


def test_a_reload_takes_a_shadow_away_and_brings_it_back(tmp_path: Path) -> None:
    with shadowed(tmp_path) as running, running.gateway.client() as client:
        client.ask("GET", "/a")
        eventually(lambda: running.route()["compared"] == 1, "it is compared")
        config = json.loads(running.gateway.config_path.read_text())
        plain = {name: value for name, value in config["routes"][0].items() if name != "shadow"}
        for generation, routes in (2, [plain]), (3, config["routes"]):
            running.gateway.write({**config, "routes": routes})
            running.gateway.signal(signal.SIGHUP)
            running.gateway.wait_line(f"applied, generation {generation}")
            if generation == 2:
                for n in range(5):
                    client.ask("GET", f"/{n}")
        client.ask("GET", "/b")
        eventually(lambda: running.route()["compared"] == 2, "only those that had a shadow")


def test_a_copy_is_framed_as_the_request_and_asks_no_leave_for_its_body(tmp_path: Path) -> None:
    validated = {"policies": [{"use": "validate", "body": {"schema": {"type": "object"}}}]}
    body = b'{"a": 1}'
    kind = ("Content-Type", "application/json")
    with (
        shadowed(tmp_path, route=validated, methods=["POST"]) as running,
        running.gateway.client() as client,
    ):
        client.send(request("POST", "/chunked", [kind, ("Transfer-Encoding", "chunked")]))
        client.send(b"4\r\n" + body[:4] + b"\r\n", b"4\r\n" + body[4:] + b"\r\n0\r\n\r\n")
        assert client.response().status == 200
        client.ask("POST", "/long", [kind, ("Expect", "100-continue")], body)
        chunked, long = running.second.wait_requests(2)
        assert (chunked.body, chunked.headers.get("Transfer-Encoding")) == (body, "chunked")
        assert chunked.headers.get("Content-Length") is None
        assert (long.body, long.headers.get("Content-Length"), long.headers.get("Expect")) == (
            body,
            "8",
            None,
        )
    with shadowed(tmp_path, methods=["POST"]) as running, running.gateway.client() as client:
        client.ask("POST", "/empty", body=b"")
        (empty,) = running.second.wait_requests(1)
        assert (empty.body, empty.headers.get("Content-Length")) == (b"", "0")


def test_more_samples_than_a_turn_copies_are_copied_in_the_next(tmp_path: Path) -> None:
    same = answers.named("same")
    with shadowed(tmp_path, same, same, again="0%") as running, ExitStack() as stack:
        clients = [stack.enter_context(running.gateway.client()) for _ in range(40)]
        for client in clients:
            client.send(request("GET", "/a"))
        for client in clients:
            assert client.response().status == 200
        eventually(lambda: running.route()["compared"] == 40, "all are compared")
        assert running.metric("tetrapylon_shadow_dropped_total") == 0


def test_fields_are_compared_by_value_whatever_the_case_of_their_names(tmp_path: Path) -> None:
    def says_kind(*fields: tuple[str, str]) -> Script:
        return answers.each(lambda asked: answers.response(b"hi", headers=fields))

    one = says_kind(("Content-Type", "text/plain"), ("Vary", "Accept"), ("Server", "old"))
    alike = says_kind(("Server", "new"), ("content-type", "text/plain"), ("VARY", "Accept"))
    other = says_kind(("Content-Type", "text/plain"), ("Vary", "Origin"))
    with shadowed(tmp_path, one, alike) as running, running.gateway.client() as client:
        client.ask("GET", "/a")
        eventually(lambda: running.route()["compared"] == 1, "it is compared")
        assert running.route()["different"] == 0
    (again := tmp_path / "again").mkdir()
    with shadowed(again, one, other) as running, running.gateway.client() as client:
        client.ask("GET", "/a")
        eventually(lambda: running.route()["compared"] == 1, "it is compared")
        assert [each["where"] for each in running.route()["differences"]] == ["header vary"]
