"""An assessment as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tetrapylon.assess.result import Assessment, Costs, Limits, Load, Log, Split, Team, Verdict
from tetrapylon.assess.wording import (
    day,
    gigabytes,
    harmless,
    milliseconds,
    number,
    percent,
    points,
    several,
)

__all__ = ["cost_rows", "load_lines", "log_lines", "split_notes", "split_rows", "team_lines", "to_text"]

WIDTH = 100


def to_text(told: Assessment) -> str:
    parts: list[list[str]] = []
    if told.log is not None:
        parts.append([*log_lines(told.log), *(log_lines(told.upstream_log) if told.upstream_log else ())])
    if told.split is not None:
        parts.append(list(_split(told.split)))
    if told.load is not None:
        parts.append(["Load and limits", *_wrapped(load_lines(told.load, told.limits))])
    if told.costs is not None:
        parts.append(list(_costs(told.costs)))
    if told.team is not None:
        parts.append(["Who knows the code", *_wrapped(team_lines(told.team))])
    if told.verdict is not None:
        parts.append(list(_verdict(told.verdict)))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def log_lines(log: Log) -> Iterator[str]:
    """What was read, and what of it could not be."""
    names = ", ".join(harmless(name) for name in log.files)
    when = f", {day(log.begins)} to {day(log.ends)} UTC" if log.begins and log.ends else ""
    yield f"{names}: {several(log.requests, 'request')}{when}"
    for name, count in log.formats.items():
        yield f"  {several(count, 'line')} as {harmless(name, 200)}"
    if log.broken:
        some = ", ".join(harmless(place) for place in log.broken_at)
        more = ", ..." if log.broken > len(log.broken_at) else ""
        yield f"  {several(log.broken, 'broken line was', 'broken lines were')} skipped ({some}{more})"
    for count, what in (
        (log.without_times, "without a time"),
        (log.impossible, "whose upstreams took longer than the whole: skipped"),
        (log.closed_by_client, "that the client gave up: left out"),
        (log.upgraded, "that became WebSockets or the like: left out"),
        (log.dropped, "that the gateway could not log"),
    ):
        if count:
            yield f"  {several(count, 'request')} {what}"
    if log.clock_jumps:
        yield f"  the clock went back {several(log.clock_jumps, 'time')}"
    yield from (f"  {harmless(note, 200)}" for note in log.notes)


def _split(split: Split) -> Iterator[str]:
    yield "The gateway's own part of users' time, with 99% intervals"
    if split.quantiles:
        yield from columns(split_rows(split))
    yield from _wrapped(split_notes(split))


def split_rows(split: Split) -> list[tuple[str, ...]]:
    """A table, its head first."""
    rows: list[tuple[str, ...]] = [("", "whole time", "upstreams", "its own", "share")]
    for each in split.quantiles:
        name = f"p{100 * each.q:g}"
        if each.share is None or each.upstream is None or each.win is None:
            why = f"cannot tell {each.cannot_tell}" if each.cannot_tell else "-"
            rows.append((name, milliseconds(each.total), "-", "-", why))
        else:
            times = (each.total, each.upstream, each.win.value)
            rows.append((name, *map(milliseconds, times), points(each.share)))
    if split.all_time:
        rows.append(("all", "", "", "", points(split.all_time)))
    return rows


def split_notes(split: Split) -> Iterator[str]:
    if split.cannot_tell:
        yield f"cannot tell from these logs: {split.cannot_tell}"
        if split.do:
            yield f"to know: {split.do}"
    elif split.quantiles:
        yield "What is its own is the most that any faster gateway could win."
    if split.answered_alone:
        share = split.answered_alone / (split.answered_alone + split.requests)
        yield (
            f"{several(split.answered_alone, 'request')} ({percent(share)}) reached no upstream:"
            f" {milliseconds(split.answered_alone_ms)} each, all of it the gateway's"
        )
    if split.resolution >= 1:
        yield f"The log's clock is of {split.resolution:g} ms; intervals allow for it."
    yield from split.notes


def load_lines(load: Load, limits: Limits | None) -> Iterator[str]:
    per = "minute" if load.window_s == 60 else f"{load.window_s // 60} minutes"
    yield (
        f"{number(load.rate)} requests a second on average, {number(load.peak_rate)} in the busiest {per}"
        f" ({day(load.peak_at)} UTC)"
    )
    yield (
        f"{number(load.concurrency)} under way on average, {number(load.peak_concurrency)} in the fullest"
        f" {per} (Little's law)"
    )
    if limits is None:
        return
    if limits.slots is not None and limits.utilisation is not None:
        source = f" ({harmless(limits.slots_from)})" if limits.slots_from else ""
        wait = "a wait without bound" if limits.wait_ms is None else "no wait to speak of"
        if limits.wait_ms is not None and limits.wait_ms >= 0.1:
            wait = f"a mean wait of {milliseconds(limits.wait_ms)}"
        yield (
            f"{limits.slots:,} can be under way at once{source}: {percent(limits.utilisation)} of them are in"
            f" the fullest {per}, with {wait}"
        )
    if limits.cpu_ms is not None:
        bound = "at most " if limits.cpu_is_bound else ""
        use = (
            ""
            if limits.cpu_utilisation is None
            else f", {bound}{percent(limits.cpu_utilisation)} of its cores"
        )
        yield f"CPU time to a request: {bound}{milliseconds(limits.cpu_ms)}{use} at the peak"
    if limits.headroom is not None:
        yield f"The limit is at {number(limits.headroom)} times today's traffic"
    if limits.arrival is not None:
        months = limits.arrival.months
        when = "not within ten years" if months is None else f"in {number(months)} months"
        growth = f"{percent(limits.arrival.growth)} a month ({limits.arrival.source})"
        yield f"Growth of {growth} gets there {when}"
    if limits.trend is not None:
        told = limits.trend
        yield (
            f"Trend over {told.weeks} weeks: {percent(told.monthly)} a month"
            f" ({percent(told.low)} to {percent(told.high)}, 95%)"
        )
    elif limits.no_trend:
        yield f"No trend: {limits.no_trend}"
    yield from (f"cannot tell: {note}" for note in limits.notes)


def _costs(costs: Costs) -> Iterator[str]:
    title = f"Cores, memory and money by month, the present one being like {costs.present}"
    yield title if costs.present else "Cores, memory and money by month"
    yield from columns(cost_rows(costs))
    yield from _wrapped([*costs.notes, *([f"Figures: {costs.source}"] if costs.options else [])])


def cost_rows(costs: Costs) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "CPU a request", "cores", "memory", "money", "saves", "written in")]
    for each in (costs.now, *([costs.needed] if costs.needed else []), *costs.options):
        bound = "<= " if costs.cpu_is_bound else ""
        rows.append(
            (
                each.title,
                "-" if each.cpu_ms is None else bound + milliseconds(each.cpu_ms.value),
                "-" if each.cores is None else number(each.cores),
                "-" if each.memory_gb is None else gigabytes(each.memory_gb),
                "-" if each.money is None else number(each.money),
                "-" if each.saves is None else number(each.saves),
                each.written_in,
            )
        )
    return rows


def team_lines(team: Team) -> Iterator[str]:
    robots = f" (and {several(team.robots, 'commit')} by robots)" if team.robots else ""
    yield f"{several(team.authors, 'author')} of {several(team.commits, 'commit')} within a year{robots}"
    if team.authors:
        yield f"{harmless(team.first_name)} made {percent(team.first)} of them"
    for each in team.languages:
        first = f", the first of them {percent(each.first)} of its commits" if each.authors else ""
        yield f"{each.name}: {percent(each.share)} of the code, {several(each.authors, 'author')}{first}"
    yield from (harmless(note, 200) for note in team.notes)


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield f"Verdict: {verdict.advice}"
    yield from _wrapped([verdict.why])
    for each in verdict.answers:
        yield ""
        yield f"{each.question} {each.answer[0].upper()}{each.answer[1:]}."
        yield from _wrapped(f"- {harmless(reason, 1000)}" for reason in each.because)
    if verdict.unsure:
        yield ""
        yield "How sure is this?"
        yield from _wrapped(f"- {each}" for each in verdict.unsure)


def _wrapped(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    for line in lines:
        hang = "    " if line.startswith("- ") else "  "
        yield from textwrap.wrap(
            line, WIDTH, initial_indent="  ", subsequent_indent=hang, break_on_hyphens=False
        )


def columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()
