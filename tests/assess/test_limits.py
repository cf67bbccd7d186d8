"""How far the limit is, and when growth gets there."""

import math
import random
import time
from pathlib import Path

import pytest

from tests.assess.simulate import START, System, combined, constant, gunicorn_split, own, uniform
from tetrapylon.assess import Assessment, Present, assess
from tetrapylon.assess.limits import erlang_wait
from tetrapylon.assess.load import load_of, parse_growth, trend_of
from tetrapylon.assess.logs.formats import Line
from tetrapylon.assess.result import Limits, Trend
from tetrapylon.assess.tally import Tally
from tetrapylon.errors import UsageError

DAY = 86_400


def limits_of(told: Assessment) -> Limits:
    assert told.limits is not None
    return told.limits


def write(path: Path, system: System, count: int = 6000) -> str:
    path.write_text("".join(f"{gunicorn_split(*each)}\n" for each in system.requests(count, 3)))
    return str(path)


@pytest.mark.parametrize(("load", "slots", "wait"), [(0.5, 1, 1.0), (1.0, 2, 1 / 3), (0.0, 4, 0.0)])
def test_erlangs_wait_is_that_of_the_textbook(load: float, slots: int, wait: float) -> None:
    assert erlang_wait(load, slots) == pytest.approx(wait)


def test_wait_is_without_bound_where_all_slots_are_taken() -> None:
    assert erlang_wait(4.0, 4) == math.inf
    assert erlang_wait(900.0, 1000) < 0.001  # and large numbers do not overflow


def test_any_number_of_slots_is_quickly_told() -> None:
    """Of a service of one, c - a slots idle in the mean: as many as Halfin and Whitt's square root has it."""
    began = time.process_time()
    slots = 100_000_000
    assert erlang_wait(slots - 10_000, slots) == pytest.approx(0.2234 / 10_000, rel=0.01)
    assert time.process_time() - began < 1


def test_wait_is_that_of_a_queue() -> None:
    """Three slots, random arrivals, exponential service: what a simulated queue does."""
    r, slots, now, waited = random.Random(4), [0.0] * 3, 0.0, 0.0
    for _ in range(60_000):
        now += r.expovariate(1.5)
        slots.sort()
        begin = max(now, slots[0])
        waited += begin - now
        slots[0] = begin + r.expovariate(1.0)
    assert erlang_wait(1.5, 3) == pytest.approx(waited / 60_000, rel=0.1)


@pytest.mark.parametrize("count", [1, 300, 6000])
def test_peak_is_no_less_than_the_average(tmp_path: Path, count: int) -> None:
    """Also of a log that is shorter than the minutes that peaks are looked for in."""
    load = assess([write(tmp_path / "log", System(constant(10), constant(190), rate=20.0), count)]).load
    assert load is not None
    assert load.peak_rate >= load.rate * (1 - 1e-9)
    assert load.peak_concurrency >= load.concurrency * (1 - 1e-9)


def test_requests_under_way_are_rate_times_time(tmp_path: Path) -> None:
    told = assess([write(tmp_path / "log", System(constant(10), constant(190), rate=20.0))])
    assert told.load is not None
    assert told.load.rate == pytest.approx(20, rel=0.1)
    assert told.load.concurrency == pytest.approx(20 * 0.2, rel=0.1)
    assert told.load.peak_concurrency >= told.load.concurrency


def test_utilisation_is_of_workers_times_threads(tmp_path: Path) -> None:
    log = write(tmp_path / "log", System(constant(10), constant(190), rate=20.0))
    told = limits_of(assess([log], Present(workers=2, threads=4)))
    assert told.slots == 8
    assert told.utilisation == pytest.approx(0.55, abs=0.1)
    assert told.wait_ms is not None
    assert told.slots_headroom is not None
    assert 1 < told.slots_headroom < 2
    full = limits_of(assess([log], Present(workers=2, threads=2)))
    assert full.utilisation is not None
    assert full.utilisation > 1
    assert full.wait_ms is None
    assert full.headroom is not None
    assert full.headroom < 1


def test_limit_is_not_known_without_workers_and_says_so(tmp_path: Path) -> None:
    told = limits_of(assess([write(tmp_path / "log", System(constant(10), constant(190)))]))
    assert (told.headroom, told.utilisation) == (None, None)
    assert any("--workers and --threads" in note for note in told.notes)


def test_cores_are_bounded_by_its_own_time_and_known_when_told(tmp_path: Path) -> None:
    log = write(tmp_path / "log", System(constant(10), constant(30), rate=20.0))
    bound = limits_of(assess([log], Present(cores=1)))
    assert bound.cpu_is_bound
    assert bound.cpu_ms == pytest.approx(10, rel=0.02)
    assert bound.cpu_utilisation == pytest.approx(0.22, abs=0.03)
    known = limits_of(assess([log], Present(cores=1, cpu=0.08)))
    assert not known.cpu_is_bound
    assert known.cpu_ms == pytest.approx(4, rel=0.1)


