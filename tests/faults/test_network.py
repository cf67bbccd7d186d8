"""Between the gateway and a target there is a network: cables that are pulled, loss, delay."""

from collections.abc import Iterator

import pytest

from tests.faults.fleet import fleet
from tests.faults.network import Remote, Unavailable
from tests.faults.traffic import Traffic
from tests.harness import eventually

RATE = 200


@pytest.fixture
def remote() -> Iterator[Remote]:
    try:
        made = Remote()
    except Unavailable as reason:
        pytest.skip(str(reason))
    with made:
        yield made


def test_a_target_whose_cable_is_pulled_fails_no_client(remote: Remote) -> None:
    """Nothing comes back: no reset, no refusal."""
    with fleet(2, remote.target) as here, Traffic(here.gateway.address, RATE) as traffic:
        traffic.run(0.5)
        remote.unplug()
        eventually(lambda: here.state(remote.target) != "up", "it is left alone")
        traffic.run(2.0)
        remote.plug()
        eventually(lambda: here.state(remote.target) == "up", "it is used again", within=15)
        traffic.run(0.5)
        answers = traffic.stop()
        failures = [
            each for each in answers.failures if each.status != 200 or each.took > 1 + 2 * traffic.lag
        ]
        assert not failures, (len(failures), failures[:5])


@pytest.mark.parametrize(
    "rules", [("delay", "40ms", "20ms"), ("loss", "3%"), ("reorder", "20%", "delay", "10ms")]
)
def test_a_bad_network_costs_time_and_no_answer(remote: Remote, rules: tuple[str, ...]) -> None:
    try:
        remote.shape(*rules)
    except Unavailable as reason:
        pytest.skip(str(reason))
    with fleet(2, remote.target) as here, Traffic(here.gateway.address, RATE) as traffic:
        traffic.run(3.0)
        answers = traffic.stop()
        assert not [each for each in answers if each.status != 200]
        assert remote.target.requests > 0
