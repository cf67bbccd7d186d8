"""An upstream that can take less than it could."""

from typing import Any

from tests.faults.fleet import fleet
from tests.faults.traffic import Traffic

PLACES = 10
WORK = 0.02
RATE = PLACES / WORK / 2


def test_an_adaptive_limit_keeps_what_is_left_of_the_capacity_in_use_and_answers_fast() -> None:
    settings: dict[str, Any] = {
        "pool": {"max_pending": 0},
        "adaptive_limit": {"least": 1},
        "retry": None,
        "health": {},
    }
    with fleet(1, **settings) as here:
        (target,) = here.targets
        target.say("places", PLACES, WORK)
        with Traffic(here.gateway.address, RATE) as traffic:
            traffic.run(1.0)
            target.say("places", PLACES // 5, WORK)
            settled = traffic.run(4.0)
            ended = traffic.run(2.0)
            answers = traffic.stop()
    answered = [each for each in answers.between(settled, ended) if each.status == 200]
    refused = [each for each in answers.between(settled, ended) if each.status != 200]
    assert len(answered) > 0.7 * (ended - settled) * PLACES / 5 / WORK
    assert {each.status for each in refused} == {503}
    # Behind all of this load a request would wait for seconds.
    assert sorted(each.took for each in answered)[len(answered) // 2] < 5 * WORK
