"""Which route takes a request."""

import gc
import sys
import threading
import time
import weakref
from uuid import UUID

import pytest

from tetrapylon._core.routing.path import BadPath
from tetrapylon._core.routing.route import NotAllowed, RouteError, RouteMatch, Router

A_UUID = "550e8400-e29b-41d4-a716-446655440000"


def router(*paths: str) -> Router[str]:
    """Routes that lead to their own patterns, for any method and host."""
    made = Router[str]()
    for path in paths:
        made.add(path, path)
    made.freeze()
    return made


def taken(table: Router[str], path: str, method: str = "GET", host: str = "", **headers: str) -> str | None:
    found = table.match(
        method, path, host, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert not isinstance(found, NotAllowed)
    return found.destination if found else None


def params(table: Router[str], path: str) -> object:
    found = table.match("GET", path)
    assert isinstance(found, RouteMatch)
    return found.params


# ---- paths


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/", "/", {}),
        ("/users/{id}", "/users/anna", {"id": "anna"}),
        ("/users/{id}", "/users/a%2Fb%20c", {"id": "a/b c"}),
        ("/users/{id}", "/users/%C3%A9", {"id": "é"}),
        ("/users/{id}", "/users/%FF", {"id": "\ufffd"}),
        ("/users/{id:int}", "/users/7", {"id": 7}),
        ("/users/{id:int}", "/users/007", {"id": 7}),
        ("/users/{id:int}", "/users/9223372036854775807", {"id": 2**63 - 1}),
        ("/o/{id:uuid}", f"/o/{A_UUID}", {"id": UUID(A_UUID)}),
        ("/o/{id:uuid}", f"/o/{A_UUID.upper()}", {"id": UUID(A_UUID)}),
        ("/static/{rest:path}", "/static/css/a.css", {"rest": "css/a.css"}),
        ("/static/{rest:path}", "/static/", {"rest": ""}),
        ("/{rest:path}", "/", {"rest": ""}),
        ("/a/{x}/b/{y:int}/{z:path}", "/a/1/b/2/3/4", {"x": "1", "y": 2, "z": "3/4"}),
        ("/caf%C3%A9", "/café", {}),
        ("/café", "/caf%c3%a9", {}),
        ("/%7Euser", "/~user", {}),
    ],
)
def test_a_pattern_takes_a_path(pattern: str, path: str, expected: dict[str, object]) -> None:
    assert params(router(pattern), path) == expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/users", "/users/"),
        ("/users/", "/users"),
        ("/users", "/Users"),
        ("/users", "/user"),
        ("/users", "/users2"),
        ("/users/{id}", "/users/"),
        ("/users/{id}", "/users"),
        ("/users/{id}", "/users/a/b"),
        ("/users/{id:int}", "/users/-1"),
        ("/users/{id:int}", "/users/1.5"),
        ("/users/{id:int}", "/users/9223372036854775808"),
        ("/users/{id:int}", "/users/10000000000000000000"),
        ("/o/{id:uuid}", f"/o/{A_UUID[:-1]}"),
        ("/o/{id:uuid}", f"/o/{A_UUID[:-1]}g"),
        ("/o/{id:uuid}", "/o/" + A_UUID.replace("-", "x")),
        ("/static/{rest:path}", "/static"),
        ("/a%2Fb", "/a/b"),
    ],
)
def test_a_pattern_leaves_a_path(pattern: str, path: str) -> None:
    assert router(pattern).match("GET", path) is None


def test_raw_parameters_keep_their_escapes() -> None:
    found = router("/files/{name}").match("GET", "/files/a%2fb")
    assert isinstance(found, RouteMatch)
    assert (found.raw_params, found.path) == ({"name": "a%2Fb"}, "/files/a%2Fb")


def test_the_path_is_normalised_first() -> None:
    table = router("/admin/{rest:path}", "/{rest:path}")
    for path in ("//admin/x", "/x/../admin/x", "/%61dmin/x", "/./admin//x"):
        assert taken(table, path) == "/admin/{rest:path}"
    with pytest.raises(BadPath):
        table.match("GET", "/x/..;/admin/x")


@pytest.mark.parametrize("reverse", [False, True])
def test_the_most_specific_path_wins_whatever_the_order(reverse: bool) -> None:
    patterns = ["/u/me", "/u/{id:int}", "/u/{id:uuid}", "/u/{name}", "/u/{rest:path}", "/{rest:path}"]
    table = router(*(reversed(patterns) if reverse else patterns))
    assert taken(table, "/u/me") == "/u/me"
    assert taken(table, "/u/7") == "/u/{id:int}"
    assert taken(table, f"/u/{A_UUID}") == "/u/{id:uuid}"
    assert taken(table, "/u/anna") == "/u/{name}"
    assert taken(table, "/u/anna/x") == "/u/{rest:path}"
    assert taken(table, "/u/") == "/u/{rest:path}"
    assert taken(table, "/u") == "/{rest:path}"


