"""The servers that run apps: how each is started."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tetrapylon.config.model import App

__all__ = ["LAST", "command", "reference", "why_not_started"]

LAST: Mapping[str, int] = {"wsgi": signal.SIGQUIT, "asgi": signal.SIGTERM}
"""The signal by which each ends when it has no request left."""


def reference(app: App) -> str:
    return app.wsgi or app.asgi or ""


def command(app: App, trusted: Sequence[str], socket: str, host: int) -> list[str]:
    """The program that serves an app at a socket, and ends with the process `host`.

    `trusted` are the networks of proxies whose word is taken.
    """
    kind = "wsgi" if app.wsgi is not None else "asgi"
    settings: dict[str, Any] = {
        "socket": socket,
        "threads": app.threads,
        "timeout": app.timeout,
        "max_requests": app.max_requests,
        "drain": app.drain,
        # The pool's idle connections are closed by the gateway first, so that no request meets a close.
        "keepalive": app.pool.idle + 5,
        "forwarded": app.forwarded,
        "trusted": list(trusted),
    }
    return [sys.executable, "-u", "-m", "tetrapylon.apps.launch", kind, str(host), json.dumps(settings)]


def why_not_started(error: OSError | ValueError) -> str:
    """A process: its folder has gone, the system has no room for it, or no process can have such an `env`."""
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
