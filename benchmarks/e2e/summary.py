"""Medians and ratios: a ratio is taken within a round, where both systems met the same machine."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from .results import Results, Run

Metric = Callable[[Run], float]


@dataclass(frozen=True)
class Spread:
    """A median with the lowest and highest of the `count` values it stands for."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Iterable[float]) -> Spread | None:
    """None when there is no value at all."""
    found = list(values)
    return Spread(median(found), min(found), max(found), len(found)) if found else None


def cpu(run: Run) -> float:
    """Microseconds of CPU a request."""
    return run.sample.cpu_per_request


def rate(run: Run) -> float:
    """Answers a second."""
    return run.sample.rate


def p50(run: Run) -> float:
    return run.sample.p50


def p99(run: Run) -> float:
    return run.sample.p99


def of(runs: Sequence[Run], system: str, scenario: str) -> list[Run]:
    """The steady runs of a system without a failure in a scenario: those that count."""
    return [
        run
        for run in runs
        if (run.system, run.scenario) == (system, scenario) and run.steady and not run.sample.failures
    ]


def values(results: Results, system: str, scenario: str, metric: Metric) -> Spread | None:
    return spread(metric(run) for run in of(results.runs, system, scenario))


def throughput(results: Results, system: str, scenario: str) -> Spread | None:
    """Answers a second in the rounds that kept the gateway's core busy enough to count."""
    return spread(rate(run) for run in of(results.runs, system, scenario) if run.sample.saturated)


def ratio(runs: Sequence[Run], scenario: str, metric: Metric, system: str, base: str) -> Spread | None:
    """`system` over `base`, round by round; rounds that lack one of them do not count."""
    bases = {run.round: metric(run) for run in of(runs, base, scenario)}
    return spread(
        metric(run) / bases[run.round] for run in of(runs, system, scenario) if bases.get(run.round)
    )


def throughput_ratio(runs: Sequence[Run], scenario: str, system: str, base: str) -> Spread | None:
    """Where the base kept its core busy. If the system did not, its true ratio is higher still."""
    busy = [run for run in runs if run.system != base or run.sample.saturated]
    return ratio(busy, scenario, rate, system, base)


def failures(results: Results, system: str) -> int:
    """Failed requests of every run, whatever the scenario."""
    rows = [run.sample.failures for run in (*results.runs, *results.pairs) if run.system == system]
    return sum(rows) + sum(row.failures for row in results.footprints if row.system == system)


def requests(results: Results, system: str) -> int:
    return sum(run.sample.answered for run in (*results.runs, *results.pairs) if run.system == system)


def unsteady(results: Results, system: str) -> int:
    """Runs in which a process of the system came or went."""
    return sum(not run.steady for run in (*results.runs, *results.pairs) if run.system == system)