def test_a_literal_that_leads_nowhere_is_left_for_a_parameter() -> None:
    table = router("/a/{x:int}/c", "/a/{y}/d", "/a/b/e", "/{p}/5/f", "/a/{rest:path}")
    assert taken(table, "/a/5/c") == "/a/{x:int}/c"
    assert taken(table, "/a/5/d") == "/a/{y}/d"
    assert taken(table, "/a/b/d") == "/a/{y}/d"
    assert taken(table, "/a/5/f") == "/a/{rest:path}"
    assert taken(table, "/b/5/f") == "/{p}/5/f"
    assert params(table, "/a/b/d") == {"y": "b"}


def test_the_leftmost_difference_decides() -> None:
    table = router("/a/{x}/{y}", "/{x}/b/c")
    assert taken(table, "/a/b/c") == "/a/{x}/{y}"


def test_a_hostile_path_costs_no_more_than_the_routes_it_fits() -> None:
    # Ten segments, each "a" or a parameter, and none of the routes ends where the path does.
    patterns = [
        "/" + "/".join("a" if bits >> i & 1 else f"{{p{i}}}" for i in range(10)) + "/end"
        for bits in range(1024)
    ]
    table = router(*patterns)
    start = time.process_time()
    for _ in range(100):
        assert table.match("GET", "/a" * 10 + "/no") is None
    assert (time.process_time() - start) / 100 < 0.005
    assert taken(table, "/a" * 10 + "/end") == "/" + "a/" * 10 + "end"


def test_paths_may_be_as_long_as_they_like() -> None:
    table = router("/{rest:path}", "/a/{x}")
    assert params(table, "/b" * 50_000) == {"rest": "b" + "/b" * 49_999}
    assert params(table, "/a/" + "c" * 100_000) == {"x": "c" * 100_000}


def test_an_empty_router_takes_nothing() -> None:
    assert router().match("GET", "/") is None


# ---- hosts


def hosts(*names: str | None) -> Router[str]:
    made = Router[str]()
    for name in names:
        made.add("/x", str(name), host=name)
    made.freeze()
    return made


@pytest.mark.parametrize("host", ["a.example.com", "A.Example.COM", "a.example.com:8080", "a.example.com."])
def test_case_port_and_final_dot_of_a_host_are_not_compared(host: str) -> None:
    assert taken(hosts("a.example.com"), "/x", host=host) == "a.example.com"


def test_the_nearest_host_wins() -> None:
    table = hosts(None, "*.com", "*.example.com", "*.a.example.com", "a.example.com")
    assert taken(table, "/x", host="a.example.com") == "a.example.com"
    assert taken(table, "/x", host="b.example.com") == "*.example.com"
    assert taken(table, "/x", host="b.a.example.com") == "*.a.example.com"
    assert taken(table, "/x", host="c.b.a.example.com") == "*.a.example.com"
    assert taken(table, "/x", host="example.com") == "*.com"
    assert taken(table, "/x", host="example.org") == "None"
    assert taken(table, "/x", host="") == "None"


def test_a_wildcard_is_not_the_bare_name() -> None:
    table = hosts("*.example.com")
    assert taken(table, "/x", host="example.com") is None
    assert taken(table, "/x", host=".example.com") is None
    assert taken(table, "/x", host="badexample.com") is None


def test_an_address_is_a_host() -> None:
    table = hosts("[::1]", "127.0.0.1")
    assert taken(table, "/x", host="[::1]:8080") == "[::1]"
    assert taken(table, "/x", host="127.0.0.1:80") == "127.0.0.1"


@pytest.mark.parametrize("host", [":", "[", "[]", "a" * 300, "." * 255, "é.com", "a..com", "\0"])
def test_a_strange_host_matches_no_name(host: str) -> None:
    assert taken(hosts("*.com", "a.com", None), "/x", host=host) in ("None", "*.com")


def test_the_path_decides_before_the_host() -> None:
    table = Router[str]()
    table.add("/u/me", "literal")
    table.add("/u/{id}", "host", host="a.com")
    table.freeze()
    assert taken(table, "/u/me", host="a.com") == "literal"
    assert taken(table, "/u/x", host="a.com") == "host"
    assert taken(table, "/u/x", host="b.com") is None


