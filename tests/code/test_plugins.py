"""Plugins: classes of the user's with hooks at the stages of an exchange."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from tetrapylon import ConfigError, HTTPError, Outcome, Request, Response
from tetrapylon.config import loads
from tetrapylon.testing import running

HERE = "tests.code.test_plugins"
ORDER: list[str] = []


def config(*policies: dict[str, Any], **route: Any) -> dict[str, Any]:
    return {
        "upstreams": {"up": {"targets": ["http://up.invalid"]}},
        "routes": [{"path": "/{rest:path}", "upstream": "up", "policies": list(policies), **route}],
    }


def use(kind: type, **settings: Any) -> dict[str, Any]:
    return {"use": f"{HERE}:{kind.__name__}", **settings}


def ok(request: Request) -> dict[str, str]:
    return dict(request.headers.items())


class Tenant:
    class Settings(msgspec.Struct, frozen=True):
        default: str = "public"
        names: tuple[str, ...] = ()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def on_request(self, request: Request) -> Response | None:
        tenant = request.headers.get("X-Tenant", self.settings.default)
        if self.settings.names and tenant not in self.settings.names:
            raise HTTPError(403, f"no tenant {tenant}")
        if tenant == "teapot":
            return Response({"short": "stout"}, 418)
        request.headers["X-Tenant"] = tenant
        request.state["tenant"] = tenant
        return None

    def on_response_head(self, request: Request, response: Response) -> None:
        response.headers["X-Served"] = f"{request.state.get('tenant')}-{response.status}"
        del_if(response, "X-Secret")


def del_if(response: Response, name: str) -> None:
    if name in response.headers:
        del response.headers[name]


class Waits(Tenant):
    async def on_request(self, request: Request) -> Response | None:  # type: ignore[override]
        await asyncio.sleep(0.001)
        return super().on_request(request)

    async def on_response_head(self, request: Request, response: Response) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().on_response_head(request, response)


class Instant(Tenant):
    async def on_request(self, request: Request) -> Response | None:  # type: ignore[override]
        return super().on_request(request)

    async def on_response_head(self, request: Request, response: Response) -> None:  # type: ignore[override]
        super().on_response_head(request, response)


KINDS = (Tenant, Waits, Instant)


@pytest.mark.parametrize("kind", KINDS)
class TestRequestsAndHeads:
    def test_it_changes_what_the_upstream_is_sent_and_the_client_told(self, kind: type) -> None:
        def up(request: Request) -> Response:
            return Response(dict(request.headers.items()), headers={"X-Secret": "x"})

        with running(config(use(kind, default="acme")), up=up) as served:
            for _ in range(3):
                answer = served.get("/a", headers={"X-Other": "o"})
                assert answer.json()["X-Tenant"] == "acme"
                assert answer.header("X-Served") == "acme-200"
                assert answer.header("X-Secret") is None
            again = served.get("/a", headers={"x-tenant": "mine"})
            assert served.upstreams["up"].received[-1].header("X-Tenant") == "mine"
            assert again.header("X-Served") == "mine-200"

    def test_it_answers_in_place_of_the_upstream(self, kind: type) -> None:
        with running(config(use(kind)), up=ok) as served:
            answer = served.get("/", headers={"X-Tenant": "teapot"})
            assert (answer.status, answer.json()) == (418, {"short": "stout"})
            assert answer.header("X-Served") == "None-418"
            assert served.upstreams["up"].received == []

    def test_it_refuses_with_a_problem(self, kind: type) -> None:
        with running(config(use(kind, names=["a"])), up=ok) as served:
            answer = served.get("/")
            assert (answer.status, answer.json()["detail"]) == (403, "no tenant public")
            assert served.get("/", headers={"X-Tenant": "a"}).status == 200


class Bodies:
    """Has the request's body whole, and the response's."""

    def on_request(self, request: Request, body: bytes) -> Response | None:
        if request.json() == {"stop": True}:
            return Response("stopped", 409)
        request.state["n"] = len(body)
        return None

    def on_response(self, request: Request, response: Response) -> None:
        assert isinstance(response.body, bytes)
        response.headers["X-Request-Bytes"] = request.state.get("n", 0)
        if request.state.get("n") and response.status == 200:
            response.body = msgspec.json.encode({"wrapped": response.json()})


class LateBodies(Bodies):
    async def on_request(self, request: Request, body: bytes) -> Response | None:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().on_request(request, body)

    async def on_response(self, request: Request, response: Response) -> None:  # type: ignore[override]
        await asyncio.sleep(0.001)
        super().on_response(request, response)


class Checks:
    """Decides by what it reads of a body that goes on as it came."""

    def on_request(self, request: Request, body: bytes) -> Response | None:
        try:
            stop = request.json().get("stop")
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        return Response("stopped", 409) if stop else None


class LateChecks(Checks):
    async def on_request(self, request: Request, body: bytes) -> Response | None:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().on_request(request, body)


@pytest.mark.parametrize("kind", [Bodies, LateBodies])
class TestBodies:
    def test_whole_bodies_are_read_and_replaced(self, kind: type) -> None:
        with running(config(use(kind)), up=lambda request: {"a": 1}) as served:
            answer = served.post("/", json={"n": [1, 2]})
            assert answer.json() == {"wrapped": {"a": 1}}
            assert answer.header("Content-Length") == str(len(answer.body))
            assert answer.header("X-Request-Bytes") == "11"
            assert served.upstreams["up"].received[-1].body == b'{"n":[1,2]}'
            assert served.post("/", json={"stop": True}).text == "stopped"

    @pytest.mark.parametrize(
        "body", [b'{"stop": true, "stop": false}', b'{"a": [{"b": 1, "\\u0062": 2}]}', b"{"]
    )
    def test_json_that_two_readers_could_take_differently_is_none(self, kind: type, body: bytes) -> None:
        """RFC 8259, 4: which of two equal names counts is open, and the body goes on as it came."""
        read = f"{HERE}:{'Checks' if kind is Bodies else 'LateChecks'}"
        with running(config({"use": read}), up=lambda request: "taken") as served:
            assert served.post("/", body=body, headers={"Content-Type": "application/json"}).status == 400
            assert served.upstreams["up"].received == []
            assert served.post("/", json={"stop": False, "a": {"stop": True}}).text == "taken"

    def test_beyond_the_limit_it_is_413_and_502(self, kind: type) -> None:
        small = use(kind, body_limit="1KiB")
        with running(config(small), up=lambda request: b"x" * 5000) as served:
            assert served.post("/", json="x" * 2000).status == 413
            assert served.post("/", json="x").status == 502


class Shout:
    def on_body(self, request: Request, piece: bytes) -> bytes | None:
        if piece == b"fail":
            raise ValueError
        return None if piece == b"same" else piece.upper() + b"!"


class TestStreams:
    def test_pieces_are_changed_on_their_way(self) -> None:
        async def up(request: Request) -> Any:
            async def pieces() -> Any:
                for piece in (b"a", b"same", b"b"):
                    yield piece

            return Response(pieces())

        with running(config(use(Shout)), up=up) as served:
            assert served.get("/").body == b"A!sameB!"
        with running(config(use(Shout)), up=lambda request: Response("abc")) as served:
            answer = served.get("/")
            assert (answer.body, answer.header("Content-Length")) == (b"ABC!", None)

    def test_where_it_fails_the_answer_is_cut_or_goes_on(self) -> None:
        def up(request: Request) -> bytes:
            return b"fail"

        with running(config(use(Shout)), up=up) as served, pytest.raises(ConnectionAbortedError):
            served.get("/")
        with running(config(use(Shout, on_error="continue")), up=up) as served:
            assert served.get("/").body == b"fail"


class Breaks:
    class Settings(msgspec.Struct, frozen=True):
        how: str

    def __init__(self, settings: Settings) -> None:
        self.how = settings.how

    async def on_request(self, request: Request) -> Any:
        if self.how == "raises":
            raise KeyError("secret")
        if self.how == "rubbish":
            return 17
        if self.how == "hangs":
            await asyncio.sleep(60)
        if self.how == "exits":
            raise SystemExit(3)
        return None


class BreaksLate(Breaks):
    async def on_request(self, request: Request) -> Any:
        await asyncio.sleep(0)
        return await super().on_request(request)


@pytest.mark.parametrize("kind", [Breaks, BreaksLate])
class TestFailures:
    @pytest.mark.parametrize(
        ("how", "status"), [("raises", 500), ("rubbish", 500), ("hangs", 504), ("exits", 500)]
    )
    def test_the_request_is_refused_and_the_next_one_served(self, kind: type, how: str, status: int) -> None:
        policies = [use(kind, how=how, timeout="30ms")]
        with running(config(*policies), up=ok) as served:
            for _ in range(2):
                answer = served.get("/")
                assert answer.status == status
                assert b"secret" not in answer.body
            assert served.upstreams["up"].received == []

    @pytest.mark.parametrize("how", ["raises", "rubbish", "hangs"])
    def test_or_goes_on_where_the_config_says_so(self, kind: type, how: str) -> None:
        policies = [use(kind, how=how, timeout="30ms", on_error="continue")]
        with running(config(*policies), up=ok) as served:
            assert served.get("/").status == 200

    @pytest.mark.parametrize("how", ["raises", "rubbish", "hangs"])
    def test_or_is_answered_with_the_fallback_that_is_declared(
        self, kind: type, how: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        fallback = {"status": 203, "body": "{}", "content_type": "application/json"}
        with running(config(use(kind, how=how, timeout="30ms", fallback=fallback)), up=ok) as served:
            for _ in range(2):
                answer = served.get("/")
                assert (answer.status, answer.text) == (203, "{}")
                assert answer.header("Content-Type") == "application/json"
            assert served.upstreams["up"].received == []
        assert f"plugin {HERE}:{kind.__name__} raised" in capfd.readouterr().err


class TestGuard:
    def test_who_holds_the_loop_is_named(self, capfd: pytest.CaptureFixture[str]) -> None:
        with running(config(use(Blocks)), up=ok) as served:
            assert served.get("/").status == 200
        told = capfd.readouterr().err
        assert f"warning plugin {HERE}:Blocks held the loop for 1" in told

    def test_in_a_thread_it_holds_nothing(self, capfd: pytest.CaptureFixture[str]) -> None:
        with running(config(use(Blocks, run_in="thread")), up=ok) as served:
            assert served.get("/").json()["X-Blocked"] == "yes"
        assert "held the loop" not in capfd.readouterr().err


class Blocks:
    def on_request(self, request: Request) -> None:
        time.sleep(0.15)
        request.headers["X-Blocked"] = "yes"


class Noted:
    def __init__(self) -> None:
        ORDER.append("made")

    async def on_start(self, shared: dict[str, Any]) -> None:
        shared["clients"] = ["db"]
        ORDER.append("start")

    def on_stop(self, shared: dict[str, Any]) -> None:
        ORDER.append(f"stop {shared['clients']}")

    def on_request(self, request: Request) -> None:
        ORDER.append(f"request {request.shared['clients']}")

    async def on_end(self, request: Request, outcome: Outcome) -> None:
        ORDER.append(f"end {request.method} {outcome.status} {outcome.error}")
        await asyncio.sleep(0)


class TestLife:
    def test_hooks_run_in_their_order_and_the_end_comes_once(self) -> None:
        ORDER.clear()
        with running(config(use(Noted)), up=ok) as served:
            served.get("/")
            served.get("/b?x")
        requests = ["request ['db']", "end GET 200 None"] * 2
        assert ["made", "start", *requests, "stop ['db']"] == ORDER

    def test_one_that_cannot_start_is_named(self) -> None:
        with (
            pytest.raises(Exception, match=r"plugin .*:NoStart could not start: OSError: no database"),
            running(config(use(NoStart)), up=ok),
        ):
            pass


class NoStart:
    async def on_start(self, shared: dict[str, Any]) -> None:
        raise OSError("no database")


class Misnamed:
    def on_requests(self, request: Request) -> None: ...


class Empty:
    pass


class Wrong:
    def on_request(self) -> None: ...


class BadSettings:
    Settings = dict

    def on_request(self, request: Request) -> None: ...


class Reserved:
    class Settings(msgspec.Struct):
        timeout: float

    def __init__(self, settings: Any) -> None: ...
    def on_request(self, request: Request) -> None: ...


not_a_class = 3


@pytest.mark.parametrize(
    ("name", "settings", "path", "what", "hint"),
    [
        ("Misnamed", "", "use", "has on_requests, which is no hook", "did you mean on_request?"),
        ("Empty", "", "use", "has no hook", "on_request"),
        ("Wrong", "", "use", "cannot be called", "expected on_request(self, request)"),
        ("BadSettings", "", "use", "is no msgspec Struct", ""),
        ("Reserved", "", "use", "has `timeout`, a key of every plugin", ""),
        ("not_a_class", "", "use", "of type int, and a plugin is a class", ""),
        ("Tenent", "", "use", "has no attribute 'Tenent'", "did you mean Tenant?"),
        ("Tenant", ", defualt: x", "defualt", "unknown key", "did you mean `default`?"),
        ("Tenant", ", default: 3", "default", "expected a string", ""),
        ("Breaks", "", "", "`how` is missing", ""),
        ("Tenant", ", run_in: threads", "run_in", "expected loop, process or thread", "did you mean thread?"),
    ],
)
def test_what_is_wrong_is_told_at_check_with_its_place(
    name: str, settings: str, path: str, what: str, hint: str
) -> None:
    text = f'routes:\n- path: /\n  respond: {{}}\n  policies:\n  - {{use: "{HERE}:{name}"{settings}}}\n'
    with pytest.raises(ConfigError) as caught:
        loads(text, "gateway.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (5, "routes[0].policies[0]" + (f".{path}" if path else ""))
    assert what in problem.message
    assert hint in problem.hint
    if name in ("Misnamed", "Empty", "Wrong", "BadSettings", "Reserved"):
        assert "test_plugins.py:" in problem.message
