"""The share of systems that are known: what the interval covers, how wide it is, where it says nothing."""

import random
from pathlib import Path

import pytest

from tests.assess.simulate import (
    STYLES,
    Draw,
    System,
    combined,
    constant,
    gamma,
    gunicorn,
    lognormal,
    nginx,
    own,
    pareto,
    triangular,
    two,
    uniform,
    weibull,
)
from tetrapylon.assess import Assessment, assess
from tetrapylon.assess.histogram import BINS, LARGEST, bin_of, edge
from tetrapylon.assess.jackknife import Groups, deviation, student
from tetrapylon.assess.result import Split


def split_of(told: Assessment) -> Split:
    assert told.split is not None
    return told.split


def write(path: Path, system: System, style: str, count: int, seed: int) -> str:
    with path.open("w") as file:
        file.writelines(f"{STYLES[style](*request)}\n" for request in system.requests(count, seed))
    return str(path)


# Not one of these was looked at while the estimator was made: other families, another rate, other seeds.
WORK: dict[str, Draw] = {
    "1 ms": constant(1.0),
    "7 ms": constant(7.0),
    "30 ms": constant(30.0),
    "1 ms, spread": weibull(1.0, 1.5),
    "7 ms, two kinds": two(triangular(4, 7), triangular(15, 30), 0.1),
    "30 ms, a long tail": pareto(22.0, 4.0, 300.0),
}
SERVICE: dict[str, Draw] = {
    "30 ms": constant(30.0),
    "30 ms, skewed": weibull(30.0, 4.0),
    "30 ms, a long tail": two(triangular(26, 34), pareto(40.0, 5.0, 400.0), 0.04),
}
HELD_OUT = [
    (work, service, sorted(STYLES)[(i + 2 * j) % len(STYLES)], (5000, 7000)[(i + j) % 2], 11_000 + 3 * i + j)
    for i, work in enumerate(WORK)
    for j, service in enumerate(SERVICE)
] + [("7 ms", "30 ms, skewed", "nginx", 1000, 11_100), ("30 ms", "30 ms", "nginx-labelled", 1000, 11_101)]


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[float, float], Split]]:
    """Of each of twenty systems the truth and what its log says."""
    folder = tmp_path_factory.mktemp("held-out")
    found = []
    for work, service, style, count, seed in HELD_OUT:
        system = System(WORK[work], SERVICE[service], wave=0.1 if seed % 4 == 0 else 0.0, rate=35.0)
        log = write(folder / f"{seed}.log", system, style, count, seed)
        found.append((system.truth(seed + 500_000), split_of(assess([log]))))
    return found


def test_interval_covers_the_truth_on_19_of_20_systems(
    held_out: list[tuple[dict[float, float], Split]],
) -> None:
    assert len(held_out) == 20
    covered = 0
    for truth, told in held_out:
        assert told.quantiles
        covered += all(
            each.share is not None and each.share.low <= truth[each.q] <= each.share.high
            for each in told.quantiles
        )
    assert covered >= 19


def test_no_interval_is_wider_than_20_percent(held_out: list[tuple[dict[float, float], Split]]) -> None:
    for _, told in held_out:
        assert told.cannot_tell == ""
        for each in told.quantiles:
            assert each.share is not None
            assert each.share.high - each.share.low <= 0.2


def test_p99_is_said_only_of_enough_requests(held_out: list[tuple[dict[float, float], Split]]) -> None:
    said = {told.requests: [each.q for each in told.quantiles] for _, told in held_out}
    assert said[1000] == [0.5, 0.95]
    assert said[5000] == [0.5, 0.95, 0.99]


@pytest.mark.parametrize("work", [1.0, 7.0, 30.0])
def test_interval_is_about_the_truth_and_no_guess(tmp_path: Path, work: float) -> None:
    """An interval from 0 to 1 would cover everything."""
    log = write(tmp_path / "log", System(constant(work), constant(30.0)), "tetrapylon", 5000, 1)
    for each in split_of(assess([log])).quantiles:
        assert each.share is not None
        assert each.share.value == pytest.approx(work / (work + 30), abs=0.005)
        assert each.share.high - each.share.low < 0.02


