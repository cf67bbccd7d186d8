"""An ASGI app under uvicorn, which sees requests as though they had come to it alone."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

import uvicorn

from tetrapylon.apps.inside import Chain, Pulse, load, unproxied

__all__ = ["Unproxied", "serve"]

GATEWAYS = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via")
STARTUP_FAILURE = 3
BEAT = 0.25
"""Of the time within which the loop has to come round."""


class Unproxied:
    """As of `wsgi`. A trusted proxy's client is the client, as uvicorn alone has it by default."""

    def __init__(
        self, app: Any, *, forwarded: bool, trusted: Iterable[str], limit: float | None, pulse: Pulse
    ) -> None:
        self._app = app
        self._trusted = [ip_network(each) for each in trusted]
        self._forwarded = forwarded
        self._limit = limit
        self._pulse = pulse
        self._came_round = 0.0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if not self._came_round:
            self._come_round()
            self._pulse.watch(self.silence)
        if scope["type"] in ("http", "websocket"):
            self._pulse.count()
            self._restore(scope)
        await self._app(scope, receive, send)

    def silence(self) -> float:
        return time.monotonic() - self._came_round

    def _come_round(self) -> None:
        self._came_round = time.monotonic()
        if self._limit is not None:
            asyncio.get_running_loop().call_later(self._limit * BEAT, self._come_round)

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
    limit = settings["timeout"]

    def application() -> Unproxied:
        return Unproxied(
            load(),
            forwarded=settings["forwarded"],
            trusted=settings["trusted"],
            limit=limit,
            pulse=Pulse(limit, settings["max_requests"]),
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
