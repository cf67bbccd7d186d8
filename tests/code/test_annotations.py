"""Every kind of annotation: what texts and JSON become, what is refused, and what OpenAPI says of it."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Required, TypedDict, TypeVar

import pytest
from msgspec import UNSET, Meta, Struct
from openapi_spec_validator import OpenAPIV31SpecValidator

from tetrapylon import (
    Body,
    ConfigError,
    Cookie,
    Event,
    Header,
    Path,
    Query,
    Request,
    Response,
    Tetrapylon,
)
from tetrapylon.testing import running

V = TypeVar("V")
ItemId = NewType("ItemId", int)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    X = "x"


class Item(Struct, rename="camel"):
    first_name: str
    parent: "Item | None" = None


class Strict(Struct, forbid_unknown_fields=True):
    a: int
    inner: "Strict | None" = None


class Cat(Struct, tag=True):
    lives: int


class Dog(Struct, tag=True):
    tricks: list[str]


class Box(Struct, Generic[V]):
    value: V


class Pair(NamedTuple):
    a: int
    b: str = "z"


class Typed(TypedDict, total=False):
    a: Required[int]
    b: str


@dataclasses.dataclass
class Data:
    a: int
    b: list[int] = dataclasses.field(default_factory=list)


class Problem(Struct):
    """The user's own, of the same name as what errors are described by."""

    text: str


def handler(annotation: Any, default: Any = UNSET, *, returns: Any = str) -> Any:
    def given(x):  # type: ignore[no-untyped-def]
        return repr(x)

    given.__annotations__ = {"x": annotation, "return": returns}
    if default is not UNSET:
        given.__defaults__ = (default,)
    return given


