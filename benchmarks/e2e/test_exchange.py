"""The end-to-end exchange under pytest-benchmark: `pytest benchmarks/e2e`, SYSTEMS= to choose.

Times drift with the machine: compare systems within one run, commits by many. `make bench` measures properly.
"""

import os
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ..peers import DIRECT, Peer, select
from .load import SCENARIOS, Loading, Scenario
from .process import Gateway, Upstream
from .workshop import Unavailable, Workshop

REQUESTS = 500
DEFAULT = "direct,tetrapylon,tetrapylon-log,nginx,haproxy"


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture(scope="module", params=select(os.environ.get("SYSTEMS", DEFAULT)), ids=lambda one: one.name)
def port(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[int]:
    peer: Peer = request.param
    with Upstream(workshop.upstream) as upstream:
        if peer is DIRECT:
            yield upstream.port
            return
        try:
            workshop.prepare((peer,))
            program = workshop.program(peer)
        except Unavailable as error:
            pytest.skip(str(error))
        directory = workshop.build / "run" / peer.name
        with Gateway(peer, program, upstream.port, directory, path=workshop.path) as gateway:
            yield gateway.port


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_exchange(benchmark: BenchmarkFixture, workshop: Workshop, port: int, scenario: Scenario) -> None:
    benchmark.group = f"{REQUESTS} x {scenario.title}"

    def batch() -> None:
        sample = Loading(workshop.load, port, scenario, seconds=1, requests=REQUESTS).result()
        assert (sample.answered, sample.failures) == (REQUESTS, 0)

    benchmark.pedantic(batch, rounds=10, warmup_rounds=1)  # type: ignore[no-untyped-call]
