"""Aggregates: what the parts are asked, how their answers become one, and what becomes of those that fail."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tetrapylon import HTTPError, Request, Response
from tetrapylon.testing import Answer, Running, running

Fake = Callable[[Request], Any]


def asking(parts: dict[str, Any], /, *, route: dict[str, Any] | None = None, **fakes: Any) -> Any:
    """A gateway whose only route is an aggregate, each part at the upstream of its own name."""
    targets = {name: {"targets": ["http://127.0.0.1:9"]} for name in fakes}
    given = {name: {"upstream": name, "path": f"/{name}", **part} for name, part in parts.items()}
    made = {"path": "/page/{id}", "aggregate": given, **(route or {})}
    config = {"upstreams": targets, "routes": [made]}
    return running(config, **{n: f if callable(f) else always(f) for n, f in fakes.items()})


def always(value: Any) -> Fake:
    def fake(request: Request) -> Any:
        return raw(msgspec.json.encode(value)) if isinstance(value, str) else value

    return fake


def failing(status: int) -> Fake:
    def fake(request: Request) -> Any:
        raise HTTPError(status, "no")

    return fake


def body(served: Running, target: str = "/page/7") -> Any:
    answer = served.get(target)
    assert (answer.status, answer.header("Content-Type")) == (200, "application/json"), answer
    assert answer.header("X-Partial") is None
    return answer.json()


def problem(answer: Answer, status: int) -> Any:
    assert (answer.status, answer.header("Content-Type")) == (status, "application/problem+json"), answer
    told = answer.json()
    assert (told["status"], told["reason"]) == (status, "part_failed")
    proxy = answer.header("Proxy-Status")
    assert proxy is not None
    assert proxy.startswith("tetrapylon")
    return told["errors"]


def reason(answer: Answer) -> str:
    """What Proxy-Status (RFC 9209) says, without the gateway's name."""
    return str(answer.header("Proxy-Status")).partition("; ")[2]


JSON = "application/json"


def raw(content: bytes | str, status: int = 200) -> Response:
    return Response(content, status, content_type=JSON)


class TestTogether:
    def test_each_part_is_a_member_in_the_order_of_the_config(self) -> None:
        with asking({"b": {}, "a": {}}, a=[1, 2], b={"x": None}) as served:
            assert served.get("/page/7").text == '{"b":{"x":null},"a":[1,2]}'

    def test_what_is_only_embedded_stays_to_the_byte(self) -> None:
        text = b'{"n": 1.0000000000000000001,\n "n":2, "u":"\\u00e4\xc3\xa4"}'
        with asking({"a": {}}, a=raw(b" " + text + b"\n")) as served:
            assert served.get("/page/7").body == b'{"a":' + text + b"}"

    def test_pick_drop_and_rename(self) -> None:
        parts = {
            "user": {"pick": ["id", "address.city"], "rename": {"id": "number"}},
            "orders": {"drop": ["internal"]},
        }
        user = {"id": 1, "address": {"city": "x", "zip": 1}, "password": "y"}
        with asking(parts, user=user, orders=[{"id": 5, "internal": 6}]) as served:
            assert body(served) == {"user": {"number": 1, "address": {"city": "x"}}, "orders": [{"id": 5}]}

    def test_flatten_and_group(self) -> None:
        parts = {
            "user": {"flatten": True},
            "theme": {"group": "settings"},
            "mail": {"group": "settings", "flatten": True},
            "last": {},
        }
        made: dict[str, Any] = {
            "user": {"id": 1, "name": "Ada"},
            "theme": "dark",
            "mail": {"daily": True},
            "last": 0,
        }
        with asking(parts, **made) as served:
            text = '{"id":1,"name":"Ada","settings":{"theme":"dark","daily":true},"last":0}'
            assert served.get("/page/7").text == text

    def test_of_members_with_one_name_the_last_counts(self) -> None:
        parts = {"a": {"flatten": True}, "b": {"flatten": True}, "n": {}}
        with asking(parts, a={"x": 1, "n": 1}, b={"x": 2, "y": 3}, n=4) as served:
            assert served.get("/page/7").text == '{"x":2,"n":4,"y":3}'

    def test_an_answer_without_content_is_null(self) -> None:
        with asking({"a": {}, "b": {"flatten": True}}, a=None, b=None) as served:
            assert served.get("/page/7").text == '{"a":null}'

    def test_head_is_answered_as_get_is(self) -> None:
        with asking({"a": {}}, route={"methods": ["GET"]}, a=1) as served:
            answer = served.request("HEAD", "/page/7")
            assert (answer.status, answer.header("Content-Length"), answer.body) == (200, "7", b"")
            assert served.upstreams["a"].received[0].method == "GET"