# What it is, what is in the query, what the handler is given.
TAKEN: list[tuple[Any, str, Any]] = [
    (int, "x=-7", -7),
    (int, "x=99999999999999999999", 99999999999999999999),
    (float, "x=1.5", 1.5),
    (bool, "x=true", True),
    (bool, "x=0", False),
    (str, "x=a%20b+c%C3%A4", "a b cä"),
    (str, "x=", ""),
    (Annotated[str, Meta(min_length=2, pattern="^a")], "x=ab", "ab"),
    (Annotated[int, Meta(gt=0, multiple_of=5)], "x=5", 5),
    (int | None, "x=5", 5),
    (Annotated[int, Meta(ge=1)] | None, "x=5", 5),
    (Color, "x=red", Color.RED),
    (Level, "x=1", Level.LOW),
    (Word, "x=x", Word.X),
    (Literal[1, "a"], "x=a", "a"),
    (Literal[1, "a"], "x=1", 1),
    (dt.date, "x=2026-01-02", dt.date(2026, 1, 2)),
    (dt.datetime, "x=2026-01-02T03:04:05Z", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
    (dt.time, "x=03:04:05", dt.time(3, 4, 5)),
    (dt.timedelta, "x=PT1H", dt.timedelta(hours=1)),
    (uuid.UUID, f"x={ID}", ID),
    (decimal.Decimal, "x=1.10", decimal.Decimal("1.10")),
    (bytes, "x=YWJj", b"abc"),
    (ItemId, "x=4", 4),
    (list[int], "x=1&x=2", [1, 2]),
    (Sequence[int], "x=1&x=2", [1, 2]),
    (tuple[int, ...], "x=1&x=2", (1, 2)),
    (set[Color], "x=red&x=red", {Color.RED}),
    (frozenset[str], "x=a", frozenset({"a"})),
    (list[dt.date] | None, "x=2026-01-02", [dt.date(2026, 1, 2)]),
    (Annotated[list[int], Meta(max_length=2), Query("n")], "n=1&x=3&n=2", [1, 2]),
]
REFUSED: list[tuple[Any, str, str]] = [
    (int, "x=", "x"),
    (int, "x=+5", "x"),
    (int, "x=1_0", "x"),
    (int, "x=" + "9" * 5000, "x"),
    (float, "x=1e400", "x"),
    (bool, "x=yes", "x"),
    (Annotated[str, Meta(max_length=2)], "x=abc", "x"),
    (Annotated[int, Meta(multiple_of=5)], "x=3", "x"),
    (Annotated[int, Meta(ge=1)] | None, "x=0", "x"),
    (Annotated[float, Meta(ge=0, le=1)], "x=nan", "x"),
    (Color, "x=RED", "x"),
    (Level, "x=2", "x"),
    (Literal[1, "a"], "x=2", "x"),
    (dt.date, "x=2026-02-30", "x"),
    (Annotated[dt.datetime, Meta(tz=True)], "x=2026-01-02T03:04:05", "x"),
    (uuid.UUID, "x=5", "x"),
    (decimal.Decimal, "x=a", "x"),
    (list[int], "x=1&x=b", "x[1]"),
    (Annotated[list[int], Meta(max_length=1)], "x=1&x=2", "x"),
    (Annotated[list[int], Query("n")], "x=1", "n"),
    (str, "", "x"),
]
# What it is, a body, what the handler is given.
BODIES: list[tuple[Any, bytes, Any]] = [
    (Item, b'{"firstName":"a","parent":{"firstName":"b"}}', Item("a", Item("b"))),
    (Data, b'{"a":1}', Data(1)),
    (Typed, b'{"a":1}', {"a": 1}),
    (Pair, b"[1]", Pair(1)),
    (Cat | Dog, b'{"type":"Dog","tricks":["sit"]}', Dog(["sit"])),
    (Box[int], b'{"value":1}', Box(1)),
    (Item | None, b"null", None),
    (list[Item], b'[{"firstName":"a"}]', [Item("a")]),
    (dict[int, str], b'{"1":"a"}', {1: "a"}),
    (Mapping[str, int], b'{"a":1}', {"a": 1}),
    (Any, b'{"a":[null]}', {"a": [None]}),
    (Annotated[int, Body()], b"5", 5),
    (Annotated[list[int], Body()], b"[5]", [5]),
]
UNFIT: list[tuple[Any, bytes, str | None]] = [
    (Item, b"{}", "firstName"),
    (Item, b'{"firstName":"a","parent":{}}', "parent.firstName"),
    (Item, b'{"firstName":"a","parent":{"firstName":1}}', "parent.firstName"),
    (Strict, b'{"a":1,"b":2}', "b"),
    (Strict, b'{"a":1,"inner":{"a":1,"c":2}}', "inner.c"),
    (Data, b'{"a":1,"b":[1,"x"]}', "b[1]"),
    (Typed, b"{}", "a"),
    (Pair, b'["x"]', "[0]"),
    (Cat | Dog, b'{"type":"Cow"}', "type"),
    (Cat | Dog, b"{}", "type"),
    (list[Item], b'[{"firstName":"a"},{}]', "[1].firstName"),
    (dict[int, str], b'{"x":"a"}', None),
    (Box[int], b'{"value":"x"}', "value"),
    (Item, b"", None),
]


def shown(value: Any) -> str:
    return repr(value)[:40]


@pytest.mark.parametrize(("annotation", "query", "value"), TAKEN, ids=shown)
def test_texts_become_what_the_annotation_says(annotation: Any, query: str, value: Any) -> None:
    app = Tetrapylon(docs=None)
    app.get("/")(handler(annotation))
    with running(app) as served:
        assert served.get(f"/?{query}").text == repr(value)


@pytest.mark.parametrize(("annotation", "query", "field"), REFUSED, ids=shown)
def test_texts_that_do_not_fit_are_refused_by_name(annotation: Any, query: str, field: str) -> None:
    app = Tetrapylon(docs=None)
    app.get("/")(handler(annotation))
    with running(app) as served:
        answer = served.get(f"/?{query}")
        assert answer.status == 422
        assert [(each["in"], each["field"]) for each in answer.json()["errors"]] == [("query", field)]


@pytest.mark.parametrize(("annotation", "body", "value"), BODIES, ids=shown)
def test_json_becomes_what_the_annotation_says(annotation: Any, body: bytes, value: Any) -> None:
    app = Tetrapylon(docs=None)
    app.post("/")(handler(annotation))
    with running(app) as served:
        answer = served.post("/", body=body, headers={"Content-Type": "application/json"})
        assert answer.text == repr(value)


@pytest.mark.parametrize(("annotation", "body", "field"), UNFIT, ids=shown)
def test_json_that_does_not_fit_is_refused_by_name(annotation: Any, body: bytes, field: str | None) -> None:
    app = Tetrapylon(docs=None)
    app.post("/")(handler(annotation))
    with running(app) as served:
        answer = served.post("/", body=body, headers={"Content-Type": "application/json"})
        assert answer.status == 422
        (told,) = answer.json()["errors"]
        assert (told["in"], told.get("field")) == ("body", field)


def test_a_coded_body_is_not_taken_for_json() -> None:
    app = Tetrapylon(docs=None)
    app.post("/")(handler(Item))
    with running(app) as served:
        given = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        answer = served.post("/", body=b"\x1f\x8b", headers=given)
        assert (answer.status, answer.json()["errors"][0]["detail"]) == (
            415,
            "expected no Content-Encoding, not gzip",
        )
        given["Content-Encoding"] = "identity"
        assert served.post("/", body=b'{"firstName":"a"}', headers=given).status == 200


class TestOtherPlaces:
    def test_header_fields_cookies_and_paths(self) -> None:
        app = Tetrapylon(docs=None)

        @app.get("/{id:uuid}/{n:int}/{rest:path}")
        def all_(
            id: uuid.UUID,
            number: Annotated[int, Path("n")],
            rest: str,
            x_tag: Annotated[list[int], Header()],
            since: Annotated[dt.date | None, Header("X-Since")] = None,
            theme: Annotated[Color, Cookie()] = Color.RED,
        ) -> list[Any]:
            return [id, number, rest, x_tag, since, theme]

        with running(app) as served:
            fields = [("X-Tag", "1"), ("x-tag", "2"), ("X-Since", "2026-01-02"), ("Cookie", "theme=blue")]
            answer = served.get(f"/{ID}/7/a%2Fb/c", headers=fields)
            assert answer.json() == [str(ID), 7, "a/b/c", [1, 2], "2026-01-02", "blue"]
            fields = [("X-Tag", "1"), ("X-Tag", "b"), ("X-Since", "x"), ("Cookie", "theme=green")]
            wrong = served.get(f"/{ID}/7/a", headers=fields).json()["errors"]
            assert [(each["in"], each["field"]) for each in wrong] == [
                ("header", "x-tag[1]"),
                ("header", "X-Since"),
                ("cookie", "theme"),
            ]

    @pytest.mark.parametrize("run_in", ["loop", "thread", "process"])
    def test_positional_keyword_only_and_left_out(
        self, run_in: str, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / f"mixed_{run_in}.py").write_text(
            "def mixed(a: int, /, b: int = 2, *, c: int, d: list[int] = [4]) -> list[int | list[int]]:\n"
            "    return [a, b, c, d]\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        call = {"call": f"mixed_{run_in}:mixed", "run_in": run_in}
        with running({"routes": [{"path": "/{a:int}", "handler": call}]}) as served:
            assert served.get("/1?c=3", within=60).json() == [1, 2, 3, [4]]
            assert served.get("/1?c=3&d=5&b=6&d=7").json() == [1, 6, 3, [5, 7]]
            wrong = served.get("/1").json()["errors"]
            assert wrong == [{"in": "query", "field": "c", "detail": "is missing"}]


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (complex, "is not supported: complex"),
        (object, "is not supported: object"),
        (Response, "is not supported: Response"),
        (Iterator[int], "is not supported: Iterator"),
        (Annotated[Item, Query()], "from the query, cannot be a struct"),
        (Annotated[tuple[int, str], Query()], "from the query, cannot be a tuple"),
        (Annotated[list[int], Cookie()], "from the cookie, cannot be a list"),
        (Annotated[int, Cookie(), Query()], "has two marks"),
        (Annotated[int, Query("y")] | None, "has a mark within its type"),
        (list[Annotated[int, Header]], "has a mark within its type"),
        (Annotated[int, Path("id")], "is the path's, which has no {id}"),
        ("Nowhere", "names what is not there: name 'Nowhere'"),
        (dict[str, complex], "is not supported: complex"),
    ],
    ids=shown,
)
def test_annotations_that_cannot_work_are_errors_with_their_place(annotation: Any, said: str) -> None:
    app = Tetrapylon(docs=None)
    app.get("/")(handler(annotation))
    with pytest.raises(ConfigError) as caught, running(app):
        pass
    (problem,) = caught.value.problems
    assert said in problem.message
    assert f"{__file__}:" in problem.message


