"""What the admin address answers, as a function of method, target and header fields: no socket, no loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tetrapylon import __version__
from tetrapylon.admin.metrics import CONTENT_TYPE, Exposition

if TYPE_CHECKING:
    from tetrapylon._core.counters import Slabs

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
PROBLEM = "application/problem+json"

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes | Iterator[bytes]
    """All of it, or its pieces, none empty, each made when the last is on its way."""


def problem(status: int, detail: str, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """An error as RFC 9457 writes it."""
    body = {"type": "about:blank", "title": REASONS[status], "status": status, "detail": detail}
    return Answer(status, [("Content-Type", PROBLEM), *headers], msgspec.json.encode(body) + b"\n")


class Api:
    """The endpoints. `labels` are those of each route, in the order of the config."""

    def __init__(self, slabs: Slabs, labels: Sequence[Mapping[str, str]], *, silence: float) -> None:
        self._slabs = slabs
        self._silence_ns = int(silence * 1e9)
        self._supervisor = slabs.supervisor()
        self._workers = [slabs.slab(index) for index in range(slabs.workers)]
        self._exposition = Exposition(slabs, labels, __version__)
        self._endpoints: dict[str, tuple[str, Callable[[], Answer]]] = {
            "/": ("this index", self._index),
            "/livez": ("200 while the gateway's processes run", self._livez),
            "/readyz": ("200 while a worker serves, 503 before that and while draining", self._readyz),
            "/metrics": ("Prometheus text, summed over all workers", self._metrics),
        }

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """`target` in origin form, `headers` with lower-case names. HEAD gets what GET gets, and its body."""
        path = target.partition("?")[0]
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            return problem(404, f"there is nothing at {path}; / lists what is here")
        if method not in ("GET", "HEAD"):
            return problem(405, f"{path} takes GET and HEAD", [("Allow", "GET, HEAD")])
        return endpoint[1]()

    def _index(self) -> Answer:
        state, _ = self._readiness()
        index = {
            "name": "tetrapylon",
            "version": __version__,
            "state": state,
            "workers": {"configured": len(self._workers), "serving": self._serving()},
            "endpoints": {path: text for path, (text, _) in self._endpoints.items()},
        }
        return Answer(200, [("Content-Type", JSON)], msgspec.json.format(msgspec.json.encode(index)) + b"\n")

    def _livez(self) -> Answer:
        return Answer(200, [("Content-Type", TEXT)], b"ok\n")

    def _readyz(self) -> Answer:
        state, detail = self._readiness()
        if state != "serving":
            return problem(503, detail, [("Retry-After", "1")])
        return Answer(200, [("Content-Type", TEXT)], b"ok\n")

    def _metrics(self) -> Answer:
        return Answer(200, [("Content-Type", CONTENT_TYPE)], self._exposition.stream())

    def _readiness(self) -> tuple[str, str]:
        if self._supervisor.draining:
            return "draining", "the gateway is draining and will end"
        if not self._serving():
            return "starting", "no worker serves"
        return "serving", ""

    def _serving(self) -> int:
        """Workers that say they serve, and said so lately."""
        oldest = time.monotonic_ns() - self._silence_ns
        return sum(slab.serving and slab.heartbeat_ns > oldest for slab in self._workers)
