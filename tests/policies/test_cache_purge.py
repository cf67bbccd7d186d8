"""Orders to forget, through the admin address, and what is kept apart: tags, routes, splits."""

import json
import threading
from typing import Any

import pytest

from tests.harness import Client, Gateway, Upstream, answers, eventually, request
from tests.policies.caching import FRESH, Cached, cached, order, status_of


def purge(rig: Cached, query: str, method: str = "POST") -> int:
    count: int = order(rig.gateway, f"/cache?{query}", method)["purged"]
    return count


def test_a_path_is_forgotten_with_all_its_queries_and_variants() -> None:
    with cached() as rig:
        rig.origin.fields = (FRESH, ("Vary", "X-Kind"))
        rig.misses("/a")
        rig.misses("/a", ("X-Kind", "b"))
        rig.misses("/a?q=1")
        rig.misses("/ab")
        assert purge(rig, "path=/a") == 3
        rig.misses("/a")
        rig.hits("/ab")
        assert purge(rig, "path=/nothing", "DELETE") == 0


def test_all_below_a_prefix_are_forgotten() -> None:
    with cached() as rig:
        for target in ("/a/1", "/a/2?x", "/b/1"):
            rig.misses(target)
        assert purge(rig, "prefix=/a/", "DELETE") == 2
        rig.misses("/a/1")
        rig.hits("/b/1")
        assert purge(rig, "prefix=/") == 2
        rig.misses("/b/1")


@pytest.mark.parametrize("name", ["Cache-Tag", "Surrogate-Key"])
def test_what_has_a_tag_is_forgotten(name: str) -> None:
    with cached(tags=name) as rig:
        said = "news, front" if name == "Cache-Tag" else "news front"
        rig.origin.fields = (FRESH, (name, said))
        assert not rig.misses("/a").headers.has(name)
        assert not rig.hits("/a").headers.has(name)
        rig.origin.fields = (FRESH, (name, "front-page"))
        rig.misses("/b")
        assert purge(rig, "tag=front") == 1
        rig.misses("/a")
        rig.hits("/b")


def test_it_reaches_all_workers() -> None:
    with cached(config={"server": {"listen": ["127.0.0.1:0"], "workers": 2}}) as rig:
        eventually(lambda: bool(rig.ask()) and rig.origin.count == 2, "both workers have it")
        assert purge(rig, "path=/") == 2


def test_what_is_on_its_way_meanwhile_is_not_kept() -> None:
    with cached() as rig, rig.gateway.client() as client:
        rig.origin.gate = threading.Event()
        client.send(request("GET", "/"))
        eventually(lambda: rig.origin.count == 1, "the origin is asked")
        purge(rig, "path=/")
        rig.origin.gate.set()
        assert client.response().body == b"1"
        rig.misses()


@pytest.mark.parametrize(
    ("target", "method", "status", "told"),
    [
        ("/cache", "POST", 400, "expected one of"),
        ("/cache?path=/a&tag=b", "POST", 400, "expected one of"),
        ("/cache?path=a", "POST", 400, "a path from /"),
        ("/cache?tag=", "POST", 400, "a tag"),
        ("/cache?paths=/a", "POST", 400, "no parameter 'paths'"),
        ("/cache?path=/a", "GET", 405, "POST and DELETE"),
    ],
)
def test_orders_that_are_none(target: str, method: str, status: int, told: str) -> None:
    with Gateway({"routes": [], "admin": {"listen": "127.0.0.1:0"}}) as gateway:
        assert gateway.admin is not None
        with Client(gateway.admin) as client:
            response = client.send(request(method, target, host="127.0.0.1")).response(method)
        assert response.status == status
        assert told in json.loads(response.body)["detail"]


def test_it_takes_the_token() -> None:
    admin = {"listen": "127.0.0.1:0", "token": "a-long-token-for-operators"}
    with Gateway({"routes": [], "admin": admin}) as gateway:
        assert gateway.admin is not None
        for fields, status in (((), 401), ((("Authorization", "Bearer a-long-token-for-operators"),), 200)):
            with Client(gateway.admin) as client:
                asked = request("POST", "/cache?prefix=/", fields, host="127.0.0.1")
                assert client.send(asked).response().status == status


# Kept apart


def numbered(name: bytes) -> Any:
    return answers.raw(answers.response(name, headers=[FRESH]))


def two(one: Upstream, other: Upstream, *routes: dict[str, Any]) -> dict[str, Any]:
    upstreams = {"one": {"targets": [one.url]}, "other": {"targets": [other.url]}}
    return {"upstreams": upstreams, "policies": [{"use": "cache"}], "routes": list(routes)}


def test_routes_that_differ_by_a_header_have_answers_of_their_own() -> None:
    routes = {"path": "/", "upstream": "one"}, {"path": "/", "headers": {"X-Which": "b"}, "upstream": "other"}
    with (
        Upstream(numbered(b"a")) as one,
        Upstream(numbered(b"b")) as other,
        Gateway(two(one, other, *routes)) as gateway,
        gateway.client() as client,
    ):
        for _ in range(2):
            assert client.ask("GET", "/").body == b"a"
            assert client.ask("GET", "/", [("X-Which", "b")]).body == b"b"


def test_branches_of_a_split_are_not_kept() -> None:
    branches = [{"upstream": "one", "weight": 1}, {"upstream": "other", "headers": {"X-Which": "b"}}]
    with (
        Upstream(numbered(b"a")) as one,
        Upstream(numbered(b"b")) as other,
        Gateway(two(one, other, {"path": "/", "split": {"to": branches}})) as gateway,
        gateway.client() as client,
    ):
        for _ in range(2):
            assert client.ask("GET", "/", [("X-Which", "b")]).body == b"b"
            response = client.ask("GET", "/")
            assert response.body == b"a"
            assert "stored" not in status_of(response)
