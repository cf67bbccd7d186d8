"""`cache` with `store: redis`: machines share answers by a real redis-server, which fails and is lied to."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest
from redis import Redis

from tests.harness import Client, Gateway, Upstream, answers, ask, eventually, proxy, request
from tests.harness.redis import RedisServer
from tests.policies.caching import FRESH, Cached, Origin, order, status_of
from tests.policies.rig import metrics
from tetrapylon.stores.redis_answers import BATCH
from tetrapylon.stores.redis_records import Head

IN_TIME = 0.1
"""Seconds after which the declared behaviour has to be there."""
TAGGED = (FRESH, ("Cache-Tag", "news, front"))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@contextmanager
def machines(
    redis: RedisServer, count: int = 2, *, server: dict[str, Any] | None = None, **settings: Any
) -> Iterator[list[Cached]]:
    """Gateways in front of one origin, whose workers always ask, unless `recheck` is given."""
    origin = Origin()
    use = {
        "use": "cache",
        "store": "redis",
        "redis": redis.url,
        "recheck": "0s",
        "timeout": "5s",
        **settings,
    }
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(origin.script))
        config = proxy(upstream.url, policies=[use], admin={"listen": "127.0.0.1:0"}, **(server or {}))
        yield [Cached(origin, upstream, stack.enter_context(Gateway(config))) for _ in range(count)]


@contextmanager
def client_of(redis: RedisServer) -> Iterator[Any]:
    client: Any = Redis.from_url(redis.url)
    try:
        yield client
    finally:
        client.close()


def entries(client: Any) -> list[bytes]:
    return sorted(key for key in client.keys("tetrapylon:cache:{default}:*"))


def wait_kept(redis: RedisServer, count: int) -> None:
    with client_of(redis) as client:
        eventually(lambda: len(entries(client)) == count, f"{count} entries are in Redis")


def did(rig: Cached, result: str) -> int:
    start = f'tetrapylon_cache_redis_total{{cache="default",result="{result}"}} '
    lines = metrics(rig.gateway).splitlines()
    return sum(int(float(line.removeprefix(start))) for line in lines if line.startswith(start))


# What machines share


def test_what_one_machine_has_asked_for_the_others_have(redis: RedisServer) -> None:
    with machines(redis, 3) as (one, other, third):
        one.origin.fields = (FRESH, ("X-Kind", "a"), ("X-Kind", "b"), ("ETag", '"1"'), ("Age", "7"))
        first = one.misses("/a?b=c")
        wait_kept(redis, 1)
        for rig in (other, third):
            found = rig.hits("/a?b=c")
            assert found.body == first.body
            assert found.headers.all("X-Kind") == ["a", "b"]
            assert int(found.headers.get("Age") or 0) in (7, 8)
            assert rig.ask("/a?b=c", ("If-None-Match", '"1"')).status == 304
            assert rig.ask("/a?b=c", ("Range", "bytes=0-0")).status == 206
        other.misses("/a?b=d")


def test_it_outlives_the_gateway(redis: RedisServer) -> None:
    with machines(redis, 1) as (one,):
        one.misses()
        wait_kept(redis, 1)
        port = one.upstream.address
        assert port
        with Gateway(
            proxy(
                one.upstream.url,
                policies=[{"use": "cache", "store": "redis", "redis": redis.url}],
            )
        ) as later:
            assert "; hit" in status_of(ask(later.address))


def test_variants_are_told_apart_on_all_machines(redis: RedisServer) -> None:
    with machines(redis) as (one, other):
        one.origin.fields = (FRESH, ("Vary", "X-Kind, Accept-Encoding"))
        said = ("X-Kind", "a"), ("Accept-Encoding", "gzip, br")
        one.misses("/", *said)
        wait_kept(redis, 2)
        other.hits("/", ("X-Kind", "a"), ("Accept-Encoding", "BR,gzip"))
        other.misses("/", ("X-Kind", "b"), ("Accept-Encoding", "gzip, br"))
        wait_kept(redis, 3)
        one.hits("/", ("X-Kind", "b"), ("Accept-Encoding", "gzip, br"))


def test_who_is_known_gets_what_is_for_all_alone(redis: RedisServer) -> None:
    with machines(redis) as (one, other):
        one.misses("/", ("Authorization", "Bearer a"))
        one.misses("/")
        wait_kept(redis, 1)
        other.misses("/", ("Authorization", "Bearer b"))
        one.origin.fields = (("Cache-Control", "public, max-age=60"),)
        one.misses("/public", ("Authorization", "Bearer a"))
        wait_kept(redis, 2)
        other.hits("/public", ("Authorization", "Bearer b"))


def test_what_was_made_fresh_is_fresh_for_all(redis: RedisServer) -> None:
    with machines(redis) as (one, other):
        one.origin.fields = (("Cache-Control", "max-age=1"), ("ETag", '"1"'))
        one.misses()
        wait_kept(redis, 1)
        one.origin.say = lambda request: answers.response(
            b"", "304 X", [FRESH, ("ETag", '"1"')], length=False
        )
        eventually(lambda: "fwd-status=304" in status_of(one.ask()), "it is asked about")
        eventually(lambda: "ttl=5" in status_of(other.ask()), "the other one has it")
        assert other.hits().body == b"1"


def test_what_may_not_be_kept_any_more_goes(redis: RedisServer) -> None:
    with machines(redis) as (one, other):
        one.misses()
        wait_kept(redis, 1)
        one.origin.fields = (("Cache-Control", "no-store"),)
        one.misses("/", ("Cache-Control", "no-cache"))
        wait_kept(redis, 0)
        other.misses()


def test_a_worker_goes_by_its_own_for_as_long_as_it_may(redis: RedisServer) -> None:
    with machines(redis, 1, recheck="1h") as (one,):
        one.misses()
        wait_kept(redis, 1)
        before = redis.scripts()
        for _ in range(20):
            one.hits()
        assert redis.scripts() == before


def test_a_thousand_misses_at_once_are_one_request_of_each_machine(redis: RedisServer) -> None:
    with machines(redis) as rigs, ExitStack() as stack:
        origin = rigs[0].origin
        origin.gate = threading.Event()
        waiting = [stack.enter_context(rig.gateway.client()) for rig in rigs for _ in range(500)]
        for client in waiting:
            client.send(request())
        for rig in rigs:
            eventually(
                lambda rig=rig: "http_server_active_requests 500\n" in metrics(rig.gateway),  # type: ignore[misc]
                "they are under way",
            )
        eventually(lambda: origin.count >= 2, "both have asked")
        origin.gate.set()
        assert {client.response().status for client in waiting} == {200}
        assert origin.count == 2


def test_many_keys_are_asked_for_in_few_commands(redis: RedisServer) -> None:
    with machines(redis) as (one, other), ExitStack() as stack:
        for number in range(100):
            one.misses(f"/{number}")
        wait_kept(redis, 100)
        clients = [stack.enter_context(other.gateway.client()) for _ in range(100)]
        before = redis.scripts()
        for number, client in enumerate(clients):
            client.send(request("GET", f"/{number}"))
        assert {"; hit" in status_of(client.response()) for client in clients} == {True}
        assert 100 / BATCH <= redis.scripts() - before <= 50


# Ending it


@pytest.mark.parametrize("query", ["path=/a/b", "prefix=/a/", "prefix=/a/b?q", "prefix=/", "tag=front"])
def test_a_purge_reaches_all_machines(redis: RedisServer, query: str) -> None:
    with machines(redis) as (one, other):
        one.origin.fields = TAGGED
        one.misses("/a/b?q=1")
        one.origin.fields = (FRESH,)
        one.misses("/b")
        wait_kept(redis, 2)
        other.hits("/a/b?q=1")
        order(one.gateway, f"/cache?{query}", "DELETE")
        other.misses("/a/b?q=1")
        wait_kept(redis, 2)
        one.hits("/a/b?q=1")
        if query != "prefix=/":
            one.hits("/b")


def test_it_reaches_what_workers_have_of_their_own_in_time(redis: RedisServer) -> None:
    with machines(redis, recheck="500ms") as (one, other):
        one.misses()
        wait_kept(redis, 1)
        other.hits()
        order(one.gateway, "/cache?path=/")
        one.misses()
        eventually(lambda: other.ask().body == b"2", "the other one has the new one", within=3)
        assert one.origin.count == 2


def test_more_prefixes_than_are_remembered_end_everything(redis: RedisServer) -> None:
    with machines(redis) as (one, other):
        one.misses("/kept")
        wait_kept(redis, 1)
        for length in range(64):
            order(one.gateway, f"/cache?prefix=/{'x' * (length + 1)}")
        other.hits("/kept")
        order(one.gateway, f"/cache?prefix=/{'x' * 70}")
        other.misses("/kept")


def test_what_is_on_its_way_meanwhile_is_not_kept(redis: RedisServer) -> None:
    with machines(redis) as (one, other), one.gateway.client() as client:
        one.origin.gate = threading.Event()
        client.send(request("GET", "/"))
        eventually(lambda: one.origin.count == 1, "the origin is asked")
        order(other.gateway, "/cache?path=/")
        one.origin.gate.set()
        assert client.response().body == b"1"
        eventually(lambda: did(one, "ended") == 1, "it was not stored")
        one.misses()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_request_that_changes_something_has_ended_it_everywhere_when_it_is_answered(
    redis: RedisServer, method: str
) -> None:
    with machines(redis) as (one, other):
        for turn in range(5):
            one.misses(f"/{turn}")
            one.misses(f"/{turn}?other")
        wait_kept(redis, 10)
        for turn in range(5):
            assert one.ask(f"/{turn}", method=method).status == 200
            other.misses(f"/{turn}")
            other.hits(f"/{turn}?other")


def test_a_state_that_was_lost_ends_everything(redis: RedisServer) -> None:
    """What had been purged must not come back when Redis drops what tells of it."""
    with machines(redis) as (one, other), client_of(redis) as client:
        one.misses()
        wait_kept(redis, 1)
        client.delete("tetrapylon:cache:{default}")
        other.misses()


# Redis slow or away


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_while_it_is_away_each_machine_goes_by_what_it_has(redis: RedisServer, fault: str) -> None:
    with machines(redis, timeout="50ms") as (one, other):
        one.misses()
        wait_kept(redis, 1)
        getattr(redis, fault)()
        for rig, found in ((one, True), (other, False), (other, True)):
            began = time.monotonic()
            response = rig.ask()
            assert time.monotonic() - began < IN_TIME
            assert response.status == 200
            assert ("; hit" in status_of(response)) == found
        one.gateway.wait_line("is away")
        assert did(one, "failed") + did(one, "away") >= 1
        if fault == "kill":
            redis.start()
        else:
            redis.thaw()
        one.gateway.wait_line("is back", within=10)
        other.gateway.wait_line("is back", within=10)
        one.misses("/again")
        eventually(lambda: "; hit" in status_of(other.ask("/again")), "they share again")
        assert "Traceback" not in one.gateway.stderr + other.gateway.stderr


def test_what_changed_while_it_was_away_is_told_when_it_is_back(redis: RedisServer) -> None:
    with machines(redis, timeout="50ms") as (one, other):
        one.misses()
        wait_kept(redis, 1)
        other.hits()
        redis.freeze()
        began = time.monotonic()
        assert one.ask(method="POST").status == 200
        assert time.monotonic() - began < IN_TIME
        redis.thaw()
        one.gateway.wait_line("is back", within=10)
        eventually(lambda: did(one, "changed") == 1, "it is told")
        other.misses()


def test_a_purge_says_so_when_it_cannot_be_told(redis: RedisServer) -> None:
    with machines(redis, 1) as (one,):
        one.misses()
        wait_kept(redis, 1)
        redis.kill()
        assert one.gateway.admin is not None
        with Client(one.gateway.admin) as client:
            response = client.send(request("POST", "/cache?path=/", host="127.0.0.1")).response()
        assert response.status == 503
        said = msgspec.json.decode(response.body)
        assert "has not been told" in said["detail"]
        assert said["purged"] == 1


def test_one_that_has_no_room_is_still_asked(redis: RedisServer) -> None:
    with machines(redis) as (one, other), client_of(redis) as client:
        one.misses("/kept")
        wait_kept(redis, 1)
        client.config_set("maxmemory", "1")
        one.misses("/more")
        one.gateway.wait_line("Redis refuses: command not allowed")
        other.hits("/kept")
        before = redis.scripts()
        assert one.ask("/kept", method="POST").status == 200
        one.misses("/kept")
        assert redis.scripts() - before <= 4, "what is refused is not told again at once"
        client.config_set("maxmemory", "0")
        eventually(lambda: did(one, "changed") == 1, "it is told")
        other.misses("/kept")
        assert "is away" not in one.gateway.stderr


def test_a_gateway_starts_while_it_is_away(redis: RedisServer) -> None:
    redis.kill()
    with machines(redis, 1) as (one,):
        one.misses()
        assert one.ask().status == 200


def test_under_load_no_fault_is_an_error_or_a_wait(redis: RedisServer) -> None:
    found: list[tuple[int, float]] = []
    done = threading.Event()

    def hammer(gateway: Gateway, number: int) -> None:
        with gateway.client(record=False) as client:
            turn = 0
            while not done.is_set():
                turn += 1
                began = time.monotonic()
                status = client.ask("GET", f"/{number}/{turn % 50}").status
                found.append((status, time.monotonic() - began))

    with machines(redis, timeout="50ms") as rigs:
        threads = [
            threading.Thread(target=hammer, args=(rig.gateway, number)) for number, rig in enumerate(rigs * 2)
        ]
        for thread in threads:
            thread.start()
        try:
            for fault, cure in ((redis.kill, redis.start), (redis.freeze, redis.thaw)):
                for step in (fault, cure):
                    count = len(found)
                    eventually(lambda count=count: len(found) > count + 300, "requests flow", within=20)  # type: ignore[misc]
                    step()
            count = len(found)
            eventually(lambda: len(found) > count + 300, "requests flow", within=20)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert "Traceback" not in "".join(rig.gateway.stderr for rig in rigs)
    assert {status for status, _ in found} == {200}
    slowest = sorted(took for _, took in found)
    assert slowest[int(len(slowest) * 0.99)] < IN_TIME


# What lies there


def test_what_lies_there_is_as_documented(redis: RedisServer) -> None:
    with machines(redis, 1) as (one,), client_of(redis) as client:
        one.origin.fields = (*TAGGED, ("X-Kind", "a"), ("Set-Cookie2", "x=y"))
        one.misses("/a?b")
        wait_kept(redis, 1)
        (key,) = entries(client)
        there = client.hgetall(key)
        assert sorted(there) == sorted(b"v epoch n id uri path tags time head body".split())
        assert (there[b"v"], there[b"path"], there[b"tags"], there[b"body"]) == (
            b"1",
            b"/a?b",
            b"news front",
            b"1",
        )
        head = msgspec.msgpack.decode(there[b"head"], type=Head)
        assert head.status == 200
        assert (b"X-Kind", b"a") in head.fields
        assert not any(name.lower() in (b"set-cookie2", b"content-length") for name, _ in head.fields)
        assert head.lifetime == 60_000_000
        assert 50_000 < client.pttl(key) <= 60_000
        state = client.hgetall("tetrapylon:cache:{default}")
        assert there[b"epoch"] == state[b"epoch"]


def other_head(change: dict[str, Any]) -> Any:
    def made(client: Any, key: bytes) -> None:
        head = msgspec.msgpack.decode(client.hget(key, "head"), type=Head)
        client.hset(key, "head", msgspec.msgpack.encode(msgspec.structs.replace(head, **change)))

    return made


def put(field: str, value: bytes) -> Any:
    return lambda client, key: client.hset(key, field, value)


@pytest.mark.parametrize(
    "lie",
    [
        put("v", b"2"),
        put("id", b"../.."),
        put("path", b"no path"),
        put("path", b"/" + b"x" * 70000),
        put("tags", b"a\r\nb"),
        put("time", b"soon"),
        put("n", b""),
        put("head", b""),
        put("head", b"\xc1" * 40),
        put("head", b"x" * 70000),
        put("body", b"x" * 300_000),
        lambda client, key: client.hdel(key, "body"),
        lambda client, key: (
            client.delete(key),
            client.hset(key, mapping={"vary": "A B", "epoch": state(client)}),
        ),
        other_head({"status": 206}),
        other_head({"status": 500}),
        other_head({"status": 204}),
        other_head({"fields": ((b"Set-Cookie", b"a=b"),)}),
        other_head({"fields": ((b"Transfer-Encoding", b"chunked"),)}),
        other_head({"fields": ((b"Content-Length", b"7"),)}),
        other_head({"fields": ((b"X", b"a\r\nSet-Cookie: b=c"),)}),
        other_head({"fields": ((b"X Y", b"a"),)}),
        other_head({"fields": ((b"", b"a"),)}),
        other_head({"fields": ((b"A", b"b"),) * 300}),
        other_head({"lifetime": -1}),
        other_head({"lifetime": 2**62}),
        other_head({"age": -(2**40)}),
        other_head({"flags": 255}),
        other_head({"vary": b"a\nb"}),
    ],
)
def test_what_no_gateway_has_written_is_refused(redis: RedisServer, lie: Any) -> None:
    with machines(redis, size="512KiB", max_object="200KiB") as (one, other), client_of(redis) as client:
        one.misses()
        wait_kept(redis, 1)
        (key,) = entries(client)
        lie(client, key)
        assert other.misses().body == b"2"
        assert did(other, "refused") == 1
        eventually(lambda: one.ask().body == b"2", "what is right has taken its place")
        one.hits()
        assert "Traceback" not in other.gateway.stderr


def state(client: Any) -> bytes:
    epoch: bytes = client.hget("tetrapylon:cache:{default}", "epoch")
    return epoch


def test_a_key_of_another_type_is_a_miss(redis: RedisServer) -> None:
    with machines(redis) as (one, other), client_of(redis) as client:
        one.misses()
        wait_kept(redis, 1)
        (key,) = entries(client)
        client.set(key, "x")
        assert other.misses().status == 200


def test_what_is_too_large_is_not_shared(redis: RedisServer) -> None:
    with machines(redis, max_object="1KiB") as (one, other):
        one.origin.body = b"x" * 2000
        one.misses("/large")
        one.origin.body = None
        one.misses("/small")
        wait_kept(redis, 1)
        other.misses("/large")
        other.hits("/small")
