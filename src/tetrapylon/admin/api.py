"""What the admin address answers, as a function of method, target and header fields: no socket, no loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tetrapylon import __version__
from tetrapylon.admin import weights
from tetrapylon.admin.answer import READ, TEXT, Answer, Asked, Endpoint, json, problem
from tetrapylon.admin.live import Recorder
from tetrapylon.admin.metrics import Exposition
from tetrapylon.admin.page import page
from tetrapylon.admin.running import endpoints
from tetrapylon.admin.text import Format, prefers_openmetrics
from tetrapylon.admin.upstreams import show

if TYPE_CHECKING:
    from tetrapylon._core.telemetry.counters import Slabs
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
        # The counters are as old as the supervisor, whatever becomes of workers.
        self._began = time.time() - (time.monotonic_ns() - self._supervisor.started_ns) / 1e9
        self._workers = [slabs.slab(index) for index in range(slabs.workers)]
        self._link = link
        news = None if link is None else lambda: link.news
        self._exposition = Exposition(slabs, labels, self._configured, __version__, news)
        self._endpoints: dict[str, Endpoint] = {
            "/": Endpoint("a page that shows what happens", self._page),
            "/status": Endpoint("what state it is in, and what is here", self._status),
            "/livez": Endpoint("200 while the gateway's processes run", self._livez),
            "/readyz": Endpoint(
                "200 while a worker serves, 503 before that and while draining", self._readyz
            ),
            "/upstreams": Endpoint(
                "targets, their health, connections, and requests that wait", self._upstreams
            ),
            "/metrics": Endpoint(
                "Prometheus text or OpenMetrics, as Accept asks, summed over all workers", self._metrics
            ),
        }
        self._recorder: Recorder | None = None
        if link is not None:
            self._recorder = Recorder(slabs, labels, lambda: link.news)
            self._endpoints |= {**endpoints(link), "/weight": weights.endpoint(slabs.board)}
            self._endpoints["/live"] = Endpoint(
                "what the page shows; ?since=TIME leaves older samples out", self._live
            )

    def add(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints |= endpoints

    def tell(self, families: Callable[[Format], Iterator[str]]) -> None:
        """In `/metrics`, too."""
        self._exposition.more.append(families)

    def tick(self) -> None:
        """To be called every `live.EVERY` seconds."""
        if self._recorder is not None:
            self._recorder.tick()

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | Awaitable[Answer]:
        """`target` in origin form, `headers` with lower-case names. HEAD gets what GET gets, and its body."""
        path, _, query = target.partition("?")
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            return problem(404, f"there is nothing at {path}; /status lists what is here")
        if method not in endpoint.methods:
            takes = " and ".join(endpoint.methods)
            return problem(405, f"{path} takes {takes}", [("Allow", ", ".join(endpoint.methods))])
        asked = Asked(read_query(query), headers)
        # Of what changes something, nothing is guessed: a parameter that is misspelt there is an error.
        unknown = set(asked.query) - set(endpoint.parameters)
        if unknown and endpoint.methods != READ:
            known = ", ".join(endpoint.parameters) or "none"
            return problem(400, f"{path} has no parameter {sorted(unknown)[0]!r}; it has {known}")
        return endpoint.answer(asked)

    def _page(self, asked: Asked) -> Answer:
        return page()

    def _live(self, asked: Asked) -> Answer:
        assert self._recorder is not None
        since = asked.query.get("since", "0")
        try:
            told = self._recorder.live(float(since))
        except ValueError:
            return problem(400, f"?since={since}: expected seconds since the epoch")
        return json({**told, "status": self._state()}, compact=True)

    def _status(self, asked: Asked) -> Answer:
        troubles = self._recorder.troubles() if self._recorder is not None else {}
        return json(
            {
                **self._state(),
                "troubles": troubles,
                "endpoints": {path: endpoint.text for path, endpoint in self._endpoints.items()},
            }
        )

    def _state(self) -> dict[str, Any]:
        state, _ = self._readiness()
        index = {
            "name": "tetrapylon",
            "version": __version__,
            "state": state,
            "workers": {"configured": self._configured(), "serving": self._serving()},
        }
        if self._link is not None:
            news = self._link.news
            index |= {"generation": news["generation"], "source": news["source"], "last_reload": news["last"]}
        return index

    def _livez(self, asked: Asked) -> Answer:
        return Answer(200, [("Content-Type", TEXT)], b"ok\n")

    def _readyz(self, asked: Asked) -> Answer:
        state, detail = self._readiness()
        if state != "serving":
            return problem(503, detail, [("Retry-After", "1")])
        return Answer(200, [("Content-Type", TEXT)], b"ok\n")

    def _metrics(self, asked: Asked) -> Answer:
        form = Format(openmetrics=prefers_openmetrics(asked.headers.get("accept", "")), created=self._began)
        fields = [("Content-Type", form.content_type), ("Vary", "Accept")]
        return Answer(200, fields, self._exposition.stream(form))

    async def _upstreams(self, asked: Asked) -> Answer:
        try:
            workers = await self._link.upstreams() if self._link is not None else {}
        except ConnectionError as error:
            return problem(503, str(error))
        return json({"workers": sorted(workers), "upstreams": show(self._slabs.board.rows(), workers)})

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


def read_query(query: str) -> dict[str, str]:
    """The parameters of a query, the last of each name; one without a value is empty."""
    return dict(parse_qsl(query, keep_blank_values=True))
