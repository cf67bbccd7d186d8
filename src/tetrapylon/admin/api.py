"""What the admin address answers, as a function of method, target and header fields: no socket, no loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tetrapylon import __version__
from tetrapylon.admin import weights
from tetrapylon.admin.answer import READ, TEXT, Answer, Endpoint, Query, json, problem
from tetrapylon.admin.metrics import CONTENT_TYPE, Exposition
from tetrapylon.admin.running import endpoints
from tetrapylon.admin.upstreams import show

if TYPE_CHECKING:
    from tetrapylon._core.counters import Slabs
    from tetrapylon.control.link import Link


class Api:
    """The endpoints. `labels` gives those of each route's slot, `link` what is running."""

    def __init__(
        self,
        slabs: Slabs,
        labels: Callable[[], Sequence[Mapping[str, str]]],
        link: Link | None = None,
        *,
        silence: float,
    ) -> None:
        self._slabs = slabs
        self._silence_ns = int(silence * 1e9)
        self._supervisor = slabs.supervisor()
        self._workers = [slabs.slab(index) for index in range(slabs.workers)]
        self._link = link
        self._exposition = Exposition(slabs, labels, self._configured, __version__)
        self._endpoints: dict[str, Endpoint] = {
            "/": Endpoint("this index", self._index),
            "/livez": Endpoint("200 while the gateway's processes run", self._livez),
            "/readyz": Endpoint(
                "200 while a worker serves, 503 before that and while draining", self._readyz
            ),
            "/health": Endpoint("targets: what keeps requests from them, and totals", self._health),
            "/metrics": Endpoint("Prometheus text, summed over all workers", self._metrics),
        }
        if link is not None:
            self._endpoints |= {**endpoints(link), "/weight": weights.endpoint(slabs.board)}

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | Awaitable[Answer]:
        """`target` in origin form, `headers` with lower-case names. HEAD gets what GET gets, and its body."""
        path, _, query = target.partition("?")
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            return problem(404, f"there is nothing at {path}; / lists what is here")
        if method not in endpoint.methods:
            takes = " and ".join(endpoint.methods)
            return problem(405, f"{path} takes {takes}", [("Allow", ", ".join(endpoint.methods))])
        asked = read_query(query)
        # Of what changes something, nothing is guessed: a parameter that is misspelt there is an error.
        unknown = set(asked) - set(endpoint.parameters)
        if unknown and endpoint.methods != READ:
            known = ", ".join(endpoint.parameters) or "none"
            return problem(400, f"{path} has no parameter {sorted(unknown)[0]!r}; it has {known}")
        return endpoint.answer(asked)

    def _index(self, query: Query) -> Answer:
        state, _ = self._readiness()
        index = {
            "name": "tetrapylon",
            "version": __version__,
            "state": state,
            "workers": {"configured": self._configured(), "serving": self._serving()},
            "endpoints": {path: endpoint.text for path, endpoint in self._endpoints.items()},
        }
        if self._link is not None:
            index["generation"] = self._link.news["generation"]
        return json(index)

    def _livez(self, query: Query) -> Answer:
        return Answer(200, [("Content-Type", TEXT)], b"ok\n")

    def _readyz(self, query: Query) -> Answer:
        state, detail = self._readiness()
        if state != "serving":
            return problem(503, detail, [("Retry-After", "1")])
        return Answer(200, [("Content-Type", TEXT)], b"ok\n")

    def _metrics(self, query: Query) -> Answer:
        return Answer(200, [("Content-Type", CONTENT_TYPE)], self._exposition.stream())

    def _health(self, query: Query) -> Answer:
        return json(show(self._slabs.board.rows()))

    def _readiness(self) -> tuple[str, str]:
        if self._supervisor.draining:
            return "draining", "the gateway is draining and will end"
        if not self._serving():
            return "starting", "no worker serves"
        return "serving", ""

    def _configured(self) -> int:
        return len(self._workers) if self._link is None else int(self._link.news["workers"])

    def _serving(self) -> int:
        """Workers that say they serve, and said so lately."""
        oldest = time.monotonic_ns() - self._silence_ns
        return sum(slab.serving and slab.heartbeat_ns > oldest for slab in self._workers)


def read_query(query: str) -> Query:
    """The parameters of a query, the last of each name; one without a value is empty."""
    return dict(parse_qsl(query, keep_blank_values=True))
