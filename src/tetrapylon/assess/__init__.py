"""Is a gateway worth replacing? What its logs, its load and its code's history say, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tetrapylon.assess.costs import Prices, costs_of
from tetrapylon.assess.limits import limits_of
from tetrapylon.assess.live import Hop, hop_of, measure
from tetrapylon.assess.load import load_of, parse_growth, trend_of
from tetrapylon.assess.logs.formats import ABSENT, Format, Line, compile_format
from tetrapylon.assess.logs.reading import Reading
from tetrapylon.assess.logs.times import NONE
from tetrapylon.assess.measured import measured
from tetrapylon.assess.repository.people import team_of
from tetrapylon.assess.repository.workers import workers_of
from tetrapylon.assess.result import Assessment, Costs, Limits, Load
from tetrapylon.assess.split import log_of, split, split_of_two, take
from tetrapylon.assess.tally import Tally
from tetrapylon.assess.verdict import verdict_of
from tetrapylon.assess.waits import Capacity
from tetrapylon.assess.wording import several
from tetrapylon.errors import TetrapylonError, UsageError

__all__ = ["Assessment", "Live", "Present", "assess", "hop_of"]


MEASURE_BEHIND = "let the present gateway reach its services through --behind, one for each of them"


@dataclass(frozen=True)
class Live:
    """Where to measure: in front of the present gateway, and before each of its services."""

    front: Hop
    behind: list[Hop]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Present:
    """What is known of the present gateway beside its logs; memory in bytes, prices by month.

    `like`: which of the measured gateways it is. `cpu`: cores that it keeps busy on average.
    """

    like: str | None = None
    workers: int | None = None
    threads: int | None = None
    cores: float | None = None
    cpu: float | None = None
    memory: float | None = None
    instances: int = 1
    growth: str | None = None
    core_price: float | None = None
    memory_price: float | None = None
    change_cost: float | None = None
    repositories: list[str] = field(default_factory=list)


def assess(
    logs: list[str],
    present: Present | None = None,
    *,
    upstream_logs: list[str] | None = None,
    log_format: str | None = None,
    live: Live | None = None,
    now: float | None = None,
) -> Assessment:
    """By logs, or `live` in their place.

    Raises UsageError for what cannot be read, TetrapylonError for logs without a request.
    """
    present = present or Present()
    given = None if log_format is None else compile_format(log_format)
    if present.growth is not None:
        parse_growth(present.growth)
    if present.like is not None and present.like not in measured().systems:
        known = ", ".join(measured().systems)
        raise UsageError(f"--present: {present.like!r} was not measured; expected one of {known}")
    told = Assessment(team=team_of(present.repositories, now) if present.repositories else None)
    if live is not None:
        told = _by_live(told, live, present)
    elif logs:
        told = _by_logs(told, logs, upstream_logs or [], given, present)
    told.verdict = verdict_of(told)
    return told


def _by_live(told: Assessment, live: Live, present: Present) -> Assessment:
    """What the gateway in front waited for is the present one's whole time; what those behind took, all of
    it, is what the present one waited for: so their own time counts for neither."""
    with TemporaryDirectory(prefix="tetrapylon-assess-") as folder:
        front, behind = measure(live.front, live.behind, live.seconds, Path(folder))
        here = _read([front], None, by_time=True, change=_waited)
        there = _read(behind, None, by_time=True, change=_took) if behind else None
    return _told(told, here, there, present, do=MEASURE_BEHIND)


def _waited(line: Line) -> Line:
    return line._replace(total=line.upstream if line.upstream >= 0 else ABSENT, upstream=ABSENT)


def _whole(line: Line) -> Line:
    """What no upstream saw stays that."""
    return line if line.upstream == NONE else line._replace(upstream=ABSENT)


def _took(line: Line) -> Line:
    return line._replace(upstream=ABSENT)


def _by_logs(
    told: Assessment, logs: list[str], behind: list[str], given: Format | None, present: Present
) -> Assessment:
    if not behind:
        return _told(told, _read(logs, given, by_time=False), None, present)
    here = _read(logs, given, by_time=True, change=_whole)
    return _told(told, here, _read(behind, None, by_time=True, change=_took), present)


def _told(
    told: Assessment,
    here: tuple[Reading, Tally],
    there: tuple[Reading, Tally] | None,
    present: Present,
    do: str = "",
) -> Assessment:
    reading, tally = here
    capacity = _capacity(present)
    told.log = log_of(reading, tally)
    if there is not None:
        told.upstream_log = log_of(*there)
        told.split = split_of_two(here, there, capacity)
    else:
        told.split = split(reading, tally, capacity, do)
    told.load = load_of(tally)
    if told.load is not None:
        told.limits = _limits(told.load, tally, capacity, present)
        told.costs = _costs(reading, told.load, told.limits, present)
    return told


def _capacity(present: Present) -> Capacity:
    """As told, or as the one command or config in the repositories says."""
    if present.workers is not None:
        slots = present.workers * (present.threads or 1)
        return Capacity(present.workers, slots, "as told", present.cpu)
    found = workers_of(present.repositories) if present.repositories else []
    if len(found) != 1:
        return Capacity(cpu=present.cpu)
    workers, threads, where = found[0]
    source = f"{several(workers, 'worker')} with {several(threads, 'thread')}, as {where} has it"
    return Capacity(workers, workers * threads, source, present.cpu)


def _limits(load: Load, tally: Tally, capacity: Capacity, present: Present) -> Limits:
    growth = None
    if present.growth is not None:
        read = parse_growth(present.growth)
        growth = (read.monthly, "as told")
    return limits_of(
        load,
        slots=capacity.slots,
        slots_from=capacity.slots_from,
        workers=capacity.workers,
        cores=present.cores,
        cpu=present.cpu,
        growth=growth,
        trend=trend_of(tally),
    )


def _costs(reading: Reading, load: Load, limits: Limits, present: Present) -> Costs:
    return costs_of(
        present.like or _like(reading),
        load,
        limits,
        cores=present.cores,
        memory=present.memory,
        instances=present.instances,
        prices=Prices(present.core_price, present.memory_price, present.change_cost),
    )


def _like(reading: Reading) -> str | None:
    """By the format of its log: what writes gunicorn's is taken for Flask."""
    if "tetrapylon" in {reading.formats[text].name for text in reading.counts}:
        return "tetrapylon"
    if any("%(" in text for text in reading.counts):
        return "flask"
    return None


def _read(
    paths: list[str],
    given: Format | None,
    *,
    by_time: bool,
    change: Callable[[Line], Line] | None = None,
) -> tuple[Reading, Tally]:
    reading = Reading(paths, given)
    tally = take(reading, by_time=by_time, change=change)
    if not tally.requests:
        names = ", ".join(paths)
        if reading.broken:
            fit = f"fits --log-format {given.name}" if given else "is in a format that is known"
            raise UsageError(
                f"{names}: none of {reading.broken} lines {fit} (the first: {reading.broken_at[0]});"
                " give the server's own with --log-format, as nginx, gunicorn or Apache take it"
            )
        raise TetrapylonError(f"{names}: there is no request in it")
    return reading, tally
