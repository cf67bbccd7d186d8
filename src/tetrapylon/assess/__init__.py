"""Is a gateway worth replacing? What its logs, its load and its code's history say, and how sure that is."""

from __future__ import annotations

from tetrapylon.assess.formats import Format, compile_format
from tetrapylon.assess.reading import Reading
from tetrapylon.assess.result import Assessment
from tetrapylon.assess.split import log_of, split, split_of_two, take
from tetrapylon.assess.tally import Tally
from tetrapylon.errors import TetrapylonError, UsageError

__all__ = ["Assessment", "assess"]


def assess(
    logs: list[str], *, upstream_logs: list[str] | None = None, log_format: str | None = None
) -> Assessment:
    """Raises UsageError for what cannot be read, TetrapylonError for logs without a request."""
    given = None if log_format is None else compile_format(log_format)
    if not upstream_logs:
        reading, tally = _read(logs, given, by_time=False)
        return Assessment(log=log_of(reading, tally), split=split(reading, tally))
    here, behind = _read(logs, given, by_time=True), _read(upstream_logs, None, by_time=True)
    return Assessment(log=log_of(*here), upstream_log=log_of(*behind), split=split_of_two(here, behind))


def _read(paths: list[str], given: Format | None, *, by_time: bool) -> tuple[Reading, Tally]:
    reading = Reading(paths, given)
    tally = take(reading, by_time=by_time)
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
