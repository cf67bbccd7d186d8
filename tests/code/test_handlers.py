"""Handlers: the signature is the schema, and what is returned is the answer."""

import asyncio
import contextvars
import datetime as dt
import enum
import gc
import uuid
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from msgspec import Meta, Struct

from tetrapylon import Body, Cookie, Event, Header, HTTPError, Path, Request, Response, Tetrapylon
from tetrapylon.testing import Answer, Running, running


class Line(Struct):
    sku: str
    count: Annotated[int, Meta(ge=1)]


class Order(Struct):
    id: int
    lines: list[Line]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


def serve(function: Any, path: str = "/", method: str = "GET", **options: Any) -> Any:
    app = Tetrapylon(docs=None)
    app.route(path, methods=(method,), **options)(function)
    return running(app)


def errors(answer: Answer) -> list[dict[str, str]]:
    assert answer.header("Content-Type") == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status
    assert told["title"]
    found: list[dict[str, str]] = told.get("errors", [])
    return found


class TestArguments:
    def test_each_comes_from_its_place_and_is_its_type(self) -> None:
        def handler(
            id: int,
            name: Annotated[str, Path("who")],
            page: Annotated[int, Meta(ge=1)] = 1,
            tag: list[str] = [],  # noqa: B006 - each call is given its own
            size: Size = Size.SMALL,
            on: dt.date | None = None,
            kind: Literal["a", "b"] = "a",
            x_tenant: Annotated[str, Header()] = "none",
            trace: Annotated[uuid.UUID | None, Header("X-Trace-Id")] = None,
            session: Annotated[int | None, Cookie("sid")] = None,
            ratio: float = 0.5,
            deep: bool = False,
        ) -> dict[str, Any]:
            tag.append("end")
            return locals()

        with serve(handler, "/q/{id:int}/{who}") as served:
            plain = served.get("/q/5/Ad%C3%A4").json()
            assert plain == {
                "id": 5,
                "name": "Adä",
                "page": 1,
                "tag": ["end"],
                "size": "small",
                "on": None,
                "kind": "a",
                "x_tenant": "none",
                "trace": None,
                "session": None,
                "ratio": 0.5,
                "deep": False,
            }
            trace = str(uuid.uuid4())
            full = served.get(
                "/q/7/x?page=3&tag=a&tag=b+c%21&size=large&on=2026-02-03&kind=b&ratio=1.5&deep=true",
                headers={"X-Tenant": "acme", "x-trace-id": trace, "Cookie": 'a=b; sid="9"; sid=10'},
            ).json()
            assert full["tag"] == ["a", "b c!", "end"]
            assert (full["page"], full["size"], full["on"], full["kind"]) == (3, "large", "2026-02-03", "b")
            assert (full["x_tenant"], full["trace"], full["session"]) == ("acme", trace, 9)
            assert (full["ratio"], full["deep"]) == (1.5, True)

    def test_the_largest_integer_of_a_path_is_exact(self) -> None:
        def handler(id: int) -> int:
            return id

        with serve(handler, "/{id:int}") as served:
            for text in ("0", "007", "999999999999999999", "9223372036854775807"):
                assert served.get(f"/{text}").json() == int(text)

    def test_all_that_is_wrong_is_told_at_once_by_name(self) -> None:
        def handler(
            id: int, page: Annotated[int, Meta(ge=1)], need: str, sid: Annotated[int, Cookie()] = 0
        ) -> None: ...

        with serve(handler, "/{id}") as served:
            answer = served.get("/x?page=0", headers={"Cookie": "sid=z"})
            assert answer.status == 422
            assert [(e["in"], e["field"]) for e in errors(answer)] == [
                ("path", "id"),
                ("query", "page"),
                ("query", "need"),
                ("cookie", "sid"),
            ]

    def test_keyword_only_parameters_and_callables_of_any_kind(self) -> None:
        class Named:
            def __call__(self, *, b: int, a: int = 1) -> list[int]:
                return [a, b]

        def add(base: int, n: int) -> int:
            return base + n

        with serve(Named()) as served:
            assert served.get("/?b=2").json() == [1, 2]
        with serve(partial(add, 10)) as served:
            assert served.get("/?n=5").json() == 15


