"""The servers that run apps: how each is started."""

from __future__ import annotations

import math
import sys

from tetrapylon.config.model import App

__all__ = ["command", "reference"]


def reference(app: App) -> str:
    return app.wsgi or app.asgi or ""


def command(app: App, socket: str, host: int) -> list[str]:
    """The program that serves an app at a socket, and ends with the process `host`."""
    launch = [sys.executable, "-u", "-m", "tetrapylon.apps.launch", str(host)]
    return [*launch, *(_gunicorn(app, socket) if app.wsgi is not None else _uvicorn(app, socket))]


def _gunicorn(app: App, socket: str) -> list[str]:
    options = [
        *("--bind", f"unix:{socket}"),
        *("--workers", str(app.processes)),
        *("--threads", str(app.threads)),
        *("--timeout", str(math.ceil(app.timeout))),
        *("--graceful-timeout", str(math.ceil(app.drain))),
        # The pool's idle connections are closed by the gateway first, so that no request meets a close.
        *("--keep-alive", str(math.ceil(app.pool.idle) + 5)),
        *("--log-level", "warning"),
        *("--worker-class", "gthread"),
    ]
    if app.max_requests is not None:
        jitter = max(app.max_requests // 10, 1)
        options += ["--max-requests", str(app.max_requests), "--max-requests-jitter", str(jitter)]
    return ["gunicorn", *options, "tetrapylon.apps.wsgi:application"]


def _uvicorn(app: App, socket: str) -> list[str]:
    options = [
        *("--uds", socket),
        *("--workers", str(app.processes)),
        *("--timeout-graceful-shutdown", str(math.ceil(app.drain))),
        *("--timeout-keep-alive", str(math.ceil(app.pool.idle) + 5)),
        *("--log-level", "warning"),
        "--no-access-log",
        "--no-server-header",
        "--no-date-header",
        # The socket is the gateway's alone.
        *("--proxy-headers", "--forwarded-allow-ips", "*"),
    ]
    if app.max_requests is not None:
        options += ["--limit-max-requests", str(app.max_requests)]
    return ["uvicorn", *options, "tetrapylon.apps.asgi:application"]
