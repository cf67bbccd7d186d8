"""Medians, ratios and bars, computed from rows written by hand."""

from pathlib import Path

import pytest

from benchmarks.e2e import summary
from benchmarks.e2e.bars import bars
from benchmarks.e2e.load import Sample
from benchmarks.e2e.results import Footprint, Results, Run, Start, Stream, System
from benchmarks.e2e.summary import Spread
from benchmarks.peers import SYSTEMS, Peer, select


def sample(cpu: float = 10, rate: float = 1000, **changes: float) -> Sample:
    settings: dict[str, float] = {
        "answered": rate, "seconds": 1, "rate": rate, "failures": 0, "cpu_per_request": cpu, "core_busy": 1,
        "p50": 1, "p90": 2, "p99": 3, "p999": 4, "longest": 5, "offered": 0, "unsent": 0, "reconnects": 0,
        "load_share": 0.5, **changes,
    }  # fmt: skip
    return Sample(**settings)  # type: ignore[arg-type]


def run(number: int, system: str, scenario: str = "small", *, steady: bool = True, **changes: float) -> Run:
    return Run(number, system, scenario, steady, sample(**changes))


def results(*runs: Run) -> Results:
    systems = [System(name, name.title(), "1.0", True) for name in dict.fromkeys(run.system for run in runs)]
    return Results({"half_rate": 1000, "low_rate": 10}, systems, list(runs))


def test_a_ratio_is_taken_within_a_round() -> None:
    """The machine was three times as slow in round 2: the ratio of medians would be 30 / 20."""
    runs = [
        run(1, "ours", cpu=10), run(1, "nginx", cpu=20),
        run(2, "ours", cpu=30), run(2, "nginx", cpu=60),
        run(3, "ours", cpu=30),
    ]  # fmt: skip
    assert summary.ratio(runs, "small", summary.cpu, "ours", "nginx") == Spread(0.5, 0.5, 0.5, 2)


def test_runs_with_failures_or_changed_processes_do_not_count() -> None:
    runs = [
        run(1, "ours", cpu=10),
        run(2, "ours", cpu=1, failures=1),
        run(3, "ours", cpu=1, steady=False),
        run(4, "ours", "large", cpu=1),
    ]
    held = results(*runs)
    assert summary.values(held, "ours", "small", summary.cpu) == Spread(10, 10, 10, 1)
    assert summary.failures(held, "ours") == 1
    assert summary.unsteady(held, "ours") == 1


def test_throughput_counts_where_the_core_was_busy() -> None:
    held = results(
        run(1, "ours", cpu=950, rate=1000),
        run(2, "ours", cpu=950, rate=1000, core_busy=0.9),
        run(3, "ours", cpu=100, rate=5000),
    )
    assert summary.throughput(held, "ours", "small") == Spread(1000, 1000, 1000, 1)


def test_a_throughput_ratio_needs_a_busy_base_only() -> None:
    runs = [
        run(1, "ours", cpu=10, rate=2000), run(1, "nginx", cpu=1000, rate=1000),
        run(2, "ours", cpu=10, rate=9000), run(2, "nginx", cpu=10, rate=1000),
    ]  # fmt: skip
    assert summary.throughput_ratio(runs, "small", "ours", "nginx") == Spread(2, 2, 2, 1)


def test_nothing_has_no_spread() -> None:
    assert summary.spread([]) is None


def full(cpu: float) -> Results:
    held = results(
        run(1, "tetrapylon", cpu=cpu, rate=60_000, core_busy=1),
        run(1, "tetrapylon-log", cpu=cpu + 2, rate=1),
        run(1, "nginx", cpu=20, rate=48_000),
        run(1, "go", cpu=110, rate=9000),
        run(1, "flask", cpu=1500, rate=650),
    )
    held.pairs = [
        run(at, name, "half", p99=9 if name == "nginx" else 9.5)
        for at in (1, 2)
        for name in ("tetrapylon", "nginx")
    ]
    held.footprints = [
        Footprint(1, "tetrapylon", 3, 30_000_000, 40_000_000, 1000.0, 0),
        Footprint(1, "tetrapylon-3", 5, 38_000_000, 80_000_000, 1000.0, 0),
        Footprint(1, "flask-4", 5, 95_000_000, 160_000_000, 5000.0, 0),
    ]
    held.starts = [Start(1, "tetrapylon", 0.3)]
    held.streams = [
        Stream("tetrapylon", what, 0, 7_000_000, 1) for what in ("download", "upload", "slow reader")
    ]
    held.help_seconds = [0.1]
    return held


def test_every_bar_is_met_by_a_gateway_that_is_good_enough() -> None:
    found = bars(full(cpu=15))
    assert [bar.bar for bar in found if bar.met is not True] == []


def test_a_bar_that_is_missed_says_so_with_its_number() -> None:
    missed = [bar for bar in bars(full(cpu=19)) if bar.met is False]
    assert "CPU per request at most 0.9 x nginx's" in [bar.bar for bar in missed]
    assert missed[0].measured.startswith("0.95 x")


def test_a_failed_request_misses_its_bar() -> None:
    held = full(cpu=15)
    held.runs.append(run(2, "tetrapylon", failures=1))
    assert [bar.bar for bar in bars(held) if bar.met is False] == ["no failed request"]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {bar.met for bar in bars(Results(meta={}))} == {None}


def test_results_survive_a_file(tmp_path: Path) -> None:
    held = full(cpu=15)
    held.save(tmp_path / "results.json", [])
    assert Results.load(tmp_path / "results.json") == held


def test_systems_are_chosen_by_name() -> None:
    assert [peer.name for peer in select("nginx, go")] == ["nginx", "go"]
    assert select("") == SYSTEMS
    with pytest.raises(ValueError, match="unknown systems: ngnix; there are direct, tetrapylon"):
        select("ngnix")


@pytest.mark.parametrize("peer", [one for one in SYSTEMS if one.folder], ids=lambda one: one.name)
def test_a_peers_config_holds_no_placeholder_once_rendered(peer: Peer, tmp_path: Path) -> None:
    peer.render(tmp_path, 18080, 19090)
    for name in peer.configs:
        text = (tmp_path / name).read_text()
        assert "@PORT@" not in text.upper()
        assert "@UPSTREAM@" not in text
    command = " ".join(peer.fill(peer.command, Path("/bin/program"), tmp_path, 18080, 19090))
    assert "{" not in command
