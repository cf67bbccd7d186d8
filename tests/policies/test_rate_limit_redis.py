"""`rate_limit` with `store: redis`, against a real redis-server that is killed, frozen and started again."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness import Gateway, Response, ask, assert_problem, eventually, routed
from tests.harness.gcra import SECOND, Rate, Reference
from tests.harness.redis import RedisServer
from tetrapylon.stores.redis import RATES, Batch, Redis

IN_TIME = 0.1
"""Seconds after which the declared behaviour has to be there."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def config(redis: RedisServer, **settings: Any) -> dict[str, Any]:
    use = {"use": "rate_limit", "store": "redis", "redis": redis.url, "timeout": "50ms", **settings}
    return routed(
        [{"path": "/", "policies": [use], "respond": {"body": "pong"}}, {"path": "/free", "respond": {}}]
    )


def timed(gateway: Gateway) -> tuple[Response, float]:
    with gateway.client() as client:
        began = time.monotonic()
        return client.ask(), time.monotonic() - began


def test_two_gateways_count_together(redis: RedisServer) -> None:
    limits = config(redis, rate="1/m", burst=5)
    with Gateway(limits) as one, Gateway(limits) as other:
        found = [ask(gateway.address) for gateway in (one, other) * 3]
        assert [answer.status for answer in found] == [200] * 5 + [429]
        assert found[4].headers.get("RateLimit") == '"1/m";r=0;t=300'
        assert 55 <= int(found[5].headers.get("Retry-After") or 0) <= 60


def test_one_command_serves_many_requests(redis: RedisServer) -> None:
    """A hundred clients at once, of which ten pass; all of what waits is in one batch."""
    with Gateway(config(redis, rate="1/h", burst=10, key="header:X")) as gateway:
        clients = [gateway.client() for _ in range(100)]
        before = redis.scripts()
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n")
        answers = [client.response() for client in clients]
        for client in clients:
            client.close()
        assert sorted(answer.status for answer in answers) == [200] * 10 + [429] * 90
        assert redis.scripts() - before <= 50


@pytest.mark.parametrize(
    ("behaviour", "status"), [("open", [200, 200, 200]), ("closed", [503] * 3), ("local", [200, 200, 429])]
)
@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_what_is_declared_for_a_store_that_is_away(
    redis: RedisServer, behaviour: str, status: list[int], fault: str
) -> None:
    with Gateway(config(redis, rate="1/h", burst=2, on_failure=behaviour)) as gateway:
        assert ask(gateway.address).status == 200
        getattr(redis, fault)()
        found = [timed(gateway) for _ in range(3)]
        assert [answer.status for answer, _ in found] == status
        assert max(took for _, took in found) < IN_TIME
        if behaviour == "closed":
            assert_problem(found[0][0], 503)
            assert found[0][0].headers.has("Retry-After")
        gateway.wait_line("is away")
        assert ask(gateway.address, target="/free").status == 200
        if fault == "kill":
            redis.start()
        else:
            redis.thaw()
        gateway.wait_line("is back", within=10)
        assert "Traceback" not in gateway.stderr


def test_a_store_that_comes_back_counts_again(redis: RedisServer) -> None:
    with Gateway(config(redis, rate="1/h", burst=2, on_failure="open")) as gateway:
        redis.kill()
        assert [ask(gateway.address).status for _ in range(4)] == [200] * 4
        redis.start()
        gateway.wait_line("is back", within=10)
        assert [ask(gateway.address).status for _ in range(4)] == [200, 200, 429, 429]


def test_a_gateway_starts_while_the_store_is_away(redis: RedisServer) -> None:
    redis.kill()
    with Gateway(config(redis, rate="1/h", burst=2, on_failure="local")) as gateway:
        assert [ask(gateway.address).status for _ in range(3)] == [200, 200, 429]


def test_under_load_every_fault_has_the_declared_behaviour(redis: RedisServer) -> None:
    """No answer but 200, 429 or the declared one, none later than declared, whatever becomes of Redis."""
    found: list[tuple[int, float]] = []
    done = threading.Event()

    def hammer(gateway: Gateway, number: int) -> None:
        with gateway.client(record=False) as client:
            while not done.is_set():
                began = time.monotonic()
                status = client.ask("GET", "/", [("X", str(number))]).status
                found.append((status, time.monotonic() - began))

    with Gateway(config(redis, rate="20/s", burst=5, key="header:X", on_failure="closed")) as gateway:
        threads = [threading.Thread(target=hammer, args=(gateway, i)) for i in range(6)]
        for thread in threads:
            thread.start()
        try:
            for fault, cure in ((redis.kill, redis.start), (redis.freeze, redis.thaw)) * 2:
                count = len(found)
                eventually(lambda count=count: len(found) > count + 300, "requests flow", within=20)  # type: ignore[misc]
                fault()
                eventually(lambda: [status for status, _ in found[-20:]] == [503] * 20, "closed", within=10)
                cure()
                eventually(lambda: 503 not in {status for status, _ in found[-20:]}, "counted", within=10)
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert {status for status, _ in found} == {200, 429, 503}
    slowest = sorted(took for _, took in found)
    assert slowest[int(len(slowest) * 0.99)] < IN_TIME


rates = st.tuples(st.integers(1, 500), st.sampled_from([1.0, 60.0, 3600.0]), st.integers(1, 30))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class TestScript:
    """The script, asked directly."""

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        given=st.lists(rates, min_size=1, max_size=3),
        asked=st.lists(st.integers(1, 20), min_size=1, max_size=8),
    )
    def test_it_decides_as_the_definition_says(
        self, server: RedisServer, given: Sequence[Rate], asked: Sequence[int]
    ) -> None:
        """Within the moment that a burst takes, the first so many of each round are allowed."""
        given = [
            (count, seconds * 1000, burst) for count, seconds, burst in given
        ]  # nothing comes back meanwhile
        server.say("FLUSHALL")
        reference = Reference(given)
        arguments: list[object] = [len(given)]
        for count, seconds, burst in given:
            interval = seconds * 1e6 / count
            arguments += [f"{interval:.6f}", f"{interval * (burst - 1):.6f}"]

        async def rounds() -> list[int]:
            redis = Redis(asyncio.get_running_loop(), server.url)
            found = []
            for wanted in asked:
                told = await redis.run(RATES, [b"key"], [*arguments, wanted], 5)
                found.append(int(told[0]))
            await redis._client.aclose()
            return found

        expected = [sum(reference.allows(SECOND) for _ in range(wanted)) for wanted in asked]
        assert asyncio.run(rounds()) == expected

    def test_a_batch_asks_once_for_all_that_wait(self, server: RedisServer) -> None:
        server.say("FLUSHALL")
        answers: list[tuple[list[Any], int]] = []

        async def run() -> int:
            redis = Redis(asyncio.get_running_loop(), server.url)
            batch = Batch(redis, RATES, ["1000000.0", "2000000.0"], 5)
            batch.tell(lambda who, allowed, *_: answers.append((who, allowed)), lambda who: None)
            for i in range(5):
                batch.ask(b"a", f"a{i}")
            batch.ask(b"b", "b0")
            while len(answers) < 2:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.001)
            await redis._client.aclose()
            return redis.commands

        assert asyncio.run(run()) == 1
        assert answers == [([f"a{i}" for i in range(5)], 3), (["b0"], 1)]
