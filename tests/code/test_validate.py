"""The `validate` policy: what does not fit is refused by name, all of it at once, whatever says what fits."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from tetrapylon import Response
from tetrapylon.config import loads
from tetrapylon.errors import ConfigError
from tetrapylon.testing import Answer, Running, running

SHOP = "examples/shop/openapi.json"
JSON = {"Content-Type": "application/json"}


class Line(Struct):
    sku: str
    count: Annotated[int, Meta(ge=1)]


class Order(Struct):
    customer: str
    lines: list[Line]


class Page(Struct, forbid_unknown_fields=True):
    page: Annotated[int, Meta(ge=1)]
    tag: list[Annotated[str, Meta(min_length=2)]] = []


@dataclasses.dataclass
class Fields:
    x_tenant: Annotated[str, Meta(pattern="^[a-z]+$")]
    x_count: int | None = None


class Careless(Struct):
    n: int

    def __post_init__(self) -> None:
        raise KeyError("a bug of the user's")


class Session(Struct):
    session: Annotated[str, Meta(min_length=4)]
    page: int = 1


def validating(upstream: Any = None, /, *, route: str = "/orders/{id}", **settings: Any) -> Any:
    config = {
        "upstreams": {"u": {"targets": ["http://127.0.0.1:9"]}},
        "routes": [{"path": route, "upstream": "u", "policies": [{"use": "validate", **settings}]}],
    }
    return running(config, u=lambda request: upstream if upstream is not None else {"taken": True})


def errors(answer: Answer, status: int) -> list[tuple[str, str | None]]:
    assert (answer.status, answer.header("Content-Type")) == (status, "application/problem+json"), answer
    told = answer.json()
    assert told["status"] == status
    assert answer.header("Proxy-Status")
    assert all(each["detail"] for each in told["errors"])
    return [(each["in"], each.get("field")) for each in told["errors"]]


def name(of: type) -> str:
    return f"{__name__}:{of.__qualname__}"


ORDER_SCHEMA = {
    "type": "object",
    "required": ["customer", "lines"],
    "properties": {
        "customer": {"type": "string"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "required": ["sku"], "properties": {"count": {"minimum": 1}}}},
}
BODIES: dict[str, dict[str, Any]] = {
    "a type": {"body": name(Order)},
    "a schema": {"body": {"schema": ORDER_SCHEMA}},
}
GOOD = {"customer": "Ada", "lines": [{"sku": "x", "count": 1}]}


@pytest.fixture(params=BODIES, ids=str)
def orders(request: pytest.FixtureRequest) -> Iterator[Running]:
    with validating(**BODIES[request.param]) as served:
        yield served


class TestBody:
    def test_what_fits_goes_on_to_the_byte(self, orders: Running) -> None:
        text = json.dumps(GOOD, indent=1)
        assert orders.post("/orders/1", body=text, headers=JSON).status == 200
        assert orders.upstreams["u"].received[0].body == text.encode()

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            (b"", 422, None),
            (b"{", 400, None),
            (b"<order/>", 400, None),
            (b'{"customer":"a","lines":[],"lines":[]}', 400, "lines"),
            (b'{"lines":' + b"[" * 100 + b"]" * 100 + b"}", 400, "lines"),
            (b"[" * 200_000, 400, None),
            (b'{"customer":"\xff","lines":[]}', 400, "customer"),
            (b'{"customer":NaN,"lines":[]}', 400, None),
            (b"[]", 422, None),
            (b'{"customer":1,"lines":[]}', 422, "customer"),
            (
                b'{"customer":"a","lines":[{"sku":"x","count":1},{"sku":"x","count":0}]}',
                422,
                "lines[1].count",
            ),
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_what_does_not_is_refused_and_never_sent(
        self, orders: Running, body: bytes, status: int, field: str | None
    ) -> None:
        answer = orders.request("POST", "/orders/1", body=body, headers=JSON)
        places = errors(answer, status)
        assert places[0][0] == "body"
        if field is not None and not (places[0][1] or "").startswith(field):
            pytest.fail(f"{field} is not named: {answer.text}")
        assert orders.upstreams["u"].received == []

    def test_a_body_that_does_not_say_it_is_json(self, orders: Running) -> None:
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/jsonx"}):
            assert errors(orders.post("/orders/1", body=json.dumps(GOOD), headers=headers), 415) == [
                ("body", None)
            ]
        for kind in ("application/json; charset=utf-8", "Application/Problem+JSON"):
            given = {"Content-Type": kind}
            assert orders.post("/orders/1", body=json.dumps(GOOD), headers=given).status == 200

    def test_a_schema_tells_several_errors_at_once_and_not_endlessly(self) -> None:
        with validating(**BODIES["a schema"]) as served:
            answer = served.post("/orders/1", json={"lines": [{}] * 1000})
            places = errors(answer, 422)
            assert len(places) == 20
            assert len(answer.body) < 5000
            assert {("body", "customer"), ("body", "lines[0].sku")} <= set(places)

    def test_a_body_that_is_too_large(self) -> None:
        with validating(body=name(Order), limit="100B") as served:
            assert served.post("/orders/1", body=b" " * 101, headers=JSON).status == 413

    def test_a_body_may_be_left_out_or_be_of_another_type_where_that_is_said(self) -> None:
        with validating(body=name(Order), required=False, content_types=["text/csv"]) as served:
            assert served.post("/orders/1").status == 200
            assert (
                served.post("/orders/1", body="a,b", headers={"Content-Type": "text/csv; x=y"}).status == 200
            )
            assert served.upstreams["u"].received[1].body == b"a,b"
            assert errors(served.post("/orders/1", body="{}", headers=JSON), 422)

    def test_a_type_that_raises_lets_nothing_by(self, capfd: pytest.CaptureFixture[str]) -> None:
        with validating(body=name(Careless)) as served:
            assert served.post("/orders/1", json={"n": 1}).status == 500
            assert served.upstreams["u"].received == []
            assert errors(served.post("/orders/1", json={"n": "x"}), 422) == [("body", "n")]
        assert "a bug of the user's" in capfd.readouterr().err


QUERY_SCHEMA = {
    "type": "object",
    "required": ["page"],
    "additionalProperties": False,
    "properties": {
        "page": {"type": "integer", "minimum": 1},
        "tag": {"type": "array", "items": {"type": "string", "minLength": 2}},
    },
}


class TestParameters:
    @pytest.mark.parametrize("query", [name(Page), {"schema": QUERY_SCHEMA}], ids=["a type", "a schema"])
    def test_the_query(self, query: Any) -> None:
        with validating(query=query) as served:
            assert served.get("/orders/1?page=2&tag=ab&tag=c%20d").status == 200
            answer = served.get("/orders/1?page=0&tag=ab&tag=c&x=1")
            assert errors(answer, 422) == [("query", "page"), ("query", "tag[1]"), ("query", "x")]
            assert errors(served.get("/orders/1?page=x"), 422) == [("query", "page")]
            assert errors(served.get("/orders/1"), 422) == [("query", "page")]
            assert len(served.upstreams["u"].received) == 1

    def test_header_fields(self) -> None:
        schema = {
            "properties": {"X-Tenant": {"pattern": "^[a-z]+$"}, "X-Count": {"type": "integer"}},
            "required": ["X-Tenant"],
        }
        for headers in (name(Fields), {"schema": schema}):
            with validating(headers=headers) as served:
                assert served.get("/orders/1", headers={"x-tenant": "acme", "X-Count": "3"}).status == 200
                answer = served.get("/orders/1", headers={"X-Tenant": "ACME", "X-Count": "x"})
                assert {(p, (f or "").lower()) for p, f in errors(answer, 422)} == {
                    ("header", "x-tenant"),
                    ("header", "x-count"),
                }
                ((place, field),) = errors(served.get("/orders/1"), 422)
                assert (place, (field or "").lower()) == ("header", "x-tenant")

    @pytest.mark.parametrize(
        "cookies",
        [
            name(Session),
            {
                "schema": {
                    "required": ["session"],
                    "properties": {
                        "session": {"type": "string", "minLength": 4},
                        "page": {"type": "integer"},
                    },
                }
            },
        ],
        ids=["type", "schema"],
    )
    def test_cookies(self, cookies: Any) -> None:
        with validating(cookies=cookies) as served:
            for good in ("session=abcd", "other=1; session=abcd; page=2"):
                assert served.get("/orders/1", headers={"Cookie": good}).status == 200
            short = served.get("/orders/1", headers={"Cookie": "session=abc; page=x"})
            assert sorted(errors(short, 422)) == [("cookie", "page"), ("cookie", "session")]
            absent = served.get("/orders/1")
            assert [place for place, _ in errors(absent, 422)] == ["cookie"]

    def test_a_cookie_of_an_openapi_document(self, tmp_path: Path) -> None:
        parameter = {"in": "cookie", "name": "session", "required": True, "schema": {"minLength": 4}}
        operation = {"operationId": "read", "parameters": [parameter], "responses": {}}
        document = {"openapi": "3.1.0", "info": {}, "paths": {"/orders/{id}": {"get": operation}}}
        file = tmp_path / "api.json"
        file.write_text(json.dumps(document))
        with validating(openapi=str(file), operation="read") as served:
            assert served.get("/orders/1", headers={"Cookie": "session=abcd"}).status == 200
            assert errors(served.get("/orders/1", headers={"Cookie": "session=abc"}), 422) == [
                ("cookie", "session")
            ]

    def test_all_places_are_told_at_once(self) -> None:
        with validating(query=name(Page), headers=name(Fields), body=name(Order)) as served:
            answer = served.post("/orders/1?page=0", json={"customer": 1, "lines": []})
            assert errors(answer, 422) == [("query", "page"), ("header", "x-tenant"), ("body", "customer")]


RECEIPT = {"200": {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}}


class TestAnswers:
    def test_what_fits_passes(self) -> None:
        for mode in ("pass", "report", "enforce"):
            with validating({"n": 1}, responses=RECEIPT, answers=mode) as served:
                assert served.get("/orders/1").json() == {"n": 1}

    def test_one_that_does_not_is_refused_without_saying_what_it_held(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with validating({"n": "secret"}, responses=RECEIPT, answers="enforce") as served:
            answer = served.get("/orders/1")
            assert errors(answer, 502) == [("answer", "n")]
            assert "secret" not in answer.text
        assert "secret" not in capfd.readouterr().err

    def test_or_reported_and_counted_while_it_passes(self, capfd: pytest.CaptureFixture[str]) -> None:
        with validating({"n": "x"}, responses=RECEIPT, answers="report") as served:
            assert served.get("/orders/1").json() == {"n": "x"}
        told = capfd.readouterr().err
        assert "an answer 200 of /orders/{id} is not what was agreed: n:" in told

    @pytest.mark.parametrize(
        "answer",
        [Response(b"{", 200, content_type="application/json"), Response("x", 200), Response(b"", 200)],
        ids=["no JSON", "text", "nothing"],
    )
    def test_what_cannot_be_read_does_not_fit(self, answer: Response) -> None:
        with validating(answer, responses=RECEIPT, answers="enforce") as served:
            assert errors(served.get("/orders/1"), 502)

    def test_a_status_of_which_nothing_is_said_passes(self) -> None:
        with validating(Response("no", 404), responses=RECEIPT, answers="enforce") as served:
            assert served.get("/orders/1").text == "no"
        classes = {"4XX": RECEIPT["200"]}
        with validating(Response("no", 404), responses=classes, answers="enforce") as served:
            assert served.get("/orders/1").status == 502

    def test_a_large_answer_that_is_reported_streams_by(self) -> None:
        large = Response(b"[" + b"1," * 5000 + b"1]", 200, content_type="application/json")
        with validating(large, responses=RECEIPT, answers="report", limit="1KiB") as served:
            assert len(served.get("/orders/1").body) == 10003

    def test_head_has_no_body_to_look_at(self) -> None:
        with validating({"n": "x"}, responses=RECEIPT, answers="enforce") as served:
            assert served.request("HEAD", "/orders/1").status == 200


class TestOpenApi:
    def test_a_document_says_routes_and_what_fits(self) -> None:
        api = {"openapi": SHOP, "upstream": "u", "prefix": "/shop", "answers": "enforce"}
        config = {"upstreams": {"u": {"targets": ["http://127.0.0.1:9"]}}, "apis": [api]}
        answers: list[Any] = [Response({"pieces": 1}, 201), Response({"pieces": "1"}, 201)]
        with running(config, u=lambda request: answers.pop(0)) as served:
            order = {"customer": "Ada", "lines": [{"sku": "x", "count": 1}]}
            assert served.post("/shop/orders", json=order).status == 201
            assert served.upstreams["u"].received[0].target == "/orders"
            assert errors(served.post("/shop/orders", json=order), 502) == [("answer", "pieces")]
            order["lines"] = [{"sku": 1, "count": 0, "x": 1}]
            assert set(errors(served.post("/shop/orders", json=order), 422)) == {
                ("body", "lines[0].sku"),
                ("body", "lines[0].count"),
                ("body", "lines[0].x"),
            }
            assert set(errors(served.get("/shop/orders/0?page=x"), 422)) == {
                ("path", "id"),
                ("query", "page"),
                ("header", "X-Tenant"),
            }
            assert served.get("/shop/orders").status == 405
            assert served.get("/orders/1").status == 404

    def test_what_is_read_only_is_asked_of_answers_alone(self) -> None:
        with validating(
            {"customer": "Ada", "lines": [{"sku": "x", "count": 1}]},
            openapi=SHOP,
            operation="readOrder",
            answers="enforce",
        ) as served:
            answer = served.get("/orders/7", headers={"X-Tenant": "a"})
            assert errors(answer, 502) == [("answer", "id")]

    def test_the_dialect_of_3_0(self, tmp_path: Path) -> None:
        schema = {
            "type": "object",
            "properties": {
                "a": {"type": "string", "nullable": True, "enum": ["x"]},
                "b": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            },
        }
        operation = {
            "parameters": [
                {"name": "ids", "in": "query", "explode": False,
                 "schema": {"type": "array", "items": {"type": "integer"}}},
            ],
            "requestBody": {"content": {"application/json": {"schema": schema}}},
            "responses": {},
        }  # fmt: skip
        document = {"openapi": "3.0.3", "paths": {"/x": {"post": operation}}}
        file = tmp_path / "api.json"
        file.write_text(json.dumps(document))
        with validating(openapi=str(file), operation="POST /x") as served:
            assert served.post("/orders/1?ids=1,2", json={"a": None, "b": 0.1}).status == 200
            assert set(errors(served.post("/orders/1?ids=1,x", json={"a": "y", "b": 0}), 422)) == {
                ("query", "ids[1]"),
                ("body", "a"),
                ("body", "b"),
            }


def refused(settings: str) -> str:
    text = (
        "upstreams: {u: {targets: ['http://127.0.0.1:1']}}\n"
        f"routes: [{{path: /, upstream: u, policies: [{{use: validate, {settings}}}]}}]\n"
    )
    with pytest.raises(ConfigError) as error:
        loads(text, "gateway.yaml")
    (problem,) = error.value.problems
    assert problem.line == 2
    return str(problem)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("limit: 1MiB", "nothing is validated"),
        ("body: {}", "give one of `type` and `schema`"),
        ("body: 'tests.code.test_validate:Ordr'", "did you mean Order?"),
        ("body: 'tests.code.test_validate:errors'", "no type that msgspec knows"),
        ("query: 'builtins:int'", "expected a Struct, dataclass or TypedDict"),
        ("body: {schema: {type: objekt}}", "this is no JSON Schema"),
        ("body: {schema: {$ref: 'http://other.test/x.json'}}", "this is no JSON Schema"),
        ("body: {schema: nowhere.json}", "nowhere.json cannot be read"),
        ("body: {schema: {}}, answers: enforce", "nothing is said of answers"),
        ("responses: {ok: {schema: {}}}", "is no status"),
        (f"openapi: {SHOP}", "`operation` is missing"),
        (f"openapi: {SHOP}, operation: createOrdr", "did you mean 'createOrder'?"),
        ("openapi: pyproject.toml, operation: x", "cannot be read"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: str, said: str) -> None:
    assert said in refused(settings)


@pytest.mark.parametrize(
    ("api", "path", "said"),
    [
        ("openapi: nowhere.yaml, upstream: u", "apis[0].openapi", "cannot be read"),
        (f"openapi: {SHOP}, upstream: v", "routes[0].upstream", "there is no upstream 'v'"),
        (f"openapi: {SHOP}, upstream: u, prefix: shop", "apis[0].prefix", "such as /shop"),
        (f"openapi: {SHOP}, upstream: u, answer: report", "apis[0].answer", "did you mean `answers`?"),
    ],
)
def test_apis_that_cannot_be_are_refused(api: str, path: str, said: str) -> None:
    text = f"upstreams: {{u: {{targets: ['http://127.0.0.1:1']}}}}\napis: [{{{api}}}]\n"
    with pytest.raises(ConfigError) as error:
        loads(text, "gateway.yaml")
    problem = error.value.problems[0]
    assert problem.path == path
    assert said in str(problem)


def test_without_what_schemas_need_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    assert 'pip install "tetrapylon[schema]"' in refused("body: {schema: {}}")