# ---- where logs do not say


def test_gunicorns_log_has_no_share_and_says_what_would(tmp_path: Path) -> None:
    system = System(constant(7.0), uniform(28, 32))
    path = tmp_path / "gunicorn.log"
    path.write_text("".join(f"{gunicorn(*each)}\n" for each in system.requests(3000, 1)))
    told = split_of(assess([str(path)], log_format="gunicorn"))
    assert "not what of it upstreams took" in told.cannot_tell
    for field in ("%(D)s", "upstream_us=%({upstream_us}e)s", "--upstream-log", "--behind"):
        assert field in told.do
    assert [each.share for each in told.quantiles] == [None, None]
    assert told.quantiles[0].total == pytest.approx(37, abs=0.5)


def test_number_of_no_known_unit_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.log"
    path.write_text(
        "".join(f"{gunicorn(*each)}\n" for each in System(constant(7), constant(30)).requests(300, 1))
    )
    told = split_of(assess([str(path)]))
    assert told.cannot_tell == "the log has no times"
    assert "--log-format" in told.do


def test_log_without_times_says_which_to_add(tmp_path: Path) -> None:
    path = tmp_path / "combined.log"
    path.write_text(
        "".join(f"{combined(*each)}\n" for each in System(constant(7), constant(30)).requests(300, 1))
    )
    told = split_of(assess([str(path)]))
    assert told.cannot_tell == "the log has no times"
    assert "$request_time and $upstream_response_time" in told.do
    assert "%(D)s" in told.do


def test_whole_time_alone_says_which_to_add(tmp_path: Path) -> None:
    path = tmp_path / "nginx.log"
    lines = [nginx(*each).rsplit(" ", 1)[0] for each in System(constant(7), constant(30)).requests(300, 1)]
    path.write_text("\n".join(lines))
    told = split_of(assess([str(path)]))
    assert "not what of it upstreams took" in told.cannot_tell
    assert "$upstream_response_time" in told.do


def test_too_few_requests_are_said(tmp_path: Path) -> None:
    told = split_of(assess([write(tmp_path / "log", System(constant(7), constant(30)), "nginx", 60, 1)]))
    assert told.cannot_tell == "too few requests have both times: 60"


def test_clock_that_is_too_coarse_is_said(tmp_path: Path) -> None:
    """Of a request of 2 ms a clock of 1 ms says next to nothing."""
    told = split_of(
        assess([write(tmp_path / "log", System(uniform(0.2, 1.2), uniform(0.5, 2.5)), "nginx", 4000, 1)])
    )
    assert "clock of 1 ms is too coarse" in told.cannot_tell
    assert "--behind" in told.do


def test_interval_that_is_too_wide_is_withheld(tmp_path: Path) -> None:
    heavy = System(pareto(5.0, 1.1, 50_000.0), pareto(5.0, 1.1, 50_000.0), wave=0.3)
    told = split_of(assess([write(tmp_path / "log", heavy, "tetrapylon", 5100, 1)]))
    assert told.quantiles[-1].share is None
    assert told.quantiles[-1].total > 0


# ---- two logs


def two_logs(folder: Path, system: System, count: int, keep: float = 1.0) -> tuple[str, str]:
    here, behind = folder / "gateway.log", folder / "services.log"
    r = random.Random(5)
    with here.open("w") as gateway, behind.open("w") as services:
        for end, total, upstream in system.requests(count, 9):
            gateway.write(f"{gunicorn(end, total, upstream)}\n")
            if r.random() < keep:
                services.write(f"{own(end - 0.001, upstream, upstream / 3)}\n")
    return str(here), str(behind)


def test_services_logs_stand_in_for_the_upstream_time(tmp_path: Path) -> None:
    system = System(lognormal(7.0, 0.3), gamma(30.0, 8.0), wave=0.15)
    here, behind = two_logs(tmp_path, system, 12_000)
    told = split_of(assess([here], upstream_logs=[behind], log_format="gunicorn"))
    truth = system.truth(77)
    assert told.cannot_tell == ""
    assert len(told.quantiles) == 3
    for each in told.quantiles:
        assert each.share is not None
        assert each.share.low <= truth[each.q] <= each.share.high
        assert each.share.high - each.share.low < 0.2
    assert "in neither log" in told.notes[-1]


