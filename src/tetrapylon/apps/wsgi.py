"""A WSGI app under gunicorn, which sees requests as though they had come to it alone.

The socket is the gateway's alone, so what it says of the client is true. PEP 3333 has no word for a Unix
socket, and gunicorn leaves REMOTE_ADDR empty.
"""

from __future__ import annotations

import math
import os
import stat
import sys
import time
from _thread import get_ident
from collections.abc import Callable, Iterable, Iterator, Mapping
from traceback import format_stack
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from tetrapylon.apps.inside import PATIENCE, Pulse, Stuck, load, request_line, unproxied

__all__ = ["Unproxied", "serve"]

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Turn:
    """One request, while it is the app's turn: not while its client is waited for."""

    __slots__ = ("method", "path", "since", "told")

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ["PATH_INFO"]
        self.since = time.monotonic()
        """When it began, a piece of the response was taken, or more of the request came."""
        self.told = False
        """That it stands still."""

    def moved(self) -> None:
        self.since = time.monotonic()
        self.told = False


class Turns:
    """Whose turn it is, by thread."""

    def __init__(self) -> None:
        self._turns: dict[int, Turn] = {}

    def begin(self, turn: Turn) -> None:
        self._turns[get_ident()] = turn

    def end(self) -> Turn | None:
        """Whose it was; None: nobody's."""
        return self._turns.pop(get_ident(), None)

    def again(self, turn: Turn | None) -> None:
        """After its client was waited for."""
        if turn is not None:
            turn.moved()
            self.begin(turn)

    def silence(self, threads: int) -> float:
        """For how long each thread has been at one request."""
        turns = list(self._turns.values())
        return time.monotonic() - max(turn.since for turn in turns) if len(turns) >= threads else 0.0

    def stuck(self, limit: float) -> list[Stuck]:
        """Those that have stood still for so many seconds, and were not told before."""
        now = time.monotonic()
        frames = sys._current_frames()
        found = []
        for thread, turn in list(self._turns.items()):
            if now - turn.since >= limit and not turn.told and thread in frames:
                turn.told = True
                where = "".join(format_stack(frames[thread])).rstrip()
                found.append(Stuck(request_line(turn.method, turn.path.encode("latin-1")), where))
        return found


class Body:
    """What an app gives piece by piece: its turn is between two pieces."""

    def __init__(self, body: Iterable[bytes], turn: Turn, turns: Turns) -> None:
        self._body = body
        self._turn = turn
        self._turns = turns
        self._pieces: Iterator[bytes] | None = None
        self._moved = False

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        if self._moved:
            self._turn.moved()
        self._turns.begin(self._turn)
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            piece = next(self._pieces)
        finally:
            self._turns.end()
        self._moved = bool(piece)
        return piece

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is None:
            return
        self._turns.again(self._turn)
        try:
            close()
        finally:
            self._turns.end()


class Input:
    """`wsgi.input`: who reads waits for the client."""

    def __init__(self, input: Any, turns: Turns) -> None:
        self._input = input
        self._turns = turns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._input, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def read(self, *size: Any) -> bytes:
        found: bytes = self._outside(self._input.read, size)
        return found

    def readline(self, *size: Any) -> bytes:
        found: bytes = self._outside(self._input.readline, size)
        return found

    def readlines(self, *hint: Any) -> list[bytes]:
        found: list[bytes] = self._outside(self._input.readlines, hint)
        return found

    def _outside(self, read: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        turn = self._turns.end()
        try:
            return read(*arguments)
        finally:
            self._turns.again(turn)


class Unproxied:
    """`forwarded`: what tells of the gateway stays in the request."""

    def __init__(self, app: App, *, forwarded: bool, threads: int, pulse: Pulse) -> None:
        self._app = app
        self._forwarded = forwarded
        self._turns = Turns()
        self._pulse = pulse
        pulse.watch(lambda: self._turns.silence(threads), self._turns.stuck)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self._pulse.count()
        self._restore(environ)
        turns, turn = self._turns, Turn(environ)
        environ["wsgi.input"] = Input(environ["wsgi.input"], turns)

        def begin(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
            write = start_response(status, headers, exc_info)

            def writing(data: bytes) -> None:
                whose = turns.end()
                try:
                    write(data)
                finally:
                    turns.again(whose)

            return writing

        turns.begin(turn)
        try:
            body = self._app(environ, begin)
        finally:
            turns.end()
        if isinstance(body, (list, tuple)) or _is_file(body, environ["wsgi.file_wrapper"]):
            return body
        return Body(body, turn, turns)

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


def _is_file(body: Any, wrapper: Any) -> bool:
    """What gunicorn gives to sendfile(2), which it does with nothing else than its own wrapper."""
    if not isinstance(body, wrapper):
        return False
    try:
        return stat.S_ISREG(os.fstat(body.filelike.fileno()).st_mode)
    except (AttributeError, OSError):  # nothing that the system knows as a file
        return False


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
            # For what not even `Pulse` sees; its worker says every second that it is there.
            "timeout": math.ceil(settings["timeout"] + 2 * PATIENCE) if settings["timeout"] else 0,
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