def test_processes_that_are_fewer_than_cores_are_the_limit(tmp_path: Path) -> None:
    log = write(tmp_path / "log", System(constant(10), constant(30), rate=20.0))
    few, many = (limits_of(assess([log], Present(cores=8, cpu=0.2, workers=n, threads=9))) for n in (1, 8))
    assert few.cpu_utilisation is not None
    assert many.cpu_utilisation is not None
    assert few.cpu_utilisation == pytest.approx(8 * many.cpu_utilisation)


# ---- growth


@pytest.mark.parametrize(
    ("text", "monthly"),
    [("8%/month", 0.08), ("100%/year", 0.0595), ("-5%/month", -0.05), ("1%/week", 0.0442)],
)
def test_growth_is_read(text: str, monthly: float) -> None:
    assert parse_growth(text).monthly == pytest.approx(monthly, abs=0.0005)


@pytest.mark.parametrize("text", ["8", "8%", "lots", "8%/moon", "-100%/month"])
def test_growth_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="8%/month"):
        parse_growth(text)


@pytest.mark.parametrize(("growth", "months"), [("10%/month", 7.3), ("100%/year", 12.0), ("-5%/month", None)])
def test_growth_meets_the_limit(tmp_path: Path, growth: str, months: float | None) -> None:
    """At twice the traffic: 10% a month take log(2) / log(1.1) of them."""
    log = write(tmp_path / "log", System(constant(10), constant(190), rate=20.0))
    whole = limits_of(assess([log], Present(cores=1, cpu=1.0)))
    assert whole.cpu_utilisation is not None
    told = limits_of(assess([log], Present(cores=2 * whole.cpu_utilisation / 0.8, cpu=1.0, growth=growth)))
    assert told.headroom == pytest.approx(2.0)
    assert told.arrival is not None
    assert told.arrival.months == (None if months is None else pytest.approx(months, abs=0.1))


def tally_of(days: int, daily: float, *, weekend: float = 0.4, noise: float = 0.05, seed: int = 1) -> Tally:
    """A request every some minutes, growing by `daily`."""
    r, tally = random.Random(seed), Tally()
    for day in range(days):
        count = 400 * math.exp(daily * day) * (weekend if day % 7 > 4 else 1.0) * math.exp(r.gauss(0, noise))
        for number in range(round(count)):
            tally.add(Line(START + day * DAY + number * DAY / count, 1000, 500, 200))
    return tally


@pytest.mark.parametrize("seed", range(4))
def test_trend_is_found_and_covers_the_truth(seed: int) -> None:
    told = trend_of(tally_of(72, 0.004, seed=seed))
    assert isinstance(told, Trend)
    assert told.weeks == 10
    assert told.low <= math.expm1(0.004 * 30.44) <= told.high


def test_chance_is_no_trend() -> None:
    told = trend_of(tally_of(60, 0.0, noise=0.2))
    assert isinstance(told, str)
    assert "could not be chance" in told


def test_weekends_are_no_trend() -> None:
    assert isinstance(trend_of(tally_of(39, 0.0, weekend=0.1, noise=0.02)), str)


@pytest.mark.parametrize(("days", "why"), [(10, "8 whole days; a trend needs 35"), (1, "0 whole days")])
def test_short_log_has_no_trend(days: int, why: str) -> None:
    told = trend_of(tally_of(days, 0.01))
    assert isinstance(told, str)
    assert why in told


def test_log_with_missing_days_has_no_trend() -> None:
    tally = tally_of(60, 0.01)
    tally.windows = {
        key: each for key, each in tally.windows.items() if key * tally.width // DAY - START // DAY != 40
    }
    told = trend_of(tally)
    assert isinstance(told, str)
    assert "missing" in told


def test_windows_stay_bounded_over_years() -> None:
    tally = Tally()
    for minute in range(0, 400 * DAY // 60, 7):
        tally.add(Line(START + minute * 60, 5000, 1000, 200))
    assert len(tally.windows) <= 20_000
    told = load_of(tally)
    assert told is not None
    assert sum(window.count for _, window in tally.dated()) == tally.requests
    assert len(told.series) <= 400


def test_slowing_down_under_load_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as file:
        for minute in range(120):
            busy = minute % 10 == 0
            for number in range(60 if busy else 10):
                end = START + minute * 60 + number
                file.write(f"{own(end, 60.0 if busy else 35.0, 30.0)}\n")
    told = assess([str(path)])
    assert told.verdict is not None
    broken = told.verdict.answers[0]
    assert broken.answer == "perhaps"
    assert any("30 ms in the busiest minutes and 5 ms in calm ones" in reason for reason in broken.because)


def test_log_without_times_of_day_still_has_errors(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [combined(*each) for each in System(uniform(1, 2), uniform(3, 4)).requests(400, 1)]
    path.write_text(
        "\n".join(line.replace(" 200 ", " 502 ") if n % 20 == 0 else line for n, line in enumerate(lines))
    )
    told = assess([str(path)])
    assert told.verdict is not None
    assert told.verdict.answers[0].answer == "yes"
    assert "5% of its answers are errors (5xx)" in told.verdict.answers[0].because[0]
