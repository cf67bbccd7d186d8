"""A gateway as a team would write it, under gunicorn: some work of its own, one call to the service."""

import http.client
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

WORK = float(os.environ["WORK"])
SERVICE = int(os.environ["SERVICE"])
local = threading.local()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    time.sleep(WORK)
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection("127.0.0.1", SERVICE, timeout=30)
    began = time.perf_counter_ns()
    local.connection.request("GET", environ["PATH_INFO"])
    answer = local.connection.getresponse()
    body = answer.read()
    environ["upstream_us"] = (time.perf_counter_ns() - began) // 1000
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
