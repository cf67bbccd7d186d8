"""What user code returns or raises that no message can carry: 500, told, and the next request is served."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tetrapylon import HTTPError, Request, Response, Tetrapylon
from tetrapylon.testing import running

HERE = "tests.code.test_rubbish"


def emptied() -> Any:
    response = Response("content")
    response.status = 204
    return response


def filled() -> Any:
    response = Response(status=304)
    response.body = b"content"
    return response


def framed() -> Any:
    raise HTTPError(400, "no", headers={"Content-Length": "3"})


def split() -> Any:
    raise HTTPError(400, "no", headers={"X-A": "a\r\nX-B: b"})


def misnamed() -> Any:
    raise HTTPError(400, "no", headers={"X A": "a"})


def unfit_errors() -> Any:
    raise HTTPError(400, "no", errors=[{"field": object()}])


def unfit_detail() -> Any:
    raise HTTPError(400, object())  # type: ignore[arg-type]


def no_error() -> Any:
    raise HTTPError(204, "fine")


def chunked() -> Any:
    return Response("x", headers={"Transfer-Encoding": "chunked"})


def early() -> Any:
    return Response("x", 100)


def unfit_content() -> Any:
    return Response({"a": object()})


def exits() -> Any:
    raise SystemExit(3)


def interrupts() -> Any:
    raise KeyboardInterrupt


def stops() -> Any:
    raise StopIteration


def recurses() -> Any:
    return recurses()


def a_future() -> Any:
    return asyncio.get_running_loop().create_future()


RUBBISH: tuple[Callable[[], Any], ...] = (
    emptied,
    filled,
    framed,
    split,
    misnamed,
    unfit_errors,
    unfit_detail,
    no_error,
    chunked,
    early,
    unfit_content,
    exits,
    interrupts,
    stops,
    recurses,
    a_future,
)


class Plugin:
    def on_request(self, request: Request) -> Any:
        return self.made(request)

    def made(self, request: Request) -> Any:
        name = request.query.get("what")
        return None if name is None else globals()[name]()


class Waiting(Plugin):
    async def on_request(self, request: Request) -> Any:
        await asyncio.sleep(0)
        return self.made(request)


class OnTheWayOut(Plugin):
    def on_request(self, request: Request) -> Any:
        return None

    def on_response_head(self, request: Request, response: Response) -> Any:
        return self.made(request)


@pytest.mark.parametrize("what", RUBBISH, ids=lambda each: str(each.__name__))
@pytest.mark.parametrize("waits", [False, True], ids=["plain", "async"])
def test_of_a_handler(what: Callable[[], Any], waits: bool, capfd: pytest.CaptureFixture[str]) -> None:
    app = Tetrapylon(docs=None)
    app.get("/fine")(lambda: "fine")
    if waits:

        @app.get("/")
        async def waiting() -> Any:
            await asyncio.sleep(0)
            return what()
    else:
        app.get("/")(what)
    with running(app) as served:
        answer = served.get("/", within=5)
        assert (answer.status, answer.json()["detail"]) == (500, "The handler failed.")
        assert served.get("/fine").text == "fine"
    assert " raised" in capfd.readouterr().err


@pytest.mark.parametrize("what", RUBBISH, ids=lambda each: str(each.__name__))
@pytest.mark.parametrize("kind", [Plugin, Waiting, OnTheWayOut])
def test_of_a_plugin(what: Callable[[], Any], kind: type, capfd: pytest.CaptureFixture[str]) -> None:
    policies = [{"use": f"{HERE}:{kind.__name__}"}]
    route = {"path": "/", "respond": {"body": "fine"}, "policies": policies}
    with running({"routes": [route]}) as served:
        answer = served.get(f"/?what={what.__name__}", within=5)
        assert (answer.status, answer.json()["detail"]) == (500, "A plugin failed.")
        assert served.get("/").text == "fine"
    assert f"plugin {HERE}:{kind.__name__} raised" in capfd.readouterr().err


def test_of_a_stream_on_its_way() -> None:
    app = Tetrapylon(docs=None)

    @app.get("/")
    async def stream() -> Any:
        async def pieces() -> Any:
            yield b"begun"
            yield object()

        return Response(pieces())

    with running(app) as served, pytest.raises(ConnectionAbortedError):
        served.get("/")
