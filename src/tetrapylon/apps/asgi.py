"""An ASGI app under uvicorn, which sees requests as though they had come to it alone."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections import deque
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from traceback import StackSummary
from types import FrameType
from typing import Any

import uvicorn

from tetrapylon.apps.inside import LOOKS, Chain, Pulse, Stuck, load, request_line, tell, unproxied

__all__ = ["Unproxied", "serve"]

GATEWAYS = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via")
STARTUP_FAILURE = 3
FRAMES = ("cr_frame", "ag_frame", "gi_frame")
AWAITS = ("cr_await", "ag_await", "gi_yieldfrom")
"""Of coroutines, asynchronous generators, and generators (inspect, "Types and members")."""
MOST_HELD = 16
"""Messages of a request that an app has not asked for, and has already been sent."""
MOST_FRAMES = 100
LONGEST_REASON = 500


class Life:
    """One HTTP request of an app, from its call to the end of its response.

    It stands still when nothing came of it for a while, and its client was not what it waited for. That alone
    is nobody's fault: an event stream is silent as long as nothing happens. It is stuck when its client has
    gone besides, as the gateway's own timeouts make every client go: then it works for nobody.
    """

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.since = time.monotonic()
        """When something came of it last."""
        self.gone = False
        """Its client."""
        self.over = False
        self.told = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._task = asyncio.current_task()
        self._outside = False
        """Its client is waited for."""
        self._whole = False
        """The request has come."""
        self._held: deque[dict[str, Any]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def receive(self) -> dict[str, Any]:
        if self._asking is not None:
            await asyncio.wait({self._asking})
        if self._held:
            return self._held.popleft()
        self._outside = outside = not self._whole
        try:
            return self._heard(await self._receive())
        finally:
            if outside:
                self._outside = False
                self.moved()

    async def send(self, message: dict[str, Any]) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        self._outside = True
        try:
            await self._send(message)
        finally:
            self._outside = False
            if last or message["type"] == "http.response.start" or message.get("body"):
                self.moved()
        self.over = self.over or last

    def moved(self) -> None:
        self.since = time.monotonic()
        self.told = False

    def stands_still(self, now: float, limit: float) -> bool:
        return not self.over and not self._outside and now - self.since >= limit

    def ask(self) -> None:
        """Whether its client has gone: an app that is stuck does not ask."""
        if not self.gone and self._asking is None and len(self._held) < MOST_HELD:
            self._asking = asyncio.ensure_future(self._hold())

    def close(self) -> None:
        self.over = True
        if self._asking is not None:
            self._asking.cancel()

    def told_as(self) -> Stuck:
        request = request_line(self._scope["method"], self._scope["path"].encode())
        return Stuck(request, stack_of(self._task) if self._task is not None else "")

    async def _hold(self) -> None:
        try:
            message = self._heard(await self._receive())
            if message["type"] != "http.disconnect":  # that is told whoever asks again
                self._held.append(message)
        finally:
            self._asking = None

    def _heard(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["type"] == "http.disconnect":
            self.gone = True
        elif not message.get("more_body", False):
            self._whole = True
        return message


def telling(send: Any) -> Any:
    """Tells the host why an app will not start, as far as the app says so; some give a whole traceback."""

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "lifespan.startup.failed":
            lines = message.get("message", "").split("\n")
            why = next((line.strip() for line in reversed(lines) if line.strip()), "it does not say why")
            tell(f"failed its startup failed: {why[:LONGEST_REASON]}")
        await send(message)

    return sending


def stack_of(task: asyncio.Task[Any]) -> str:
    """Where a task waits: each that awaits, and what. A task that waits for another tells no further."""
    frames: list[FrameType] = []
    waits: Any = task.get_coro()
    while waits is not None and len(frames) < MOST_FRAMES:
        frames += [frame for name in FRAMES if (frame := getattr(waits, name, None)) is not None]
        waits = next((found for name in AWAITS if (found := getattr(waits, name, None)) is not None), None)
    return "".join(StackSummary.extract((frame, frame.f_lineno) for frame in frames).format()).rstrip()


class Unproxied:
    """As of `wsgi`. A trusted proxy's client is the client, as uvicorn alone has it by default."""

    def __init__(self, app: Any, *, forwarded: bool, trusted: Iterable[str], pulse: Pulse) -> None:
        self._app = app
        self._trusted = [ip_network(each) for each in trusted]
        self._forwarded = forwarded
        self._pulse = pulse
        self._lives: set[Life] = set()
        self._came_round = 0.0
        self._moved = 0.0
        """When a request came to its end last, or a WebSocket was sent a message."""
        self._hung = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if not self._came_round:
            self._come_round()
            self._pulse.watch(self.silence)
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, telling(send))
            return
        self._pulse.count()
        self._restore(scope)
        if scope["type"] == "websocket":
            await self._app(scope, receive, self._noting(send))
            return
        life = Life(scope, receive, send)
        self._lives.add(life)
        try:
            await self._app(scope, life.receive, life.send)
        finally:
            self._lives.discard(life)
            life.close()
            self._moved = time.monotonic()

    def _noting(self, send: Any) -> Any:
        async def noting(message: dict[str, Any]) -> None:
            await send(message)
            self._moved = time.monotonic()

        return noting

    def silence(self) -> float:
        """For how long the loop has not come round."""
        return time.monotonic() - self._came_round

    def _come_round(self) -> None:
        self._came_round = time.monotonic()
        if self._pulse.limit is not None:
            self._look(self._came_round, self._pulse.limit)
            asyncio.get_running_loop().call_later(self._pulse.limit / LOOKS, self._come_round)

    def _look(self, now: float, limit: float) -> None:
        """At requests that stand still. The process hangs when some are stuck, and nothing comes of any."""
        still = [life for life in self._lives if life.stands_still(now, limit)]
        for life in still:
            life.ask()
        stuck = [life for life in still if life.gone]
        new = [life for life in stuck if not life.told]
        for life in new:
            life.told = True
        moved = max((life.since for life in self._lives), default=self._moved)
        hangs = bool(stuck) and now - max(moved, self._moved) >= limit
        self._pulse.stuck([life.told_as() for life in new], hangs=hangs and not self._hung)
        self._hung = hangs

    def _client(self, chain: Chain) -> str:
        """The nearest that is no trusted proxy; the farthest where all are."""
        hops = [chain.peer, *(hop.strip() for hop in reversed(chain.before.split(",")) if hop.strip())]
        return next((hop for hop in hops if not self._is_trusted(hop)), hops[-1])

    def _is_trusted(self, hop: str) -> bool:
        try:
            address = ip_address(hop)
        except ValueError:
            return not hop  # a Unix socket's peer speaks for others, and has no address itself
        return any(address in network for network in self._trusted)

    def _restore(self, scope: dict[str, Any]) -> None:
        fields: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            if name in GATEWAYS:
                text = value.decode("latin-1")
                fields[name] = f"{fields[name]}, {text}" if name in fields else text
        chain = unproxied(
            fields.get(b"x-forwarded-for", ""), fields.get(b"x-forwarded-proto", ""), fields.get(b"via", "")
        )
        client = self._client(chain)
        scope["client"] = (client, 0) if client else None
        secure = chain.scheme == "https"
        if scope["type"] == "websocket":
            scope["scheme"] = "wss" if secure else "ws"
        else:
            scope["scheme"] = "https" if secure else "http"
        if self._forwarded:
            return
        headers = [pair for pair in scope["headers"] if pair[0] not in GATEWAYS]
        if chain.proxied:
            headers.append((b"x-forwarded-for", chain.before.encode("latin-1")))
            headers += [pair for pair in scope["headers"] if pair[0] in GATEWAYS[1:3]]
        if chain.via:
            headers.append((b"via", chain.via.encode("latin-1")))
        scope["headers"] = headers


def serve(settings: dict[str, Any]) -> None:
    """Runs until told to end. Uvicorn has begun to log when the app is imported, as it has alone."""

    def application() -> Unproxied:
        return Unproxied(
            load(),
            forwarded=settings["forwarded"],
            trusted=settings["trusted"],
            pulse=Pulse(settings["timeout"], settings["max_requests"]),
        )

    config = uvicorn.Config(
        application,
        factory=True,
        uds=settings["socket"],
        timeout_graceful_shutdown=math.ceil(settings["drain"]),
        timeout_keep_alive=math.ceil(settings["keepalive"]),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