class TestBodies:
    @pytest.mark.parametrize("kind", ["struct", "dataclass", "typeddict"])
    def test_json_becomes_the_type(self, kind: str) -> None:
        @dataclass
        class Data:
            a: int

        class Typed(TypedDict):
            a: int

        class Plain(Struct):
            a: int

        types: dict[str, Any] = {"struct": Plain, "dataclass": Data, "typeddict": Typed}

        def handler(given):  # type: ignore[no-untyped-def]
            return given

        handler.__annotations__ = {"given": types[kind], "return": types[kind]}
        with serve(handler, method="POST") as served:
            assert served.post("/", json={"a": 1}).json() == {"a": 1}
            answer = served.post("/", json={"a": "1"})
            assert (answer.status, errors(answer)[0]["field"]) == (422, "a")

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            (b'{"id": 1, "lines": [{"sku": "a", "count": 0}]}', 422, "lines[0].count"),
            (b'{"id": 1, "lines": {}}', 422, "lines"),
            (b'{"id": 1}', 422, None),
            (b'{"id": 1, "lines": [{"sku": "a", "sku": "b", "count": 1}]}', 400, "lines[0].sku"),
            (b'{"id": 1, "lines": [], "\\u0069d": 2}', 400, "id"),
            (b'{"id": 1, "lines": [{"sku": "\xff", "count": 1}]}', 400, "lines[0].sku"),
            (b'{"id": 1, "lines": [], "more": ' + b"[" * 80 + b"]" * 80 + b"}", 400, "more"),
            (b'{"id": 1, "lines": [', 400, None),
            (b'{"id": 1, "lines": []}}', 400, None),
            (b"", 422, None),
        ],
    )
    def test_what_does_not_fit_names_the_field(self, body: bytes, status: int, field: str | None) -> None:
        def handler(order: Order) -> Order:
            return order

        with serve(handler, method="POST") as served:
            answer = served.post("/", body=body, headers={"Content-Type": "application/json"})
            assert answer.status == status
            (told,) = errors(answer)
            assert told["in"] == "body"
            assert (told.get("field") or "").startswith(field or "")
            assert served.post("/", json=Order(1, [])).status == 200

    def test_many_names_of_an_object_are_told_apart(self) -> None:
        def handler(given: dict[str, int]) -> int:
            return len(given)

        with serve(handler, method="POST") as served:
            many = {f"name-{i}": i for i in range(2000)}
            assert served.post("/", json=many).json() == 2000
            text = msgspec.json.encode(many)[:-1] + b', "name-77": 1}'
            answer = served.post("/", body=text, headers={"Content-Type": "application/json"})
            assert (answer.status, errors(answer)[0]["field"]) == (400, "name-77")

    @pytest.mark.parametrize(
        "kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
    )
    def test_only_json_is_taken_for_json(self, kind: str | None) -> None:
        def handler(order: Order) -> Order:
            return order

        with serve(handler, method="POST") as served:
            headers = {} if kind is None else {"Content-Type": kind}
            body = msgspec.json.encode(Order(1, []))
            assert served.post("/", body=body, headers=headers).status == 415
            for good in ("Application/JSON; charset=utf-8", "application/vnd.shop+json"):
                assert served.post("/", body=body, headers={"Content-Type": good}).status == 200

    def test_raw_bytes_and_text(self) -> None:
        def raw(data: Annotated[bytes, Body()]) -> bytes:
            return data[::-1]

        def text(data: Annotated[str, Body()] = "nothing") -> str:
            return data.upper()

        with serve(raw, method="POST") as served:
            answer = served.post("/", body=b"\x00abc\xff")
            assert (answer.body, answer.header("Content-Type")) == (
                b"\xffcba\x00",
                "application/octet-stream",
            )
        with serve(text, method="POST") as served:
            assert served.post("/", body="grün").text == "GRÜN"
            assert served.post("/").text == "NOTHING"
            assert served.post("/", body=b"\xff").status == 400

    def test_a_body_beyond_the_limit_is_413_announced_or_not(self) -> None:
        from tetrapylon import RouteLimits

        def handler(data: Annotated[bytes, Body()]) -> int:
            return len(data)

        with serve(handler, method="POST", limits=RouteLimits(body=1000)) as served:
            assert served.post("/", body=b"x" * 1000).json() == 1000
            assert served.post("/", body=b"x" * 1001).status == 413
        with serve(handler, method="POST") as served:
            assert served.post("/", body=b"x" * 2**20).json() == 2**20
            assert served.post("/", body=b"x" * (2**20 + 1)).status == 413

    def test_what_reads_and_writes_it_is_made_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def handler(order: Order) -> Order:
            return order

        def again(*given: Any, **named: Any) -> None:
            raise AssertionError("made for a request")

        with serve(handler, method="POST") as served:
            for name in ("Decoder", "Encoder"):
                monkeypatch.setattr(msgspec.json, name, again)
            assert served.post("/", json=Order(1, [])).json() == {"id": 1, "lines": []}


