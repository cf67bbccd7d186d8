"""A WSGI app under gunicorn, which sees requests as though they had come to it alone.

The socket is the gateway's alone, so what it says of the client is true. PEP 3333 has no word for a Unix
socket, and gunicorn leaves REMOTE_ADDR empty.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from tetrapylon.apps.inside import Pulse, load, unproxied

__all__ = ["Unproxied", "serve"]

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Unproxied:
    """`forwarded`: what tells of the gateway stays in the request."""

    def __init__(self, app: App, *, forwarded: bool, threads: int, pulse: Pulse) -> None:
        self._app = app
        self._forwarded = forwarded
        self._threads = threads
        self._pulse = pulse
        self._busy: dict[int, float] = {}
        """Since when, by thread."""
        pulse.watch(self.silence)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self._pulse.count()
        self._restore(environ)
        thread = threading.get_ident()
        self._busy[thread] = time.monotonic()
        try:
            return self._app(environ, start_response)
        finally:
            del self._busy[thread]

    def silence(self) -> float:
        """For how long each thread has been at one request."""
        busy = list(self._busy.values())
        return time.monotonic() - max(busy) if len(busy) >= self._threads else 0.0

    def _restore(self, environ: dict[str, Any]) -> None:
        chain = unproxied(
            environ.get("HTTP_X_FORWARDED_FOR", ""),
            environ.get("HTTP_X_FORWARDED_PROTO", ""),
            environ.get("HTTP_VIA", ""),
        )
        environ["REMOTE_ADDR"] = chain.peer
        environ["wsgi.url_scheme"] = chain.scheme
        if ":" not in environ.get("HTTP_HOST", ":"):
            environ["SERVER_PORT"] = "443" if chain.scheme == "https" else "80"
        if self._forwarded:
            return
        if chain.proxied:
            environ["HTTP_X_FORWARDED_FOR"] = chain.before
        else:
            for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"):
                environ.pop(name, None)
        if chain.via:
            environ["HTTP_VIA"] = chain.via
        else:
            environ.pop("HTTP_VIA", None)


class Application(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Only what this gunicorn knows: `control_socket_disable` came with 25.1."""
        settings = self._settings
        wanted = {
            "bind": f"unix:{settings['socket']}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": settings["threads"],
            "timeout": math.ceil(settings["timeout"] or 0),
            "graceful_timeout": math.ceil(settings["drain"]),
            "keepalive": math.ceil(settings["keepalive"]),
            "loglevel": "warning",
            "control_socket_disable": True,
            # The gateway has judged these fields; a client's must not change the environment here.
            "secure_scheme_headers": {},
            "forwarder_headers": "",
        }
        for name, value in wanted.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Unproxied:
        settings = self._settings
        pulse = Pulse(settings["timeout"], settings["max_requests"])
        return Unproxied(load(), forwarded=settings["forwarded"], threads=settings["threads"], pulse=pulse)


def serve(settings: dict[str, Any]) -> None:
    Application(settings).run()