def test_so_are_functions_that_cannot_be_handlers() -> None:
    def yields() -> Any:
        yield 1

    def takes_all(*x: int) -> None: ...

    def silent(x):  # type: ignore[no-untyped-def]
        return x

    def answers() -> complex:
        return 1j

    for function, said in (
        (yields, "is a generator"),
        (takes_all, "takes any number of arguments"),
        (silent, "has no annotation"),
        (answers, "returns is not supported: complex"),
        (Item, "is a class"),
        (5, "is of type int"),
    ):
        app = Tetrapylon(docs=None)
        app.get("/")(function)  # type: ignore[type-var]
        with pytest.raises(ConfigError, match=said), running(app):
            pass


class TestOpenApi:
    def test_the_document_is_valid_whatever_the_annotations(self) -> None:
        app = Tetrapylon()
        for number, (annotation, _, value) in enumerate(TAKEN):
            app.get(f"/needed/{number}")(handler(annotation, returns=annotation))
            app.get(f"/optional/{number}")(handler(annotation, value, returns=tuple))
        for number, (annotation, _, value) in enumerate(BODIES):
            app.post(f"/body/{number}")(handler(annotation, returns=annotation))
            app.put(f"/body/{number}")(handler(annotation, value, returns=annotation | None))
        for number, returned in enumerate(
            (None, bytes, str, Response, AsyncIterator[Event], AsyncIterator[Item], AsyncIterator[bytes], Any)
        ):
            app.get(f"/returns/{number}")(handler(Request, returns=returned))
        app.route("/any/{id:int}/{u:uuid}/{rest:path}", methods=())(handler(Request))
        app.route("/many/{id}", methods=("GET", "DELETE", "PROPFIND"))(handler(Request))
        app.post("/problem")(handler(Problem, returns=Problem))
        with running(app) as served:
            made = served.get("/openapi.json").json()
        assert [each.message for each in OpenAPIV31SpecValidator(made).iter_errors()] == []
        assert made["openapi"].startswith("3.1.")
        assert len(made["paths"]) == 2 * len(TAKEN) + len(BODIES) + 11
        read = made["paths"]["/any/{id}/{u}/{rest}"]["get"]["parameters"]
        assert [
            (each["name"], each["schema"].get("type"), each["schema"].get("format")) for each in read
        ] == [
            ("id", "integer", None),
            ("u", "string", "uuid"),
            ("rest", "string", None),
        ]
        assert sorted(made["paths"]["/many/{id}"]) == ["delete", "get"]
        mine = made["paths"]["/problem"]["post"]["responses"]
        assert mine["200"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/Problem"
        }
        assert "text" in made["components"]["schemas"]["Problem"]["properties"]
        theirs = mine["422"]["content"]["application/problem+json"]["schema"]["$ref"].rpartition("/")[2]
        assert "status" in made["components"]["schemas"][theirs]["properties"]

    def test_each_host_has_the_document_of_what_is_answered_there(self) -> None:
        app = Tetrapylon()
        hosts = (None, "*.shop.test", "eu.shop.test", "other.test")
        for host in hosts:
            call = handler(Request)
            call.__doc__ = f"Of {host}."
            app.get("/same", host=host)(call)
            app.get(f"/only/{hosts.index(host)}", host=host)(call)
        with running(app) as served:
            told = {
                host: served.get(f"http://{host}/openapi.json").json()["paths"]
                for host in ("any.test", "us.shop.test", "eu.shop.test", "other.test")
            }
        assert {host: paths["/same"]["get"]["summary"] for host, paths in told.items()} == {
            "any.test": "Of None.",
            "us.shop.test": "Of *.shop.test.",
            "eu.shop.test": "Of eu.shop.test.",
            "other.test": "Of other.test.",
        }
        assert {
            host: sorted(path[-1] for path in paths if "only" in path) for host, paths in told.items()
        } == {
            "any.test": ["0"],
            "us.shop.test": ["0", "1"],
            "eu.shop.test": ["0", "1", "2"],
            "other.test": ["0", "3"],
        }

    def test_routes_that_differ_in_their_headers_are_one_operation_that_says_so(self) -> None:
        app = Tetrapylon()
        for version, annotation in (("1", int), ("2", str), (None, bytes)):
            call = handler(annotation, returns=annotation)
            call.__doc__ = f"Version {version}."
            app.post("/price", headers={"X-Version": version} if version else {})(call)
        for name, value in (("X-Tenant", "a"), ("Accept", "text/csv")):
            app.get(f"/only/{name}", headers={name: value})(handler(Request))
        with running(app) as served:
            made = served.get("/openapi.json").json()
        assert [each.message for each in OpenAPIV31SpecValidator(made).iter_errors()] == []
        price = made["paths"]["/price"]["post"]
        assert price["description"].splitlines()[2:] == [
            "- otherwise: Version None.",
            "- `X-Version: 1`: Version 1.",
            "- `X-Version: 2`: Version 2.",
        ]
        # Another value is taken, too: by the one that asks for none.
        assert [each for each in price["parameters"] if each["in"] == "header"] == [
            {
                "name": "X-Version",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "examples": ["1", "2"]},
            }
        ]
        answers = price["responses"]["200"]["content"]
        assert answers["application/json"]["schema"]["type"] == "integer"
        assert set(answers) == {"application/octet-stream", "application/json", "text/plain"}
        tenant = made["paths"]["/only/X-Tenant"]["get"]
        assert tenant["parameters"] == [
            {
                "name": "X-Tenant",
                "in": "header",
                "required": True,
                "schema": {"type": "string", "const": "a"},
            }
        ]
        # As a parameter it would be ignored (OpenAPI 3.1.0, 4.8.12.2).
        accept = made["paths"]["/only/Accept"]["get"]
        assert "parameters" not in accept
        assert accept["description"] == "Only for requests with `Accept: text/csv`."

    def test_a_header_that_each_of_them_asks_for_is_required_with_one_of_the_values(self) -> None:
        app = Tetrapylon()
        for version in ("1", "2"):
            app.get("/price", headers={"X-Version": version})(handler(Request))
        with running(app) as served:
            price = served.get("/openapi.json").json()["paths"]["/price"]["get"]
        (parameter,) = price["parameters"]
        assert parameter["required"] is True
        assert parameter["schema"] == {"type": "string", "enum": ["1", "2"]}

    def test_paths_that_differ_in_names_and_types_alone_are_one_operation(self) -> None:
        app = Tetrapylon()

        @app.get("/items/{number:int}")
        def by_number(number: int) -> int:
            return number

        @app.get("/items/{name}")
        def by_name(name: str) -> str:
            return name

        with running(app) as served:
            made = served.get("/openapi.json").json()
        assert [each.message for each in OpenAPIV31SpecValidator(made).iter_errors()] == []
        assert list(made["paths"]) == ["/items/{number}"]
        item = made["paths"]["/items/{number}"]["get"]
        assert item["description"].splitlines()[2:] == ["- `/items/{number:int}`", "- `/items/{name}`"]
        (parameter,) = item["parameters"]
        assert (parameter["name"], parameter["required"]) == ("number", True)
        assert parameter["schema"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}

    def test_a_host_without_conditions_hides_those_of_all_hosts_and_one_with_does_not(self) -> None:
        app = Tetrapylon()
        for path, host, headers in (
            ("/all", None, {"X-A": "1"}),
            ("/all", "shop.test", {}),
            ("/some", None, {}),
            ("/some", "shop.test", {"X-A": "1"}),
        ):
            call = handler(Request)
            call.__doc__ = f"Of {host}."
            app.get(path, host=host, headers=headers)(call)
        with running(app) as served:
            paths = served.get("http://shop.test/openapi.json").json()["paths"]
        assert paths["/all"]["get"]["summary"] == "Of shop.test."
        assert paths["/some"]["get"]["summary"] == "Of None. / Of shop.test."