class TestAsked:
    def test_paths_are_made_of_parameters_query_and_fields(self) -> None:
        part = {"path": "/a/{id}?q={header:X-Q}&{query}"}
        with asking({"a": part}, a=1) as served:
            served.get("/page/x%20y?b=c&d=%26", headers={"X-Q": "1&2=3"})
            assert served.upstreams["a"].received[0].target == "/a/x%20y?q=1%262%3D3&b=c&d=%26"

    def test_a_part_uses_the_answer_of_an_earlier_one(self) -> None:
        parts = {
            "team": {"path": "/teams/{user.team.id}"},
            "lead": {"path": "/users/{team.lead}?of={user.name}"},
            "user": {"pick": ["name"]},
        }
        made: dict[str, Any] = {
            "user": {"name": "Ada & Co/ä", "team": {"id": 7}},
            "team": {"lead": "x"},
            "lead": 1,
        }
        with asking(parts, **made) as served:
            told = {"team": {"lead": "x"}, "lead": 1, "user": {"name": "Ada & Co/ä"}}
            assert body(served) == told
            assert served.upstreams["team"].received[0].target == "/teams/7"
            assert served.upstreams["lead"].received[0].target == "/users/x?of=Ada%20%26%20Co%2F%C3%A4"

    @pytest.mark.parametrize(
        ("field", "why"),
        [
            (None, "there is no a.f"),
            ("..", "dot segment"),
            (".", "dot segment"),
            ("", "empty"),
            ({"x": 1}, "neither text nor a number"),
            ([1], "neither text nor a number"),
        ],
    )
    def test_a_field_that_leads_astray_is_not_sent(self, field: Any, why: str) -> None:
        first = {} if field is None else {"f": field}
        with asking({"a": {}, "b": {"path": "/x/{a.f}/y"}}, a=first, b=1) as served:
            (error,) = problem(served.get("/page/7"), 502)
            assert error["part"] == "b"
            assert why in error["detail"]
            assert served.upstreams["b"].received == []

    def test_a_field_can_say_no_more_than_one_segment_or_value(self) -> None:
        parts = {"a": {}, "b": {"path": "/x/{a.f}?y={a.f}"}}
        with asking(parts, a={"f": "../../admin?x=1#y&z\r\nX: y"}, b=1) as served:
            served.get("/page/7")
            sent = "..%2F..%2Fadmin%3Fx%3D1%23y%26z%0D%0AX%3A%20y"
            assert served.upstreams["b"].received[0].target == f"/x/{sent}?y={sent}"

    def test_it_is_told_the_fields_that_are_forwarded_and_what_policies_set(self) -> None:
        policies = [{"use": "headers", "request": {"set": {"X-Set": "1"}}}]
        parts: dict[str, Any] = {"a": {}, "b": {"forward": ["X-Own"]}}
        with asking(parts, route={"policies": policies}, a=1, b=1) as served:
            given = {
                "Authorization": "A",
                "Cookie": "c=1",
                "X-Own": "o",
                "If-None-Match": "x",
                "X-Set": "forged",
            }
            served.get("/page/7", headers=given)
            a = dict(served.upstreams["a"].received[0].headers)
            b = dict(served.upstreams["b"].received[0].headers)
            assert (a["Authorization"], a["X-Set"], a["Accept"]) == ("A", "1", JSON)
            assert (b["X-Own"], b["X-Set"]) == ("o", "1")
            assert not {"Cookie", "X-Own", "If-None-Match"} & a.keys()
            assert not {"Authorization", "Cookie"} & b.keys()

    def test_what_connection_names_is_not_forwarded(self) -> None:
        with asking({"a": {}}, a=1) as served:
            served.get("/page/7", headers={"Connection": "authorization", "Authorization": "A"})
            assert served.upstreams["a"].received[0].header("Authorization") is None

    def test_the_body_goes_to_the_parts_that_want_it(self) -> None:
        parts = {"a": {"method": "POST", "body": True}, "b": {}}
        with asking(parts, route={"limits": {"body": "100B"}}, a=1, b=1) as served:
            assert served.post("/page/7", json={"x": 1}).status == 200
            got = served.upstreams["a"].received[0]
            assert (got.method, got.json(), got.header("Content-Type")) == ("POST", {"x": 1}, JSON)
            assert served.upstreams["b"].received[0].body == b""
            assert served.post("/page/7", body="x" * 101).status == 413
            assert len(served.upstreams["a"].received) == 1

    def test_a_part_has_policies_of_its_own(self) -> None:
        own = [
            {"use": "headers", "request": {"set": {"X-Mine": "1"}}, "response": {"set": {"X-No": "1"}}},
            {"use": "rate_limit", "rate": "1/h", "burst": 1, "key": "route"},
        ]
        with asking({"a": {"policies": own, "required": False}, "b": {}}, a=1, b=2) as served:
            first, second = served.get("/page/7"), served.get("/page/7")
            assert (first.json(), first.header("X-Partial"), first.header("X-No")) == (
                {"a": 1, "b": 2},
                None,
                None,
            )
            assert (second.json(), second.header("X-Partial")) == ({"b": 2}, "a")
            assert [each.header("X-Mine") for each in served.upstreams["a"].received] == ["1"]
            assert all(each.header("X-Mine") is None for each in served.upstreams["b"].received)


