"""What users wait before a log's clock begins: of queues whose waits are known."""

import heapq
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.assess.simulate import START, gunicorn_split, nginx
from tetrapylon.assess import Present, assess
from tetrapylon.assess.result import Split

COUNT = 8000


class Asked(NamedTuple):
    """When a request was over, in seconds, and how long its user, the app and the upstream took, in ms."""

    end: float
    user: float
    app: float
    upstream: float


def workers(slots: int, rate: float, own: float, seed: int) -> list[Asked]:
    """A queue before workers that each hold a request until it is answered."""
    r = random.Random(seed)
    free = [0.0] * slots
    now, found = 0.0, []
    for _ in range(COUNT):
        now += r.expovariate(rate)
        upstream = 30 * r.uniform(0.8, 1.2)
        begin = max(now, heapq.heappop(free))
        end = begin + (upstream + own) / 1000
        heapq.heappush(free, end)
        found.append(Asked(START + end, (end - now) * 1000, upstream + own, upstream))
    return sorted(found)


def interpreter(rate: float, own: float, seed: int) -> list[Asked]:
    """A queue before one thread's turn to compute; then it waits for the upstream with the others."""
    r = random.Random(seed)
    now, free, found = 0.0, 0.0, []
    for _ in range(COUNT):
        now += r.expovariate(rate)
        upstream = 30 * r.uniform(0.8, 1.2)
        begin = max(now, free)
        free = begin + own / 1000
        end = free + upstream / 1000
        found.append(Asked(START + end, (end - now) * 1000, upstream + own, upstream))
    return sorted(found)


def told(
    folder: Path, found: list[Asked], present: Present, style: Callable[..., str] = gunicorn_split
) -> Split:
    path = folder / "access.log"
    path.write_text("".join(f"{style(each.end, each.app, each.upstream)}\n" for each in found))
    split = assess([str(path)], present).split
    assert split is not None
    return split


def truth(found: list[Asked], q: float) -> float:
    users, upstreams = (sorted(each[side] for each in found) for side in (1, 3))
    return 1 - upstreams[int(q * COUNT)] / users[int(q * COUNT)]


def held(split: Split, found: list[Asked]) -> list[bool]:
    """Of what is said, whether it is true."""
    said = [each for each in split.quantiles if each.share is not None]
    return [
        each.share is not None and each.share.low <= truth(found, each.q) <= each.share.high for each in said
    ]


@pytest.mark.parametrize(("slots", "rate"), [(4, 45.0), (6, 80.0), (8, 60.0)])
def test_wait_for_a_worker_is_allowed_for(tmp_path: Path, slots: int, rate: float) -> None:
    found = workers(slots, rate, 7.0, seed=slots)
    split = told(tmp_path, found, Present(workers=slots))
    assert split.quantiles[0].share is not None
    assert all(held(split, found))


def test_wait_that_nobody_told_of_is_said_to_be_missing(tmp_path: Path) -> None:
    found = workers(4, 45.0, 7.0, seed=4)
    split = told(tmp_path, found, Present())
    assert not all(held(split, found))  # it could not know
    assert "say --workers and --threads" in " ".join(split.notes)


@pytest.mark.parametrize("rate", [20.0, 60.0])
def test_wait_for_the_interpreter_is_allowed_for(tmp_path: Path, rate: float) -> None:
    found = interpreter(rate, 7.0, seed=1)
    split = told(tmp_path, found, Present(workers=1, threads=1000, cpu=rate * 0.007))
    assert split.quantiles[0].share is not None
    assert all(held(split, found))


def test_wide_interval_for_waits_is_withheld_with_that_reason(tmp_path: Path) -> None:
    found = interpreter(80.0, 7.0, seed=1)
    split = told(tmp_path, found, Present(workers=1, threads=1000, cpu=0.56))
    assert split.quantiles[-1].share is None
    assert split.quantiles[-1].cannot_tell == "within 20 points: waits that are not in the log"


def test_full_workers_cannot_be_told_about(tmp_path: Path) -> None:
    split = told(tmp_path, workers(4, 95.0, 7.0, seed=1), Present(workers=4))
    assert "how long these wait for their turn is not in this log" in split.cannot_tell
    assert "--front" in split.do


def test_own_time_that_may_be_computing_asks_for_the_cores(tmp_path: Path) -> None:
    found = interpreter(125.0, 7.0, seed=1)
    split = told(tmp_path, found, Present(workers=1, threads=1000))
    assert "perhaps 87% busy" in split.cannot_tell
    assert "--cpu" in split.do
    asleep = told(tmp_path, found, Present(workers=1, threads=1000, cpu=0.1))
    assert asleep.cannot_tell == ""


def test_server_with_a_clock_of_its_own_sees_its_queue(tmp_path: Path) -> None:
    """nginx's begins when the request is there, whatever is told of workers."""
    found = [each._replace(app=each.user) for each in workers(4, 45.0, 7.0, seed=4)]
    split = told(tmp_path, found, Present(workers=4), nginx)
    assert split == told(tmp_path, found, Present(), nginx)
    assert all(held(split, found))
