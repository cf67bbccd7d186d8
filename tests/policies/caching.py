"""An origin whose answers a test changes as it goes, and a gateway that caches them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness import (
    Client,
    Conversation,
    Gateway,
    Request,
    Response,
    Upstream,
    answers,
    ask,
    proxy,
    request,
)

FRESH = ("Cache-Control", "max-age=60")
Fields = tuple[tuple[str, str], ...]


class Origin:
    """Answers with `say`; each body is the number of the request, unless `body` is set."""

    def __init__(self) -> None:
        self.fields: Fields = (FRESH,)
        self.status = "200 OK"
        self.body: bytes | None = None
        self.say: Callable[[Request], bytes] = self.usual
        self.count = 0
        self.gate: threading.Event | None = None
        """What answers wait for."""
        self._lock = threading.Lock()

    def usual(self, request: Request) -> bytes:
        body = self.body if self.body is not None else b"%d" % self.count
        return answers.response(b"" if request.method == "HEAD" else body, self.status, self.fields)

    def script(self, peer: Conversation) -> None:
        while not peer.reader.at_end():
            request = peer.request()
            with self._lock:
                self.count += 1
                said = self.say(request)
            if self.gate is not None:
                peer.wait(self.gate)
            peer.send(said)


class Cached:
    def __init__(self, origin: Origin, upstream: Upstream, gateway: Gateway) -> None:
        self.origin = origin
        self.upstream = upstream
        self.gateway = gateway

    def ask(
        self, target: str = "/", *fields: tuple[str, str], method: str = "GET", body: bytes | None = None
    ) -> Response:
        return ask(self.gateway.address, method, target, fields, body)

    def hits(self, target: str = "/", *fields: tuple[str, str], **more: Any) -> Response:
        """The origin is not asked."""
        before = self.origin.count
        response = self.ask(target, *fields, **more)
        assert self.origin.count == before, response
        assert "; hit" in status_of(response)
        return response

    def misses(self, target: str = "/", *fields: tuple[str, str], **more: Any) -> Response:
        """The origin is asked."""
        before = self.origin.count
        response = self.ask(target, *fields, **more)
        assert self.origin.count == before + 1, response
        assert "; fwd=" in status_of(response)
        return response

    def last(self) -> Request:
        """The last request that the origin saw."""
        return self.upstream.requests[-1]


def status_of(response: Response) -> str:
    """The gateway's part of Cache-Status, the last one."""
    return response.headers.all("Cache-Status")[-1]


@contextmanager
def cached(
    *others: dict[str, Any],
    before: tuple[dict[str, Any], ...] = (),
    config: Any = None,
    env: dict[str, str] | None = None,
    **settings: Any,
) -> Iterator[Cached]:
    """A gateway with `cache`, these policies behind it and those of `before` in front of it."""
    origin = Origin()
    policies = [*before, {"use": "cache", **settings}, *others]
    with (
        Upstream(origin.script) as upstream,
        Gateway(
            proxy(upstream.url, policies=policies, admin={"listen": "127.0.0.1:0"}, **(config or {})), env=env
        ) as gateway,
    ):
        yield Cached(origin, upstream, gateway)


def order(gateway: Gateway, target: str, method: str = "POST") -> dict[str, Any]:
    """What the admin address says to an order."""
    assert gateway.admin is not None
    with Client(gateway.admin) as client:
        response = client.send(request(method, target, host="127.0.0.1")).response()
    assert response.status == 200, response.body
    told: dict[str, Any] = json.loads(response.body)
    return told
