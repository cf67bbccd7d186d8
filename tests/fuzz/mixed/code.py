"""User code of a run: plugins and handlers that do what the request's X-Code tells them to.

It is `hook:deed` with commas between, such as `request:wait,body:raise`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from tests.fuzz.mixed.words import payload, wanted
from tetrapylon import HTTPError, Outcome, Request, Response
from tetrapylon.handler import Body, Query

DEEDS = ("raise", "refuse", "wait", "turn", "hang", "cancel", "answer")
HOOKS = ("request", "head", "body", "response", "end", "handler")


def deed(request: "Request | Asked", hook: str) -> str:
    told = request.headers.get("X-Code") or ""
    return dict(part.split(":") for part in told.split(",") if part).get(hook, "")


def at_once(what: str, request: Request) -> Response | None:
    if what == "raise":
        raise RuntimeError("as it was told")
    if what == "refuse":
        raise HTTPError(418, request.query.get("id") or "")
    if what == "answer":
        return Response({"id": request.query.get("id")}, 299)
    return None


async def waits(what: str) -> None:
    if what == "wait":
        await asyncio.sleep(0.001)
    elif what == "turn":
        await asyncio.sleep(0)
    elif what == "hang":
        await asyncio.sleep(1)
    elif what == "cancel":
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """A hosted app that answers as the handlers do."""
    if scope["type"] != "http":
        return
    request = Asked(scope)
    while (await receive()).get("more_body"):
        pass
    what = deed(request, "handler")
    await waits(what)
    text = payload(request.query["id"], int(request.query.get("n", "100")))
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for at in range(0, len(text), 10_000):
        more = at + 10_000 < len(text)
        await send({"type": "http.response.body", "body": text[at : at + 10_000], "more_body": more})
        if what == "raise":
            raise RuntimeError("as it was told")


class Asked:
    """Of an ASGI scope, what `deed` asks of a Request."""

    def __init__(self, scope: Any) -> None:
        self.headers = {name.decode().title(): value.decode() for name, value in scope["headers"]}
        self.query = wanted("?" + scope["query_string"].decode())


class Pieces:
    """Hears of each piece of an answer, and goes by what the last one said."""

    async def on_request(self, request: Request) -> Response | None:
        request.state["mark"] = request.query.get("id")
        what = deed(request, "request")
        await waits(what)
        return at_once(what, request)

    async def on_body(self, request: Request, piece: bytes) -> bytes:
        what = deed(request, "body")
        await waits(what)
        at_once(what, request)
        return piece

    def on_end(self, request: Request, outcome: Outcome) -> None:
        assert request.state.get("mark", request.query.get("id")) == request.query.get("id")
        at_once(deed(request, "end"), request)


class Heads:
    """Looks at heads, on the way in with the body."""

    async def on_request(self, request: Request, body: bytes) -> Response | None:
        what = deed(request, "request")
        await waits(what)
        return at_once(what, request)

    async def on_response_head(self, request: Request, response: Response) -> Response | None:
        what = deed(request, "head")
        await waits(what)
        response.headers["X-Head"] = request.query.get("id") or ""
        return at_once(what, request)

    async def on_end(self, request: Request, outcome: Outcome) -> None:
        await waits(deed(request, "end"))


class Whole:
    """Wants answers whole, and puts the same in their place."""

    async def on_response(self, request: Request, response: Response) -> Response | None:
        what = deed(request, "response")
        await waits(what)
        if response.body:
            response.body = bytes(response.body)
        return at_once(what, request)


class Plain:
    """Never waits."""

    def on_request(self, request: Request) -> Response | None:
        return at_once(deed(request, "request"), request)

    def on_body(self, request: Request, piece: bytes) -> bytes | None:
        at_once(deed(request, "body"), request)
        return None

    def on_response_head(self, request: Request, response: Response) -> Response | None:
        return at_once(deed(request, "head"), request)


def answers(request: Request, id: str, n: Annotated[int, Query()] = 100) -> Response:
    at_once(deed(request, "handler"), request)
    return Response(payload(id, n), content_type="application/json")


async def answers_late(request: Request, id: str, n: Annotated[int, Query()] = 100) -> Response:
    what = deed(request, "handler")
    await waits(what)
    return at_once(what, request) or Response(payload(id, n), content_type="application/json")


async def takes(
    request: Request, body: Annotated[bytes, Body()], id: str, n: Annotated[int, Query()] = 100
) -> Response:
    await waits(deed(request, "handler"))
    return Response(body if body else payload(id, n), content_type="application/json")


async def streams(request: Request, id: str, n: Annotated[int, Query()] = 100) -> AsyncIterator[bytes]:
    text = payload(id, n)
    what = deed(request, "handler")
    for at in range(0, len(text), 1000):
        yield text[at : at + 1000]
        if at < 3000:
            await waits(what)
            at_once(what, request)
