"""Tests of a config, its handlers and plugins, in the test's own process: no port, no server, fake upstreams.

    pytest_plugins = ["tetrapylon.testing"]

    def test_a_tenant_is_told(gateway):
        def users(request):
            return {"tenant": request.headers["X-Tenant"]}

        shop = gateway("gateway.yaml", users=users)
        assert shop.get("/users/1").json() == {"tenant": "acme"}

Everything but the sockets is the real thing: routes, policies, plugins, handlers, limits and timeouts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from tetrapylon._core.code.surface import Request
from tetrapylon._core.memory import MemoryExchange
from tetrapylon.errors import TetrapylonError

if TYPE_CHECKING:
    from tetrapylon.app import Tetrapylon
    from tetrapylon.config.model import Config

__all__ = ["Answer", "Fake", "Received", "Running", "gateway", "running"]

WITHIN = 10.0
Upstream = Callable[[Request], Any]


class Received(NamedTuple):
    """A request that a fake upstream was sent."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return _first(self.headers, name)

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True)
class Answer:
    """What the client was answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    fault: str | None = None
    """The error as the access log names it, where the gateway itself ended the exchange."""

    def header(self, name: str) -> str | None:
        """The first field of that name."""
        return _first(self.headers, name)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Fake:
    """An upstream that is a function of the request, sync or async; it answers as a handler does."""

    function: Upstream
    received: list[Received] = field(default_factory=list)

    def __call__(self, request: Request, body: bytes) -> Any:
        self.received.append(Received(request.method, request.sent_target, request.headers.items(), body))
        return self.function(request)


class Running:
    """A gateway in this process, on a loop of its own that runs while a request is made."""

    def __init__(
        self, config: Config | Tetrapylon | str | Mapping[str, Any], upstreams: Mapping[str, Upstream]
    ):
        import uvloop

        from tetrapylon._core.telemetry.counters import Slabs
        from tetrapylon.compile import build
        from tetrapylon.config import validate
        from tetrapylon.config.apps import refuse_apps

        checked = validate(_config(config))
        refuse_apps(checked, upstreams, hint="give a function in its place, as for an upstream")
        unknown = sorted(set(upstreams) - set(checked.upstreams))
        if unknown:
            known = ", ".join(sorted(checked.upstreams)) or "none"
            raise TetrapylonError(f"the config has no upstream {unknown[0]!r}; it has {known}")
        self.upstreams = {name: Fake(function) for name, function in upstreams.items()}
        """The fakes by name, with what they `received`."""
        self._loop = uvloop.new_event_loop()
        checked = msgspec.structs.replace(checked, log=msgspec.structs.replace(checked.log, access=None))
        slabs = Slabs(1, len(checked.routes))
        try:
            self._gateway, self._code = build(checked, self._loop, slabs.slab(0), fakes=self.upstreams)
            if self._code is not None:
                self._loop.run_until_complete(self._code.start())
        except BaseException:
            self._loop.close()
            raise

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str | None = None,
        json: Any = None,
        within: float = WITHIN,
    ) -> Answer:
        """Makes a request and waits for the whole answer. Raises TimeoutError after `within` seconds."""
        lines = list(headers.items() if isinstance(headers, Mapping) else headers)
        if json is not None:
            body = msgspec.json.encode(json)
            lines.append(("Content-Type", "application/json"))
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            lines.append(("Content-Length", str(len(body))))
        wire = [(name.encode(), value.encode("latin-1")) for name, value in lines]
        return self._loop.run_until_complete(
            asyncio.wait_for(self._exchange(method.encode(), target.encode(), wire, body), within)
        )

    def get(self, target: str, **options: Any) -> Answer:
        return self.request("GET", target, **options)

    def post(self, target: str, **options: Any) -> Answer:
        return self.request("POST", target, **options)

    def put(self, target: str, **options: Any) -> Answer:
        return self.request("PUT", target, **options)

    def patch(self, target: str, **options: Any) -> Answer:
        return self.request("PATCH", target, **options)

    def delete(self, target: str, **options: Any) -> Answer:
        return self.request("DELETE", target, **options)

    def close(self) -> None:
        """Ends what the lifespan and plugins began."""
        if self._code is not None:
            self._loop.run_until_complete(self._code.stop())
        self._gateway.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _exchange(
        self, method: bytes, target: bytes, lines: list[tuple[bytes, bytes]], body: bytes | None
    ) -> Answer:
        x = MemoryExchange(self._gateway, method, target, lines, body=[body] if body else None)
        try:
            while not x.over:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.0005)
        finally:
            x.cancel()
        if x.aborts:
            raise ConnectionAbortedError(f"the answer was cut: {x.fault}")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in x.headers]
        return Answer(x.status, headers, b"" if method == b"HEAD" else x.received, x.fault)


@contextmanager
def running(
    config: Config | Tetrapylon | str | Mapping[str, Any], **upstreams: Upstream
) -> Iterator[Running]:
    """A gateway for `config`: a Config, an app, the name of a file, or a mapping as in one.

    Each keyword is an upstream of it, faked by a function. Raises ConfigError for what cannot be served.
    """
    made = Running(config, upstreams)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def gateway() -> Iterator[Callable[..., Running]]:
    """Makes gateways, with `running`'s arguments, that end with the test."""
    made: list[Running] = []

    def make(config: Config | Tetrapylon | str | Mapping[str, Any], **upstreams: Upstream) -> Running:
        made.append(Running(config, upstreams))
        return made[-1]

    yield make
    while made:
        made.pop().close()


def _config(given: Config | Tetrapylon | str | Mapping[str, Any]) -> Config:
    from tetrapylon.app import Tetrapylon
    from tetrapylon.config import load, loads

    if isinstance(given, Tetrapylon):
        return given.config()
    if isinstance(given, str):
        return load(given)
    if isinstance(given, Mapping):
        return loads(msgspec.json.encode(given).decode(), "config.json")
    return given


def _first(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    return next((value for each, value in headers if each.lower() == name.lower()), None)
