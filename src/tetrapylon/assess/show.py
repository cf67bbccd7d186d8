"""An assessment as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tetrapylon.assess.result import Assessment, Log, Split
from tetrapylon.assess.words import day, harmless, milliseconds, percent, points, several

__all__ = ["log_lines", "to_text"]


def to_text(told: Assessment) -> str:
    parts: list[list[str]] = []
    if told.log is not None:
        parts.append([*log_lines(told.log), *(log_lines(told.upstream_log) if told.upstream_log else ())])
    if told.split is not None:
        parts.append(list(_split(told.split)))
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
    if split.cannot_tell:
        yield f"  cannot tell from these logs: {split.cannot_tell}"
        if split.do:
            yield f"  to know: {split.do}"
    if split.quantiles:
        rows: list[tuple[str, ...]] = [("", "whole time", "upstreams", "its own", "share")]
        for each in split.quantiles:
            name = f"p{100 * each.q:g}"
            if each.share is None or each.upstream is None or each.win is None:
                why = "-" if split.cannot_tell else "cannot tell within 20 points: too few requests"
                rows.append((name, milliseconds(each.total), "-", "-", why))
            else:
                times = (each.total, each.upstream, each.win.value)
                rows.append((name, *map(milliseconds, times), points(each.share)))
        if split.all_time:
            rows.append(("all", "", "", "", points(split.all_time)))
        yield from columns(rows)
        if not split.cannot_tell:
            yield "  What is its own is the most that any faster gateway could win."
    if split.answered_alone:
        share = split.answered_alone / (split.answered_alone + split.requests)
        yield (
            f"  {several(split.answered_alone, 'request')} ({percent(share)}) reached no upstream:"
            f" {milliseconds(split.answered_alone_ms)} each, all of it the gateway's"
        )
    if split.resolution >= 1:
        yield f"  The log's clock is of {split.resolution:g} ms; the intervals allow for it."
    yield from (f"  {note}" for note in split.notes)


def columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()
