"""Apps to be hosted, and what is asked of them."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

from tests.harness.gateway import Gateway
from tests.harness.wait import eventually

APPS = """
import asyncio, json, os, re, signal, sys, threading, time

VERSION = 1
KEPT = []
NEVER = threading.Event()

def told(**more):
    word = os.environ.get("HOSTED_WORD", "")
    return {"pid": str(os.getpid()), "version": str(VERSION), "word": word, **more}

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/kill":
        os.kill(os.getppid(), signal.SIGKILL)
    elif path == "/print":
        print("printed")
    elif path == "/raise":
        raise ValueError("out of stock")
    elif path == "/hang":
        NEVER.wait()
    elif path == "/backtrack":
        re.match("(a+)+$", "a" * 60 + "b")
    elif path == "/hang-later":
        start_response("200 OK", [])
        return hang_later()
    elif path == "/trickle":
        start_response("200 OK", [])
        return trickle()
    elif path == "/lots":
        start_response("200 OK", [])
        return (b"x" * 2**20 for _ in range(64))
    elif path == "/write":
        write = start_response("200 OK", [])
        for piece in trickle():
            write(piece)
        return []
    elif path == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    elif path == "/read":
        start_response("200 OK", [])
        return [str(len(environ["wsgi.input"].read())).encode()]
    elif path == "/leak":
        KEPT.append(b"x" * 2**20 * 64)
    shown = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told(environ=shown)).encode()]

def hang_later():
    yield b"begun"
    NEVER.wait()

def trickle():
    for _ in range(12):
        time.sleep(0.25)  # it moves, slowly
        yield b"x"

def make():
    def made(environ, start_response):
        start_response("200 OK", [])
        return [b"made"]
    return made

async def modern(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                print("lifespan ended")
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["client"][0] + " " + scope["scheme"]})
        await receive()
        return
    if scope["path"] == "/hang":
        NEVER.wait()
    if scope["path"] == "/backtrack":
        re.match("(a+)+$", "a" * 60 + "b")
    if scope["path"] in ("/hang-later", "/trickle"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(12 if scope["path"] == "/trickle" else 1):
            await asyncio.sleep(0.25)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        if scope["path"] == "/hang-later":
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/read":
        read, more = 0, True
        while more:
            message = await receive()
            read += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(read).encode()})
        return
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    shown = {"client": scope["client"], "scheme": scope["scheme"], "headers": headers}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told(scope=shown)).encode()})
"""


def config(admin: str | None = None, /, **apps: Any) -> dict[str, Any]:
    routes: list[dict[str, Any]] = [
        {"path": f"/{name}/{{rest:path}}", "rewrite": "/{rest}", "app": name} for name in apps
    ]
    return {
        "server": {"listen": ["127.0.0.1:0"], "timeouts": {"drain": "5s"}},
        **({"admin": {"listen": admin}} if admin is not None else {}),
        "apps": apps,
        "routes": [*routes, {"path": "/ping", "respond": {"body": "pong"}}],
    }


def ask(gateway: Gateway, target: str, **headers: str) -> tuple[int, str, str]:
    """Status, body and Proxy-Status. Of the fields' names, `_` is `-`."""
    connection = HTTPConnection(gateway.address, timeout=20)
    try:
        connection.request(
            "GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers.get("Proxy-Status", "")
    finally:
        connection.close()


def answer_of(gateway: Gateway, name: str, **headers: str) -> dict[str, Any]:
    status, body, _ = ask(gateway, f"/{name}/a", **headers)
    assert status == 200, (status, body)
    answer: dict[str, Any] = json.loads(body)
    return answer


def line(gateway: Gateway, word: str, *, within: float = 30.0) -> str:
    """The first line of the log with this, waited for."""
    eventually(lambda: any(word in each for each in gateway.lines), f"{word!r} in the log", within=within)
    return next(each for each in gateway.lines if word in each)
