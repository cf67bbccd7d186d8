"""From what was kept of the logs to how users' time divides, or to why that cannot be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tetrapylon.assess.jackknife import Group
from tetrapylon.assess.load import load_of
from tetrapylon.assess.logs.formats import EXACT, Clock, Line
from tetrapylon.assess.logs.reading import Reading
from tetrapylon.assess.result import Log, Quantile, Range, Split
from tetrapylon.assess.share import FEWEST, Interval, Share, curve, mean_share, shares, whole_times
from tetrapylon.assess.tally import Tally
from tetrapylon.assess.waits import Capacity, Unseen, unseen_of
from tetrapylon.assess.wording import milliseconds, readable

__all__ = ["log_of", "split", "split_of_two", "take"]

FEWEST_GROUPS = 5
CONTRADICTING = 0.01
UNEQUAL = 0.02
NOTABLE = 100
"""Microseconds of a mean wait from which it is told."""
WIDEST = 0.2
"""An interval that is wider is no answer."""

UNSEEN = "Up to {:g} ms before its clock starts and after it stops is not in the log; intervals allow for it."
WAITS = "Nor is what they wait for a free worker or the interpreter, {} on average; intervals allow for it."
BETWEEN = "what passes between the gateway and its upstreams counts as the gateway's: it is in neither log"
ADD_NGINX = "add $request_time and $upstream_response_time to nginx's log_format"
ADD_DURATION = "for gunicorn, add %(D)s to access_log_format"
UNKNOWN_UNIT = (
    "if one of the fields that were not recognised is a time, give the server's own format with --log-format"
    " (gunicorn stands for the default one with %(D)s behind it)"
)
ADD_GUNICORN = (
    "gunicorn does not know the upstreams' time: let the app sum what it waits for into"
    " environ['upstream_us'] and add %(D)s and upstream_us=%({upstream_us}e)s to access_log_format; or give"
    " the services' own logs with --upstream-log; or measure live with --front and --behind"
)


def take(reading: Reading, *, by_time: bool = False, change: Callable[[Line], Line] | None = None) -> Tally:
    """Reads all lines, each of them changed first."""
    tally = Tally(by_time=by_time)
    reading.on_file = tally.new_file
    formats = 0
    for line in reading:
        if len(reading.counts) != formats:
            formats, tally.slack = len(reading.counts), reading.slack
        tally.add(line if change is None else change(line))
    return tally


def log_of(reading: Reading, tally: Tally) -> Log:
    return Log(
        files=[readable(path) for path in reading.paths],
        requests=tally.requests,
        formats={reading.shown(text): count for text, count in reading.counts.items()},
        begins=tally.first or None,
        ends=tally.last or None,
        without_times=tally.untimed,
        broken=reading.broken,
        broken_at=[readable(place) for place in reading.broken_at],
        impossible=tally.impossible,
        clock_jumps=tally.jumps,
        closed_by_client=tally.aborted,
        upgraded=tally.switched,
        dropped=reading.dropped,
        notes=[readable(note) for note in reading.damaged],
    )


def split(reading: Reading, tally: Tally, capacity: Capacity, do: str = "") -> Split:
    """By one log, which has both times or not; `do` says what else gives the upstreams'."""
    total = _coarsest(reading.clocks(lambda each: each.total))
    upstream = _coarsest(reading.clocks(lambda each: each.upstream))
    timed = tally.groups.count + tally.alone.count
    if not timed and not tally.own and not tally.impossible:
        return Split(
            requests=0,
            quantiles=[],
            cannot_tell="the log has no times" if tally.untimed else "there is no request to go by",
            do=UNKNOWN_UNIT
            if any("$_" in text for text in reading.counts)
            else f"{ADD_NGINX}; {ADD_DURATION}",
        )
    if tally.impossible > CONTRADICTING * (tally.impossible + tally.groups.count):
        return _whole_only(
            tally.groups.final(),
            total,
            cannot_tell=f"in {tally.impossible} lines the upstreams took longer than the whole, so the"
            " fields are not what they were taken for",
            do="give the server's own log format with --log-format",
        )
    if not timed and tally.own:
        return Split(
            requests=0,
            quantiles=[],
            cannot_tell="no request reached an upstream, so that all of the time is the gateway's",
            do="give the log of a gateway; one of a service goes with --upstream-log",
            answered_alone=tally.own,
            answered_alone_ms=tally.own_total / tally.own / 1000,
        )
    if tally.groups.count < timed / 2:
        return _whole_only(
            tally.alone.final(),
            total,
            cannot_tell="the log has the whole time of a request, and not what of it upstreams took",
            do=do or (ADD_NGINX if total.phased else ADD_GUNICORN),
        )
    told = _told(tally.groups.final(), None, total, upstream, tally, capacity)
    if tally.alone.count:
        told.notes.append(f"{tally.alone.count} requests have no upstream time and are left out")
    return told


