"""The bars that Tetrapylon sets itself, against what was measured."""

from collections.abc import Callable
from dataclasses import dataclass

from . import summary
from .results import Results
from .summary import Spread

OURS = "tetrapylon"


@dataclass(frozen=True)
class Bar:
    """`met` is None when this run has no measurement for it."""

    bar: str
    measured: str
    met: bool | None


def at_most(bar: str, limit: float, measured: Spread | None, show: Callable[[float], str]) -> Bar:
    return Bar(bar, _told(measured, show), None if measured is None else measured.median <= limit)


def at_least(bar: str, limit: float, measured: Spread | None, show: Callable[[float], str]) -> Bar:
    return Bar(bar, _told(measured, show), None if measured is None else measured.median >= limit)


def _told(measured: Spread | None, show: Callable[[float], str]) -> str:
    if measured is None:
        return "not measured in this run"
    return f"{show(measured.median)} ({show(measured.low)} to {show(measured.high)}, {measured.count} rounds)"


def times(value: float) -> str:
    return f"{value:.3g} x"


def share(value: float) -> str:
    return f"1/{1 / value:.3g}" if 0 < value < 0.5 else f"{value:.3g} x"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB"


def size(value: float) -> str:
    return f"{value:.0f} bytes"


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def _further_worker(results: Results) -> Spread | None:
    one = {row.round: row.pss for row in results.footprints if row.system == OURS}
    three = {row.round: row.pss for row in results.footprints if row.system == "tetrapylon-3"}
    return summary.spread((three[at] - one[at]) / 2 for at in one.keys() & three.keys())


def _memory_ratio(results: Results) -> Spread | None:
    flask = {row.round: row.pss for row in results.footprints if row.system == "flask-4"}
    ours = [row for row in results.footprints if row.system == OURS]
    return summary.spread(row.pss / flask[row.round] for row in ours if row.round in flask)


def bars(results: Results) -> list[Bar]:
    """Every bar that is measured end to end, in the order of the contract."""

    def cpu(system: str, base: str) -> Spread | None:
        return summary.ratio(results.runs, "small", summary.cpu, system, base)

    def rate(base: str) -> Spread | None:
        return summary.throughput_ratio(results.runs, "small", OURS, base)

    sent, failed = summary.requests(results, OURS), summary.failures(results, OURS)
    ours = [row for row in results.footprints if row.system == OURS]
    streams: dict[str, list[float]] = {}
    for stream in results.streams:
        streams.setdefault(stream.what, []).append(stream.peak - stream.before)
    return [
        at_most("CPU per request at most 0.9 x nginx's", 0.9, cpu(OURS, "nginx"), times),
        at_most("CPU per request at most 1/6 of the Go gateway's", 1 / 6, cpu(OURS, "go"), share),
        at_most("CPU per request at most 1/80 of the Flask gateway's", 1 / 80, cpu(OURS, "flask"), share),
        at_least("throughput on one core at least nginx's", 1.0, rate("nginx"), times),
        at_most(
            "CPU per request, every request logged, at most 1.0 x nginx's without a log",
            1.0,
            cpu("tetrapylon-log", "nginx"),
            times,
        ),
        at_least("throughput on one core at least 5 x the Go gateway's", 5, rate("go"), times),
        at_least("throughput on one core at least 60 x the Flask gateway's", 60, rate("flask"), times),
        Bar("no failed request", f"{failed} of {sent:,}", failed == 0 if sent else None),
        at_most(
            "p99 at half of nginx's maximum at most 1.1 x nginx's (paired rounds)",
            1.1,
            summary.ratio(results.pairs, "half", summary.p99, OURS, "nginx"),
            times,
        ),
        at_most(
            "memory under load, one worker, at most 1/3 of the Flask gateway's with four",
            1 / 3,
            _memory_ratio(results),
            share,
        ),
        at_most("memory under load at most 32 MB", 32e6, summary.spread(row.pss for row in ours), megabytes),
        at_most("each further worker at most 5 MB", 5e6, _further_worker(results), megabytes),
        at_most(
            "an idle keep-alive connection at most 1.5 KiB",
            1536,
            summary.spread(row.per_connection for row in ours),
            size,
        ),
        at_most(
            "from `tetrapylon run` to the first answer at most 0.4 s",
            0.4,
            summary.spread(row.seconds for row in results.starts if row.system == OURS),
            seconds,
        ),
        at_most("`tetrapylon --help` at most 0.2 s", 0.2, summary.spread(results.help_seconds), seconds),
        *(
            at_most(
                f"1 GiB {what}: at most 8 MB more memory",
                8e6,
                summary.spread(streams.get(what, ())),
                megabytes,
            )
            for what in ("download", "upload", "slow reader")
        ),
    ]
