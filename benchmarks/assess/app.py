"""A gateway as a team would write it, under gunicorn: some work of its own, one call to the service."""

import http.client
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from .durations import seconds

WORK = os.environ["WORK"]
BUSY = os.environ["BUSY"] == "True"
SERVICE = int(os.environ["SERVICE"])
KEEP_ALIVE = os.environ["KEEP_ALIVE"] == "True"
local = threading.local()


def work(number: int) -> None:
    due = time.perf_counter() + seconds(WORK, number)
    if not BUSY:
        time.sleep(max(0.0, due - time.perf_counter()))
    while time.perf_counter() < due:
        pass


def ask(method: str, path: str, body: bytes) -> bytes:
    if not KEEP_ALIVE or not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection("127.0.0.1", SERVICE, timeout=30)
    connection: http.client.HTTPConnection = local.connection
    connection.request(method, path, body or None, {} if KEEP_ALIVE else {"Connection": "close"})
    answer = connection.getresponse().read()
    if not KEEP_ALIVE:
        connection.close()
    return answer


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    posted = environ["wsgi.input"].read()
    answer = b"by itself"
    if not path.startswith("/alone/"):
        work(int(path.rpartition("/")[2]))
        began = time.perf_counter_ns()
        answer = ask(environ["REQUEST_METHOD"], path, posted)
        took = time.perf_counter_ns() - began
        environ["upstream_us"] = took // 1000
        environ["upstream_ms"] = took // 1_000_000
        environ["upstream_s"] = f"{took / 1e9:.6f}"
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