def split_of_two(one: tuple[Reading, Tally], other: tuple[Reading, Tally], capacity: Capacity) -> Split:
    """By the gateway's log and that of the services behind it, of the time that both cover.

    Of both the whole times count, so none of their lines has an upstream's.
    """
    (reading, tally), (reading_behind, behind) = one, other
    total = _coarsest(reading.clocks(lambda each: each.total))
    upstream = _coarsest(reading_behind.clocks(lambda each: each.total))
    mine = tally.alone
    whole, waited = mine.aligned(behind.alone)
    own = f"{tally.requests} and {behind.requests} requests"
    if whole.count < FEWEST or waited.count < FEWEST:
        return _whole_only(
            mine.final(),
            total,
            cannot_tell=f"the two logs share too little time with requests in it ({own})",
            do="give logs of the same hours",
        )
    if abs(waited.count / whole.count - 1) > UNEQUAL:
        return _whole_only(
            mine.final(),
            total,
            cannot_tell=f"in the time that both logs cover, the gateway had {whole.count} requests and its"
            f" upstreams {waited.count}: not one for each",
            do="log the upstreams' time with each of the gateway's requests",
        )
    behind_it = [group.behind() for group in waited.list()]
    told = _told(whole.list(), behind_it, total, upstream, tally, capacity)
    told.notes.append(BETWEEN)
    return told


def _told(
    whole: Sequence[Group],
    waited: Sequence[Group] | None,
    total: Clock,
    upstream: Clock,
    tally: Tally,
    capacity: Capacity,
) -> Split:
    count = sum(group.count for group in whole)
    behind = whole if waited is None else waited
    if count < FEWEST or len(whole) < FEWEST_GROUPS:
        return _whole_only(
            list(whole),
            total,
            cannot_tell=f"too few requests have both times: {count:,}",
            do=f"give a log of more: {FEWEST} for the median, 5,000 for p99",
        )
    unseen = unseen_of(total, capacity, load_of(tally))
    if unseen.cannot_tell:
        return _whole_only(list(whole), total, cannot_tell=unseen.cannot_tell, do=unseen.do)
    found = list(shares(whole, behind, total, upstream, unseen))
    resolution = max(total.tick, upstream.tick)
    if found and found[0].open > WIDEST and not unseen.waits:
        return _whole_only(
            list(whole),
            total,
            cannot_tell=f"the log's clock of {resolution / 1000:g} ms is too coarse for requests of"
            f" {found[0].total / 1000:.3g} ms, with up to {total.unseen / 1000:g} ms that it does not see",
            do="measure live with --front and --behind, which is by the microsecond",
        )
    return Split(
        requests=count,
        quantiles=[_quantile(each, unseen) for each in found],
        all_time=_range(mean_share(whole, behind, total, upstream, unseen)),
        curve=_curve(whole, behind, total, upstream),
        resolution=resolution / 1000,
        answered_alone=tally.own,
        answered_alone_ms=tally.own_total / tally.own / 1000 if tally.own else 0.0,
        notes=list(_notes(unseen)),
    )


def _notes(unseen: Unseen) -> Iterator[str]:
    yield UNSEEN.format(unseen.least / 1000)
    if unseen.mean - unseen.least >= NOTABLE:
        yield WAITS.format(milliseconds((unseen.mean - unseen.least) / 1000))
    if unseen.unknown:
        yield unseen.unknown


def _curve(
    whole: Sequence[Group], behind: Sequence[Group] | None, total: Clock, upstream: Clock
) -> list[tuple[float, float, float | None]]:
    told = curve(whole, behind, total, upstream)
    return [(q, here / 1000, None if there is None else there / 1000) for q, here, there in told]


def _whole_only(groups: list[Group], total: Clock, *, cannot_tell: str, do: str) -> Split:
    return Split(
        requests=sum(group.count for group in groups),
        quantiles=[Quantile(q=q, total=time / 1000) for q, time in whole_times(groups, total)],
        cannot_tell=cannot_tell,
        do=do,
        curve=_curve(groups, None, total, total),
        resolution=total.tick / 1000,
    )


def _quantile(told: Share, unseen: Unseen) -> Quantile:
    if told.share.width > WIDEST:
        waits = unseen.waits and told.open > told.share.width / 2
        why = "waits that are not in the log" if waits else "too few requests"
        return Quantile(q=told.q, total=told.total / 1000, cannot_tell=f"within 20 points: {why}")
    return Quantile(
        q=told.q,
        total=told.total / 1000,
        upstream=told.upstream / 1000,
        win=_range(told.win, 1000),
        share=_range(told.share),
    )


def _range(told: Interval, divisor: float = 1.0) -> Range:
    return Range(told.value / divisor, told.low / divisor, told.high / divisor)


def _coarsest(clocks: list[Clock]) -> Clock:
    return max(clocks, default=EXACT, key=lambda clock: (clock.tick, clock.phased, clock.unseen))
