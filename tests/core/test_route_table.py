"""What a table of routes refuses: what is malformed, can never match or cannot be told apart."""

import pytest

from tetrapylon._core.routing.route import Conflict, RouteConflict, RouteError, Router


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("users", "starts with '/'"),
        ("", "starts with '/'"),
        ("/a//b", "repeated slashes are merged"),
        ("/a/../b", "resolved before matching"),
        ("/a/%2e/b", "resolved before matching"),
        ("/a?b=1", "'?' or '#'"),
        ("/a b", "space"),
        ("/%zz", "two hexadecimal digits"),
        ("/%00", "NUL"),
        ("/..;x", "';' parameters"),
        ("/{a}/{a}", "appears twice"),
        ("/{rest:path}/x", "nothing can follow"),
        ("/{id:integer}", "is not a type; expected {id}, {id:int}"),
        ("/{id:}", "is not a type"),
        ("/{1d}", "is not a name"),
        ("/{}", "is not a name"),
        ("/v{n}", "a parameter is a whole segment"),
        ("/{n}.json", "a parameter is a whole segment"),
        ("/{a}{b}", "a parameter is a whole segment"),
        ("/{a", "a parameter is a whole segment"),
        ("/a}", "a parameter is a whole segment"),
        ("/static/*", "no wildcard here"),
        ("/<int:id>", "a parameter is written"),
        ("/" + "/".join(f"{{p{i}}}" for i in range(17)), "more than 16 parameters"),
        ("/a" * 65, "more than 64 segments"),
        ("/" + "a" * 9000, "longer than"),
    ],
)
def test_a_malformed_path_is_refused(path: str, problem: str) -> None:
    with pytest.raises(RouteError) as caught:
        Router[str]().add(path, "x")
    assert problem in str(caught.value)
    assert caught.value.field == "path"


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("example.com:80", "port is not compared"),
        ("*example.com", "whole first label"),
        ("a.*.com", "whole first label"),
        ("*", "whole first label"),
        ("", "not a host name"),
        ("a..b", "not a host name"),
        ("-a.com", "not a host name"),
        ("a/b", "not a host name"),
        ("bücher.example", "xn--"),
    ],
)
def test_a_malformed_host_is_refused(host: str, problem: str) -> None:
    with pytest.raises(RouteError) as caught:
        Router[str]().add("/", "x", host=host)
    assert problem in str(caught.value)
    assert caught.value.field == "host"


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("get", "did you mean 'GET'"),
        ("Delete", "did you mean 'DELETE'"),
        ("A B", "not a method name"),
        ("", "not a method name"),
        ("CONNECT", "can never match"),
    ],
)
def test_a_malformed_method_is_refused(method: str, problem: str) -> None:
    with pytest.raises(RouteError) as caught:
        Router[str]().add("/", "x", methods=[method])
    assert problem in str(caught.value)
    assert caught.value.field == "methods"


def test_one_method_is_not_a_list_of_methods() -> None:
    with pytest.raises(TypeError, match=r"write \['GET'\]"):
        Router[str]().add("/", "x", methods="GET")


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"X A": "1"}, "not a header name"),
        ({"X-A": " 1"}, "can never match"),
        ({"X-A": "1\r\n"}, "can never match"),
        ({"X-A": "1", "x-a": "2"}, "named twice"),
        ({"Host": "a"}, "write host instead"),
    ],
)
def test_a_malformed_header_condition_is_refused(headers: dict[str, str], problem: str) -> None:
    with pytest.raises(RouteError) as caught:
        Router[str]().add("/", "x", headers=headers)
    assert problem in str(caught.value)
    assert caught.value.field == "headers"


def test_a_refused_route_leaves_no_trace() -> None:
    table = Router[str]()
    with pytest.raises(RouteError):
        table.add("/x", "x", methods=["GET", "get"])
    table.add("/x", "x")
    table.freeze()
    assert [route.path for route in table.routes] == ["/x"]


def conflicts(*routes: dict[str, object]) -> list[tuple[int, int]]:
    table = Router[str]()
    for route in routes:
        table.add(**{"path": "/x", "destination": "", **route})  # type: ignore[arg-type]
    found: list[Conflict] = []
    try:
        table.freeze()
    except RouteConflict as error:
        found, lines = error.conflicts, str(error).splitlines()
    else:
        lines = []
    assert table.frozen == (not found)
    for conflict, line in zip(found, lines, strict=True):
        assert f"{conflict.first} and {conflict.second} " in line
    return [(conflict.first.index, conflict.second.index) for conflict in found]


def test_routes_that_cannot_be_told_apart_are_all_named() -> None:
    a, b, c = {"X-A": "1"}, {"X-B": "1"}, {"X-B": "2"}
    assert conflicts({"path": "/{a}"}, {"path": "/{b}"}, {"path": "/y"}, {"path": "/y"}) == [(0, 1), (2, 3)]
    assert conflicts({"path": "/caf%C3%A9"}, {"path": "/café"}) == [(0, 1)]
    assert conflicts({"methods": ["GET", "PUT"]}, {"methods": ["PUT"]}, {"methods": ["POST"]}) == [(0, 1)]
    assert conflicts({"host": "A.com"}, {"host": "a.com."}) == [(0, 1)]
    assert conflicts({"headers": a}, {"headers": b}, {"headers": c}) == [(0, 1), (0, 2)]
    assert conflicts({"headers": {"X-A": "*"}}, {"headers": b}) == []
    assert conflicts({"headers": {"X-A": "*", "X-B": "1"}}, {"headers": {"X-A": "1", "X-B": "*"}}) == [(0, 1)]


def test_routes_that_can_be_told_apart_are_no_conflict() -> None:
    a, b = {"X-A": "1"}, {"X-A": "2"}
    assert (
        conflicts({}, {"methods": ["GET"]}, {"methods": ["HEAD"]}, {"host": "a.com"}, {"host": "*.a.com"})
        == []
    )
    assert conflicts({"headers": a}, {"headers": b}, {"headers": a, "methods": ["GET"]}) == []
    assert conflicts({"headers": a, "methods": ["GET"]}, {"headers": {"X-B": "1"}, "methods": ["PUT"]}) == []
    assert (
        conflicts({"path": "/{a:int}"}, {"path": "/{a}"}, {"path": "/{a:uuid}"}, {"path": "/{a:path}"}) == []
    )