class TestAnswers:
    @pytest.mark.parametrize(
        ("value", "status", "kind", "body"),
        [
            (None, 204, None, b""),
            (b"\x00\x01", 200, "application/octet-stream", b"\x00\x01"),
            ("grün", 200, "text/plain; charset=utf-8", "grün".encode()),
            ({"a": [1]}, 200, "application/json", b'{"a":[1]}'),
            (Line("a", 1), 200, "application/json", b'{"sku":"a","count":1}'),
            (Response({"a": 1}, 201), 201, "application/json", b'{"a":1}'),
            (Response("x", content_type="text/html"), 200, "text/html", b"x"),
            (Response(status=304), 304, None, b""),
            (Response(b"", 200), 200, "application/octet-stream", b""),
        ],
    )
    def test_what_is_returned_is_answered(
        self, value: Any, status: int, kind: str | None, body: bytes
    ) -> None:
        def handler() -> Any:
            return value

        async def waiting() -> Any:
            await asyncio.sleep(0)
            return value

        for function in (handler, waiting):
            with serve(function) as served:
                answer = served.get("/")
                assert (answer.status, answer.header("Content-Type"), answer.body) == (status, kind, body)

    def test_a_string_is_json_where_the_annotation_says_a_type_that_is(self) -> None:
        def handler() -> str | int:
            return "a"

        with serve(handler) as served:
            assert served.get("/").body == b"a"

    def test_headers_keep_their_duplicates_and_cannot_break_out(self) -> None:
        def handler() -> Response:
            return Response("x", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])

        with serve(handler) as served:
            found = [value for name, value in served.get("/").headers if name == "Set-Cookie"]
            assert found == ["a=1", "b=2"]
        for name, value in (("X-A", "a\r\nB: c"), ("X A", "a"), ("Content-Length", "3"), ("X-A", "\u2603")):
            with pytest.raises(ValueError, match=name):
                Response("x", headers={name: value})

    def test_an_error_is_raised_as_the_answer(self) -> None:
        def handler(n: int) -> int:
            if n < 0:
                raise HTTPError(409, "too low", headers={"Retry-After": "3"}, errors=[{"field": "n"}])
            raise KeyError(n)

        with serve(handler) as served:
            answer = served.get("/?n=-1")
            assert (answer.status, answer.header("Retry-After")) == (409, "3")
            assert answer.json()["detail"] == "too low"
            assert errors(answer) == [{"field": "n"}]

    def test_an_exception_is_500_and_its_traceback_is_told_once_a_second(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def handler() -> None:
            raise KeyError("secret-key")

        with serve(handler) as served:
            for _ in range(3):
                answer = served.get("/")
                assert answer.status == 500
                assert b"secret" not in answer.body
        told = capfd.readouterr().err
        assert told.count("Traceback") == 1
        assert "KeyError: 'secret-key'" in told
        assert "handlers.handler raised" in told

    def test_what_cannot_be_encoded_is_500(self) -> None:
        def handler() -> Any:
            return object()

        with serve(handler) as served:
            assert served.get("/").status == 500


class TestStreams:
    def test_items_go_out_one_by_one_in_the_shape_of_their_type(self) -> None:
        async def lines() -> AsyncIterator[dict[str, int]]:
            for n in range(3):
                await asyncio.sleep(0)
                yield {"n": n}

        async def events() -> AsyncIterator[Event]:
            yield Event(data="a\nb", event="tick", id="1", retry=100)
            yield Event(data={"x": 1})

        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            yield b""
            yield b"b"

        with serve(lines) as served:
            answer = served.get("/")
            assert answer.header("Content-Type") == "application/x-ndjson"
            assert answer.body == b'{"n":0}\n{"n":1}\n{"n":2}\n'
        with serve(events) as served:
            answer = served.get("/")
            assert answer.header("Content-Type") == "text/event-stream"
            assert answer.text == 'event: tick\nid: 1\nretry: 100\ndata: a\ndata: b\n\ndata: {"x":1}\n\n'
        with serve(pieces) as served:
            assert served.get("/").body == b"ab"

    def test_a_response_may_carry_a_stream_with_a_head_of_its_own(self) -> None:
        async def rows() -> AsyncIterator[str]:
            yield "a,b\n"
            yield "1,2\n"

        def handler() -> Response:
            return Response(rows(), 202, content_type="text/csv")

        with serve(handler) as served:
            answer = served.get("/")
            assert (answer.status, answer.header("Content-Type"), answer.text) == (
                202,
                "text/csv",
                "a,b\n1,2\n",
            )

    def test_one_that_fails_on_the_way_is_cut_never_completed(self) -> None:
        async def handler() -> AsyncIterator[bytes]:
            yield b"begun"
            raise ValueError

        with serve(handler) as served, pytest.raises(ConnectionAbortedError):
            served.get("/")

    def test_one_that_fails_before_its_first_item_is_500(self) -> None:
        async def handler(fail: bool = True) -> AsyncIterator[bytes]:
            if fail:
                raise ValueError
            yield b""

        with serve(handler) as served:
            assert served.get("/").status == 500


class TestAsync:
    def test_each_request_has_its_own_context_and_a_true_task(self) -> None:
        number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)

        async def handler(n: int, wait: bool) -> list[int]:
            before = number.get()
            task = asyncio.current_task()
            assert task is not None
            number.set(n)
            async with asyncio.timeout(5):
                if wait:
                    await asyncio.sleep(0)
            assert asyncio.current_task() is task
            return [before, number.get()]

        with serve(handler) as served:
            for n in range(1, 8):
                for wait in ("true", "false", "true"):
                    assert served.get(f"/?n={n}&wait={wait}").json() == [0, n]

    def test_a_task_that_nobody_keeps_is_used_for_the_next_request(self) -> None:
        seen: list[weakref.ref[asyncio.Task[Any]]] = []

        async def handler() -> None:
            task = asyncio.current_task()
            assert task is not None
            seen.append(weakref.ref(task))

        with serve(handler) as served:
            for _ in range(5):
                assert served.get("/").status == 204
            gc.collect()
            assert len({id(each()) for each in seen[1:]}) == 1
            assert seen[-1]() is not None

    def test_a_task_that_somebody_keeps_is_not_used_for_another_request(self) -> None:
        kept: list[Any] = []

        async def keep() -> None:
            kept.append(asyncio.current_task())

        async def cancel() -> str:
            for task in kept:
                task.cancel()
            await asyncio.sleep(0)
            return "whole"

        app = Tetrapylon(docs=None)
        app.get("/keep")(keep)
        app.get("/cancel")(cancel)
        with running(app) as served:
            for _ in range(4):
                assert served.get("/keep").status == 204
                assert served.get("/cancel").text == "whole"

    def test_cancelling_itself_strikes_at_the_next_wait(self) -> None:
        async def handler() -> str:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                task.uncancel()
                return "cancelled"
            return "slept"

        with serve(handler) as served:
            for _ in range(3):
                assert served.get("/").text == "cancelled"

    def test_a_timeout_and_a_task_group_work_as_anywhere(self) -> None:
        async def handler() -> list[int | str]:
            async def one(n: int) -> int:
                await asyncio.sleep(0.001 * n)
                return n

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(n)) for n in range(3)]
            found: list[int | str] = [task.result() for task in tasks]
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(10)
            except TimeoutError:
                found.append("timeout")
            return found

        with serve(handler) as served:
            for _ in range(3):
                assert served.get("/").json() == [0, 1, 2, "timeout"]

    def test_the_routes_total_timeout_cancels_it(self) -> None:
        from tetrapylon import RouteTimeouts

        seen: list[str] = []

        async def handler() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        with serve(handler, timeouts=RouteTimeouts(total=0.02)) as served:
            assert served.get("/").status == 504
        assert seen == ["cancelled"]

    def test_a_plain_function_may_run_in_a_thread(self) -> None:
        import threading

        def handler(n: int) -> dict[str, Any]:
            return {"n": n, "main": threading.current_thread() is threading.main_thread()}

        with serve(handler, run_in="thread") as served:
            assert served.get("/?n=4").json() == {"n": 4, "main": False}


