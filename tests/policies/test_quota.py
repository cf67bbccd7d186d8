"""`quota` on the wire: what is used up stays used up, whatever ends or dies, until the period is over."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import Gateway, ask, assert_problem, eventually, routed
from tests.harness.redis import RedisServer
from tetrapylon._core.policies.quota import end_of
from tetrapylon.config import loads
from tetrapylon.errors import ConfigError

EPOCH = date(1970, 1, 1)
TENANT = [("X-Tenant", "acme")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "quota.sqlite"


def config(*, workers: int = 1, **settings: Any) -> dict[str, Any]:
    use = {"use": "quota", "key": "header:X-Tenant", **settings}
    return routed([{"path": "/", "policies": [use], "respond": {"body": "x"}}], server={"workers": workers})


def statuses(gateway: Gateway, count: int) -> list[int]:
    return [ask(gateway.address, headers=TENANT).status for _ in range(count)]


def written(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as connection:
        return [used for (used,) in connection.execute("SELECT used FROM quota")]


def test_what_is_used_up_is_refused_until_the_period_is_over(file: Path) -> None:
    with Gateway(config(limit=3, path=str(file))) as gateway:
        assert statuses(gateway, 5) == [200] * 3 + [429] * 2
        refused = ask(gateway.address, headers=TENANT)
        assert_problem(refused, 429, "http_request_denied")
        assert 0 < int(refused.headers.get("Retry-After") or 0) <= 86400
        assert (refused.headers.get("RateLimit") or "").startswith('"3/day";r=0;t=')
        assert ask(gateway.address, headers=[("X-Tenant", "other")]).status == 200


def test_it_is_kept_over_a_restart(file: Path) -> None:
    for allowed in ([200, 200], [200, 429], [429, 429]):
        with Gateway(config(limit=3, per="month", path=str(file))) as gateway:
            assert statuses(gateway, 2) == allowed
    assert written(file) == [3]


@pytest.mark.sockets("workers are processes of the command")
def test_workers_count_together_and_lose_nothing_when_killed(file: Path) -> None:
    with Gateway(config(limit=30, path=str(file), workers=3)) as gateway:
        assert statuses(gateway, 20) == [200] * 20
        for victim in gateway.workers:
            os.kill(victim, signal.SIGKILL)
        eventually(lambda: answers(gateway), "new workers", within=10)
        found = statuses(gateway, 12)
        assert found.count(200) <= 10
        assert found[-1] == 429
        eventually(lambda: max(written(file), default=0) == 30, "all of it is written")


def answers(gateway: Gateway) -> bool:
    try:
        return ask(gateway.address, headers=[("X-Tenant", "probe")]).status == 200
    except (OSError, AssertionError):
        return False


def test_it_is_written_while_the_gateway_serves(file: Path) -> None:
    with Gateway(config(limit=30, path=str(file))) as gateway:
        statuses(gateway, 4)
        eventually(lambda: written(file) == [4], "within a second")


def test_what_is_over_is_taken_out(file: Path) -> None:
    with Gateway(config(limit=30, path=str(file))) as gateway:
        statuses(gateway, 1)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE quota SET over = 19000")
    with Gateway(config(limit=1, path=str(file))) as gateway:
        assert statuses(gateway, 2) == [200, 429]
    assert written(file) == [1]


def test_a_file_that_is_none_is_told_at_once(file: Path) -> None:
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(AssertionError, match=r"quota\.sqlite' cannot be used: file is not a database"):
        Gateway(config(limit=1, path=str(file)))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def test_machines_count_together_in_redis(redis: RedisServer) -> None:
    settings = config(limit=3, store="redis", redis=redis.url)
    with Gateway(settings) as one, Gateway(settings) as other:
        assert [statuses(gateway, 1)[0] for gateway in (one, other) * 3] == [200] * 3 + [429] * 3


def test_redis_away_is_what_was_declared(redis: RedisServer) -> None:
    with Gateway(config(limit=1, store="redis", redis=redis.url, on_failure="closed")) as gateway:
        redis.kill()
        assert statuses(gateway, 2) == [503, 503]
        redis.start()
        gateway.wait_line("is back", within=10)
        assert statuses(gateway, 2) == [200, 429]


@given(st.dates(date(1970, 1, 1), date(2140, 1, 1)))
def test_a_period_is_over_when_the_calendar_says_so(today: date) -> None:
    number = (today - EPOCH).days
    assert end_of("day", number) == number + 1
    first = EPOCH + timedelta(end_of("month", number))
    assert first.day == 1
    assert first - timedelta(1) >= today
    assert ((first - timedelta(1)).year, (first - timedelta(1)).month) == (today.year, today.month)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("limit: 0", "limit: 0 is out of range"),
        ("limit: 5, per: week", "per: expected day or month, not 'week'"),
        ("limit: 5, path: /no/such/folder/q.sqlite", "there is no folder for '/no/such/folder/q.sqlite'"),
        ("limit: 5, store: sqlite", "expected file, memory or redis"),
        ("limit: 5, store: redis", "it is not said where Redis is"),
        ("per: day", "`limit` is missing"),
    ],
)
def test_what_cannot_be_counted_is_told_with_its_place(settings: str, told: str) -> None:
    text = f"routes:\n  - path: /\n    respond: {{body: x}}\n    policies: [{{use: quota, {settings}}}]\n"
    with pytest.raises(ConfigError) as refused:
        loads(text, "gateway.yaml")
    assert told in str(refused.value)
    assert ":4:" in str(refused.value)