UNFIT = [
    b"",
    b"<html>",
    b'{"a":1}}',
    b'1,"admin":true',
    b"[1",
    b'"\xff"',
    b"[" * 200_000,
    b"\x1f\x8b\x08",
]


class TestFailures:
    @pytest.mark.parametrize("content", UNFIT[1:], ids=lambda each: repr(each[:10]))
    def test_an_answer_that_is_no_json_never_gets_into_the_whole(self, content: bytes) -> None:
        with asking({"a": {}, "b": {}}, a=raw(content), b=1) as served:
            (error,) = problem(served.get("/page/7"), 502)
            assert error["part"] == "a"
            assert "cannot be used" in error["detail"]
        with asking({"a": {"required": False}, "b": {}}, a=raw(content), b=1) as served:
            answer = served.get("/page/7")
            assert (answer.json(), answer.header("X-Partial")) == ({"b": 1}, "a")

    @pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
    def test_a_status_beyond_2xx_is_a_failure(self, status: int) -> None:
        with asking({"a": {}}, a=raw(b'{"x":1}', status)) as served:
            answer = served.get("/page/7")
            assert problem(answer, 502) == [{"part": "a", "detail": f"it answered with {status}"}]
            assert reason(answer) == f"received-status={status}"

    def test_the_default_stands_in_for_what_is_optional_and_the_answer_says_so(self) -> None:
        parts = {
            "a": {"required": False, "default": {"n": [1, None]}},
            "b": {"required": False, "default": None},
            "c": {"required": False},
            "d": {"required": False, "default": {"x": 1}, "flatten": True},
            "e": {},
        }
        fakes: dict[str, Any] = {name: failing(500) for name in "abcd"}
        with asking(parts, e=5, **fakes) as served:
            answer = served.get("/page/7")
            assert answer.text == '{"a":{"n":[1,null]},"b":null,"x":1,"e":5}'
            assert answer.header("X-Partial") == "a, b, c, d"
            assert answer.header("Cache-Control") == "no-store"

    def test_who_waits_for_a_part_that_failed_goes_by_its_default_or_fails_too(self) -> None:
        parts = {
            "a": {"required": False, "default": {"id": 3}},
            "b": {"path": "/b/{a.id}"},
            "c": {"required": False},
            "d": {"path": "/d/{c.id}", "required": False, "default": "none"},
        }
        with asking(parts, a=failing(500), b=1, c=failing(500), d=1) as served:
            answer = served.get("/page/7")
            assert answer.json() == {"a": {"id": 3}, "b": 1, "d": "none"}
            assert answer.header("X-Partial") == "a, c, d"
            assert served.upstreams["b"].received[0].target == "/b/3"
            assert served.upstreams["d"].received == []

    def test_an_answer_may_pass_through_as_it_is(self) -> None:
        def user(request: Request) -> Response:
            return Response(b'{"who": "no"}', 404, headers={"X-Why": "gone"}, content_type="application/x")

        with asking({"user": {"pass_through": [404]}, "b": {}}, user=user, b=1) as served:
            answer = served.get("/page/7")
            assert (answer.status, answer.text, answer.header("X-Why")) == (404, '{"who": "no"}', "gone")
            assert answer.header("Content-Type") == "application/x"
            assert len([name for name, _ in answer.headers if name.lower() == "content-length"]) == 1

    def test_an_answer_that_is_too_large_is_a_failure(self) -> None:
        with asking({"a": {"limit": "100B"}}, a="x" * 200) as served:
            answer = served.get("/page/7")
            assert problem(answer, 502) == [{"part": "a", "detail": "no answer: response_large"}]
            assert reason(answer) == "error=http_response_body_size"

    def test_a_part_that_cannot_be_reached_is_named(self) -> None:
        config = {
            "upstreams": {"a": {"targets": ["http://127.0.0.1:1"]}},
            "routes": [{"path": "/", "aggregate": {"a": {"upstream": "a", "path": "/"}}}],
        }
        with running(config) as served:
            answer = served.get("/")
            assert problem(answer, 502) == [{"part": "a", "detail": "no answer: connect_failed"}]
            assert reason(answer) == "error=connection_refused"

    def test_what_flattens_must_be_an_object(self) -> None:
        with asking({"a": {"flatten": True}}, a=[1]) as served:
            (error,) = problem(served.get("/page/7"), 502)
            assert "no JSON object" in error["detail"]

    def test_policies_of_the_route_see_the_whole(self) -> None:
        policies = [{"use": "headers", "response": {"set": {"X-All": "1"}}}]
        with asking({"a": {}}, route={"policies": policies}, a=failing(500)) as served:
            assert served.get("/page/7").header("X-All") == "1"