class TestRequests:
    def test_the_request_is_read_where_it_lies(self) -> None:
        def handler(request: Request, id: int) -> dict[str, Any]:
            return {
                "method": request.method,
                "target": request.target,
                "path": request.path,
                "query": request.query.items(),
                "all": request.query.getall("a"),
                "cookies": request.cookies,
                "host": request.host,
                "route": request.route,
                "parameters": request.parameters,
                "client": request.client,
                "scheme": request.scheme,
                "accept": request.headers.getall("ACCEPT"),
                "names": sorted(request.headers),
                "consumer": request.consumer,
                "state": request.state,
            }

        with serve(handler, "/x/{id}") as served:
            told = served.request(
                "GET", "/x/5?a=1&a=%20&b", headers=[("Accept", "a"), ("accept", "b"), ("Cookie", "c=d; e=f")]
            ).json()
        assert told == {
            "method": "GET",
            "target": "/x/5?a=1&a=%20&b",
            "path": "/x/5",
            "query": [["a", "1"], ["a", " "], ["b", ""]],
            "all": ["1", " "],
            "cookies": {"c": "d", "e": "f"},
            "host": "memory",
            "route": "/x/{id}",
            "parameters": {"id": "5"},
            "client": "memory",
            "scheme": "http",
            "accept": ["a", "b"],
            "names": ["accept", "cookie", "host"],
            "consumer": None,
            "state": {},
        }

    def test_one_that_was_kept_is_refused_and_never_another_clients(self) -> None:
        from tetrapylon import ExchangeOver

        kept: list[Request] = []

        def handler(request: Request) -> str:
            for old in kept:
                for use in ("headers.items", "query.items", "json", "method", "state", "cookies"):
                    with pytest.raises(ExchangeOver):
                        attrgetter(use)(old)()
            fields = request.headers
            kept.append(request)
            assert fields["X-Me"]
            return "fine"

        def served_twice(served: Running) -> None:
            assert served.get("/", headers={"X-Me": "a"}).text == "fine"
            assert served.get("/", headers={"X-Me": "b"}).text == "fine"

        with serve(handler) as served:
            served_twice(served)
        assert "ended" in repr(kept[0])
