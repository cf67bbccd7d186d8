"""A pipeline without listeners, on a loop of the test's own; afterwards nothing may be left of what ran."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop

from tetrapylon._core.exchange import Destination, Plan, live_exchanges
from tetrapylon._core.http.pages import Pages
from tetrapylon._core.policy import Policy
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.routing.route import Router
from tetrapylon._core.stages import Pipeline, Snapshot, make_plan
from tetrapylon._core.telemetry.counters import Slab, Slabs

SECOND_ROUTES = 4


class Bench:
    """One reactor on a loop that runs when told to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.reactor = Reactor(loop)
        self.slabs = Slabs(1, SECOND_ROUTES)

    @property
    def slab(self) -> Slab:
        return self.slabs.slab(0)

    def pipeline(
        self,
        destination: Destination,
        *,
        policies: tuple[Policy, ...] = (),
        total: float | None = None,
        body_limit: int | None = None,
        pages: Pages | None = None,
    ) -> Pipeline:
        """Everything leads to `destination`, by route 0."""
        router: Router[Plan] = Router()
        plan = make_plan(
            self.reactor,
            "everything",
            destination,
            self.slab,
            0,
            policies=policies,
            total=total,
            idle=5,
            response=5,
            body_limit=body_limit,
        )
        router.add("/{rest:path}", plan)
        router.freeze()
        return Pipeline(self.reactor, Snapshot(self.reactor, router, pages=pages), self.slab)

    def run_until(self, condition: Callable[[], bool], *, within: float = 5.0) -> None:
        """Turns the loop until the condition holds."""

        async def turn() -> None:
            while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(asyncio.wait_for(turn(), within))

    def outcomes(self) -> dict[str, int]:
        """Finished exchanges of route 0 by outcome."""
        from tetrapylon._core.telemetry.counters import OUTCOME_NAMES

        counts = self.slabs.totals().route(0)
        if counts is None:
            return {}
        sums = (sum(histogram["buckets"]) for histogram in counts["durations"])
        return {name: count for name, count in zip(OUTCOME_NAMES, sums, strict=True) if count}


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """On uvloop and on asyncio. Afterwards no exchange is alive and no descriptor registered."""
    loop = request.param()
    made = Bench(loop)
    before = live_exchanges()
    yield made
    assert live_exchanges() == before == 0
    assert made.slab.counters()["now"]["exchanges"] == 0
    made.reactor.close()
    assert made.reactor.handles == 0
    loop.close()
