"""The shop's own policies: plugins, as docs/plugins.md walks through them."""

import hashlib
import hmac
import time
from typing import Any

import msgspec

from tetrapylon import HTTPError, Outcome, Request, Response


class Tenant:
    """Says which tenant a request is for, and refuses those that nobody knows."""

    class Settings(msgspec.Struct, frozen=True):
        default: str = "public"
        known: tuple[str, ...] = ()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def on_request(self, request: Request) -> Response | None:
        tenant = request.headers.get("X-Tenant", self.settings.default)
        if self.settings.known and tenant not in self.settings.known:
            raise HTTPError(403, f"there is no tenant {tenant!r}")
        request.headers["X-Tenant"] = tenant
        request.state["tenant"] = tenant
        return None


class Signed:
    """Takes webhooks only with the right HMAC of their body."""

    class Settings(msgspec.Struct, frozen=True):
        secret: str
        header: str = "X-Signature"

    def __init__(self, settings: Settings) -> None:
        self.key = settings.secret.encode()
        self.header = settings.header

    def on_request(self, request: Request, body: bytes) -> Response | None:
        expected = hmac.new(self.key, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get(self.header, "")):
            raise HTTPError(401, "the signature does not fit the body")
        return None


class Maintenance:
    """Answers in place of the upstream while a flag is set in what the worker shares."""

    def on_request(self, request: Request) -> Response | None:
        if request.shared.get("maintenance"):
            return Response({"back": "soon"}, 503, headers={"Retry-After": "60"})
        return None


class Envelope:
    """Wraps JSON answers: `{"data": ..., "took_ms": ...}`."""

    def on_request(self, request: Request) -> None:
        request.state["began"] = time.monotonic()

    def on_response(self, request: Request, response: Response) -> None:
        if response.headers.get("Content-Type", "").startswith("application/json"):
            took = (time.monotonic() - request.state["began"]) * 1000
            response.body = msgspec.json.encode({"data": response.json(), "took_ms": round(took)})


class Sessions:
    """Looks sessions up in a store that all requests of a worker share."""

    async def on_start(self, shared: dict[str, Any]) -> None:
        shared["sessions"] = await open_store()

    async def on_stop(self, shared: dict[str, Any]) -> None:
        shared["sessions"].clear()

    async def on_request(self, request: Request) -> Response | None:
        user = request.shared["sessions"].get(request.cookies.get("session"))
        if user is None:
            return Response(status=302, headers={"Location": "/login"})
        request.headers["X-User"] = user
        return None


async def open_store() -> dict[str, str]:
    """Stands for a connection to a database."""
    return {"s1": "ada"}


class Slow:
    """Counts what took longer than it should."""

    class Settings(msgspec.Struct, frozen=True):
        seconds: float = 1.0

    def __init__(self, settings: Settings) -> None:
        self.seconds = settings.seconds
        self.count = 0

    def on_end(self, request: Request, outcome: Outcome) -> None:
        if outcome.seconds > self.seconds:
            self.count += 1
            print(f"{request.method} {request.route} took {outcome.seconds:.1f} s: {outcome.status}")