def test_thousands_of_hosts_on_one_path() -> None:
    table = hosts(*(f"tenant-{i}.example.com" for i in range(5000)), "*.example.com")
    assert taken(table, "/x", host="tenant-4321.example.com") == "tenant-4321.example.com"
    assert taken(table, "/x", host="tenant-5000.example.com") == "*.example.com"


# ---- headers


def test_more_header_conditions_win() -> None:
    table = Router[str]()
    table.add("/x", "none")
    table.add("/x", "any", headers={"X-Version": "*"})
    table.add("/x", "two", headers={"X-Version": "2"})
    table.add("/x", "both", headers={"X-Version": "*", "X-Beta": "*"})
    table.freeze()
    assert taken(table, "/x") == "none"
    assert taken(table, "/x", x_version="1") == "any"
    assert taken(table, "/x", X_VERSION="2") == "two"
    assert taken(table, "/x", x_version=" 2 ") == "two"
    assert taken(table, "/x", x_version="2", x_beta="") == "both"


def test_header_values_are_compared_whole_and_in_case() -> None:
    table = Router[str]()
    table.add("/x", "x", headers={"X-A": "Value"})
    table.freeze()
    for value in ("value", "Valu", "Values", "Value, Value"):
        assert taken(table, "/x", x_a=value) is None


def test_the_host_decides_before_the_headers() -> None:
    table = Router[str]()
    table.add("/x", "host", host="a.com")
    table.add("/x", "header", headers={"X-A": "1"})
    table.freeze()
    assert taken(table, "/x", host="a.com", x_a="1") == "host"
    assert taken(table, "/x", host="b.com", x_a="1") == "header"


# ---- methods


def methods(**routes: tuple[str, ...]) -> Router[str]:
    made = Router[str]()
    for name, names in routes.items():
        made.add("/x", name, methods=names)
    made.freeze()
    return made


def test_head_follows_get() -> None:
    assert taken(methods(get=("GET",)), "/x", "HEAD") == "get"
    assert taken(methods(get=("GET",), head=("HEAD",)), "/x", "HEAD") == "head"
    assert taken(methods(get=("GET",), rest=()), "/x", "HEAD") == "get"


def test_named_methods_win_over_any() -> None:
    table = methods(rest=(), get=("GET",))
    assert taken(table, "/x", "GET") == "get"
    assert taken(table, "/x", "POST") == "rest"
    assert taken(table, "/x", "BREW") == "rest"


def test_a_known_path_with_another_method_says_what_is_allowed() -> None:
    found = methods(get=("GET",), rest=("PUT", "PURGE")).match("DELETE", "/x")
    assert isinstance(found, NotAllowed)
    assert found.allowed == ("GET", "HEAD", "PUT", "OPTIONS", "PURGE")


def test_options_are_answered_for_unless_a_route_takes_them() -> None:
    assert isinstance(methods(get=("GET",)).match("OPTIONS", "/x"), NotAllowed)
    assert taken(methods(get=("GET",), own=("OPTIONS",)), "/x", "OPTIONS") == "own"
    assert methods(get=("GET",)).match("OPTIONS", "/y") is None


def test_the_method_leaves_a_request_to_the_next_route() -> None:
    table = Router[str]()
    table.add("/u/me", "me", methods=["GET"])
    table.add("/u/{id}", "id", methods=["POST"])
    table.freeze()
    assert taken(table, "/u/me", "POST") == "id"
    found = table.match("DELETE", "/u/me")
    assert isinstance(found, NotAllowed)
    assert found.allowed == ("GET", "HEAD", "POST", "OPTIONS")


def test_routes_of_other_hosts_and_headers_allow_nothing() -> None:
    table = Router[str]()
    table.add("/x", "host", methods=["GET"], host="a.com")
    table.add("/x", "header", methods=["PUT"], headers={"X-A": "1"})
    table.freeze()
    assert table.match("POST", "/x", "b.com") is None
    found = table.match("POST", "/x", "a.com")
    assert isinstance(found, NotAllowed)
    assert found.allowed == ("GET", "HEAD", "OPTIONS")


def test_methods_are_case_sensitive() -> None:
    assert isinstance(methods(get=("GET",)).match("get", "/x"), NotAllowed)


def test_fifty_five_methods_of_ones_own() -> None:
    table = Router[str]()
    for i in range(55):
        table.add("/x", str(i), methods=[f"M{i}"])
    with pytest.raises(RouteError, match="one too many"):
        table.add("/x", "one more", methods=["M55"])
    table.freeze()
    assert taken(table, "/x", "M54") == "54"


# ---- the router itself


