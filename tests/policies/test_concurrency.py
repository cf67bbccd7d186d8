"""`concurrency` on the wire: as many at once as may be, freed by every kind of end."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness import (
    Client,
    Conversation,
    Gateway,
    Upstream,
    answers,
    ask,
    assert_problem,
    eventually,
    proxy,
    request,
)


class Gate:
    """An upstream's script that answers once the gate is open."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.arrived = 0

    def __call__(self, peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            self.arrived += 1
            self.open.wait(30)
            peer.send(answers.response(b"done"))


@contextmanager
def limited(limit: int, *, workers: int = 1, **policy: Any) -> Iterator[tuple[Gateway, Gate]]:
    gate = Gate()
    use = {"use": "concurrency", "limit": limit, **policy}
    with (
        Upstream(gate) as upstream,
        Gateway(proxy(upstream.url, policies=[use], server={"workers": workers})) as gateway,
    ):
        try:
            yield gateway, gate
        finally:
            gate.open.set()


def test_more_than_may_be_under_way_are_refused_and_ends_make_room() -> None:
    with limited(2) as (gateway, gate), gateway.client() as one, gateway.client() as two:
        one.send(request())
        two.send(request())
        eventually(lambda: gate.arrived == 2, "two are under way")
        refused = ask(gateway.address)
        assert_problem(refused, 429, "http_request_denied")
        assert refused.headers.get("Retry-After") == "1"
        gate.open.set()
        assert [one.response().status, two.response().status] == [200, 200]
        assert ask(gateway.address).status == 200


def test_clients_that_go_away_are_not_counted() -> None:
    with limited(1) as (gateway, gate):
        for i in range(3):
            client = gateway.client()
            eventually(lambda client=client, i=i: lets_in(client, gate, i), "its place is free")  # type: ignore[misc]
            assert ask(gateway.address).status == 429
            client.reset()


def lets_in(client: Client, gate: Gate, before: int) -> bool:
    """Asks until the upstream has heard of it."""
    client.send(request())
    if not client.is_idle():
        assert client.response().status == 429
    return gate.arrived > before


@pytest.mark.sockets("workers are processes of the command")
def test_workers_are_summed_and_those_of_a_dead_one_forgotten() -> None:
    with limited(4, workers=3) as (gateway, gate):
        clients = [gateway.client() for _ in range(4)]
        for client in clients:
            client.send(request())
        eventually(lambda: gate.arrived == 4, "four are under way")
        assert [ask(gateway.address).status for _ in range(6)] == [429] * 6
        for victim in gateway.workers:
            os.kill(victim, signal.SIGKILL)
        gate.open.set()
        eventually(lambda: answered(gateway) == 200, "a new worker lets others through", within=10)
        for client in clients:
            client.close()


def answered(gateway: Gateway) -> int | None:
    try:
        return ask(gateway.address).status
    except (OSError, AssertionError):
        return None