def test_services_with_another_number_of_requests_are_no_basis(tmp_path: Path) -> None:
    here, behind = two_logs(tmp_path, System(constant(7), constant(30)), 6000, keep=0.8)
    told = split_of(assess([here], upstream_logs=[behind], log_format="gunicorn"))
    assert "not one for each" in told.cannot_tell


def test_logs_of_different_days_are_no_basis(tmp_path: Path) -> None:
    here, behind = two_logs(tmp_path, System(constant(7), constant(30)), 3000)
    path = Path(behind)
    path.write_text(path.read_text().replace("2025-12-01", "2025-12-05"))
    told = split_of(assess([here], upstream_logs=[behind], log_format="gunicorn"))
    assert "share too little time" in told.cannot_tell


# ---- the parts


def test_bins_are_in_order_and_hold_what_they_say() -> None:
    r = random.Random(1)
    for value in [
        0,
        1,
        2047,
        2048,
        2049,
        4095,
        4096,
        LARGEST - 1,
        LARGEST,
        *(r.randrange(1 << r.randrange(1, 45)) for _ in range(2000)),
    ]:
        index = bin_of(value)
        assert 0 <= index < BINS
        assert edge(index) <= value
        if value < LARGEST:
            assert value < edge(index + 1) <= value + max(1, value / 1000)


def test_groups_stay_few_and_lose_nothing() -> None:
    groups = Groups()
    for number in range(30_000):
        groups.add(number, number, number // 2)
    final = groups.final()
    assert len(final) <= 40
    assert sum(group.count for group in final) == 30_000
    assert sum(group.sum_total for group in final) == sum(range(30_000))
    assert sum(sum(group.totals) for group in final) == 30_000


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    r = random.Random(2)
    values = [r.gauss(10, 3) for _ in range(60)]
    mean = sum(values) / 60
    left_out = [(sum(values) - each) / 59 for each in values]
    expected = (sum((each - mean) ** 2 for each in values) / 59 / 60) ** 0.5
    assert deviation([1] * 60, mean, left_out) == pytest.approx(expected)


@pytest.mark.parametrize(("freedom", "value"), [(9, 3.250), (19, 2.861), (39, 2.708)])
def test_students_quantiles_are_those_of_the_tables(freedom: int, value: float) -> None:
    assert student(freedom) == pytest.approx(value, abs=0.002)


def test_services_that_answer_by_themselves_count_with_their_whole_time(tmp_path: Path) -> None:
    """Of nginx's log of static files, say: `-` is no upstream of its own, and yet the gateway's."""
    system = System(constant(7), constant(30))
    here, behind = tmp_path / "here", tmp_path / "behind"
    with here.open("w") as gateway, behind.open("w") as services:
        for end, total, upstream in system.requests(4000, 9):
            gateway.write(f"{nginx(end, total, upstream).rsplit(' ', 1)[0]}\n")
            services.write(f"{nginx(end - 0.001, upstream, 0.0).rsplit(' ', 1)[0]} -\n")
    told = split_of(assess([str(here)], upstream_logs=[str(behind)]))
    assert told.cannot_tell == ""
    assert told.quantiles[0].share is not None
    assert told.quantiles[0].share.low <= 7 / 37 <= told.quantiles[0].share.high


def test_log_of_a_service_is_told_from_that_of_a_gateway(tmp_path: Path) -> None:
    path = tmp_path / "static.log"
    lines = [
        f"{nginx(*each).rsplit(' ', 1)[0]} -" for each in System(constant(7), constant(30)).requests(300, 1)
    ]
    path.write_text("\n".join(lines))
    told = split_of(assess([str(path)]))
    assert told.cannot_tell.startswith("no request reached an upstream")
    assert told.answered_alone == 300
    assert told.answered_alone_ms == pytest.approx(37, abs=0.5)