def test_a_router_is_filled_then_frozen() -> None:
    table = Router[str]()
    route = table.add(
        "/x/{id:int}", "x", methods=["PUT", "GET"], host="A.com", headers={"X-A": "1"}, name="x"
    )
    with pytest.raises(RouteError, match="freeze"):
        table.match("GET", "/x/1")
    table.freeze()
    table.freeze()
    with pytest.raises(RouteError, match="frozen"):
        table.add("/y", "y")
    assert (route.methods, route.host, route.headers) == (("GET", "PUT"), "a.com", {"x-a": "1"})
    assert (route.params, route.kinds, route.name) == (("id",), ("int",), "x")
    assert route.segments == (("literal", "x"), ("int", "id"))
    assert str(route) == "route 1 (x) GET,PUT a.com/x/{id:int} with x-a: 1"
    assert (len(table), table.routes, table.table) == (1, [route], [route])


def test_destinations_live_as_long_as_the_router() -> None:
    class Destination:
        pass

    table = Router[Destination]()
    table.add("/x", Destination())
    table.freeze()
    held = weakref.ref(table.routes[0].destination)
    gc.collect()
    found = table.match("GET", "/x")
    assert isinstance(found, RouteMatch)
    assert found.destination is held()
    del found, table
    assert held() is None


def test_matching_leaks_nothing() -> None:
    table = Router[str]()
    table.add("/x/{id}", "x", headers={"X-A": "1"}, host="a.com")
    table.freeze()
    headers = {"X-A": "1"}
    for _ in range(100):
        table.match("GET", "/x/1%20", "a.com", headers)
    before = sys.getallocatedblocks()
    for _ in range(1000):
        table.match("GET", "/x/1%20", "a.com", headers)
    assert sys.getallocatedblocks() - before < 50


def test_threads_may_match_at_once() -> None:
    table = router(*(f"/r{i}/{{id:int}}" for i in range(500)))
    wrong: list[str] = []

    def look() -> None:
        paths = [(f"/r{i % 500}/{i}", f"/r{i % 500}/{{id:int}}") for i in range(2000)]
        wrong.extend(path for path, pattern in paths if taken(table, path) != pattern)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_hundred_thousand_routes() -> None:
    table = Router[int]()
    start = time.process_time()
    for i in range(100_000):
        table.add(f"/api/v1/service-{i // 10}/resource-{i % 10}/{{id:int}}", i, methods=["GET"])
    table.freeze()
    # The bar is 2 s on an idle machine.
    assert time.process_time() - start < 6
    for i in range(0, 100_000, 997):
        found = table.match("GET", f"/api/v1/service-{i // 10}/resource-{i % 10}/5")
        assert isinstance(found, RouteMatch)
        assert found.destination == i
    assert table.match("GET", "/api/v1/service-10000/resource-1/5") is None


# ---- explain


def test_explain_lists_candidates_in_order_with_reasons() -> None:
    table = Router[str]()
    table.add("/{rest:path}", "rest")
    table.add("/users/{id}", "post", methods=["POST"])
    table.add("/users/{id}", "host", host="a.com")
    table.add("/users/{id:int}", "int")
    table.add("/users/{id:uuid}", "uuid")
    table.add("/users/{id:int}/orders", "orders")
    table.add("/users/{id:int}", "beta", headers={"X-Beta": "1"})
    table.freeze()
    told = [(c.route.destination, c.wins, c.reason) for c in table.explain("GET", "/users/5", "b.com")]
    assert [entry[:2] for entry in told] == [
        ("beta", False),
        ("int", True),
        ("host", False),
        ("post", False),
        ("rest", False),
        ("orders", False),
        ("uuid", False),
    ]
    reasons = {name: reason for name, _, reason in told}
    assert reasons["beta"] == "the header x-beta is missing"
    assert reasons["host"] == "the host is 'b.com', not 'a.com'"
    assert reasons["post"] == "the method is GET, not POST"
    assert "at segment 1 a literal goes before a parameter for the rest" in reasons["rest"]
    assert reasons["orders"] == "the path ends where 'orders' should follow"
    assert reasons["uuid"] == "segment 2 of the path is '5', no UUID as id asks for"


def test_explain_shows_the_nearest_others_and_always_the_winner() -> None:
    table = router(*(f"/a/b/{i}" for i in range(50)), "/{rest:path}", "/z")
    told = table.explain("GET", "/a/b/x", limit=3)
    assert [c.route.path for c in told] == ["/{rest:path}", "/a/b/0", "/a/b/1"]
    hosted = hosts(*(f"h{i}.com" for i in range(20)), None)
    told = hosted.explain("GET", "/x", limit=3)
    assert len(told) == 4
    assert told[-1].wins
