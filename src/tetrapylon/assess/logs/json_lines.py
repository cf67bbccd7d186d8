"""Access logs of one JSON object a line: this gateway's own, and nginx's with `escape=json`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from tetrapylon.assess.logs.formats import ABSENT, NGINX, Clock, Format, Line
from tetrapylon.assess.logs.times import LONGEST, MICROSECONDS, NONE, duration, moment_of, upstream_duration

__all__ = ["OWN", "Dropped", "json_format"]

T = TypeVar("T")
STATUS = range(1000)


class Own(msgspec.Struct):
    """What is read of a line of this gateway's own."""

    time: str
    status: int = 0
    duration_us: int = ABSENT
    upstream_us: int = ABSENT
    client_us: int = 0
    upstream: str | None = None
    dropped: int = 0


class Dropped(Exception):
    """A line that stands for so many that the gateway could not write."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class Known(NamedTuple):
    unit: int
    clock: Clock


TOTALS = {
    "request_time": Known(MICROSECONDS["s"], NGINX),
    "duration_us": Known(1, Clock(1)),
    "request_time_us": Known(1, Clock(1)),
    "duration_ms": Known(MICROSECONDS["ms"], Clock(1_000)),
    "request_time_ms": Known(MICROSECONDS["ms"], Clock(1_000)),
}
UPSTREAMS = {
    "upstream_response_time": Known(MICROSECONDS["s"], NGINX),
    "upstream_us": Known(1, Clock(1)),
    "upstream_ms": Known(MICROSECONDS["ms"], Clock(1_000)),
}
MOMENTS = ("time", "timestamp", "time_iso8601", "time_local", "msec", "@timestamp", "ts")
STATUSES = ("status", "status_code", "response_status")


def _decoded(decode: Callable[[bytes], T], line: bytes) -> T:
    """Raises ValueError. nginx's `escape=json` leaves what clients send as it came, be it UTF-8 or not."""
    try:
        return decode(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except msgspec.DecodeError:
        if line.isascii():
            raise
        return decode(line.decode("utf-8", "replace").encode())


def _own() -> Format:
    decode = msgspec.json.Decoder(Own).decode
    moment = moment_of("iso")

    def read(line: bytes) -> Line | None:
        try:
            told = _decoded(decode, line)
            when = moment(told.time.encode("ascii"))
        except ValueError:
            return None
        if told.dropped:
            raise Dropped(told.dropped)
        if told.status not in STATUS:
            return None
        if not (0 <= told.duration_us <= LONGEST and 0 <= told.upstream_us <= LONGEST):
            return None
        upstream = NONE if told.upstream is None and not told.upstream_us else told.upstream_us
        # What the gateway waited for its client is nobody's who could be replaced.
        return Line(when, max(0, told.duration_us - max(0, told.client_us)), upstream, told.status)

    return Format("tetrapylon", "duration_us, upstream_us", Clock(1), Clock(1), read)


OWN = _own()


def json_format(line: bytes) -> Format | None:
    """The format that such a line shows; None if it is no JSON object."""
    try:
        told = _decoded(msgspec.json.decode, line)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    if {"duration_us", "gateway_us", "upstream_us"} <= told.keys():
        return OWN
    total = next((key for key in TOTALS if key in told), None)
    upstream = next((key for key in UPSTREAMS if key in told), None)
    moment = next((key for key in MOMENTS if key in told), None)
    status = next((key for key in STATUSES if key in told), None)
    return Format(
        "json",
        ", ".join(key for key in (moment, status, total, upstream) if key) or "no field of those known",
        TOTALS[total].clock if total else None,
        UPSTREAMS[upstream].clock if upstream else None,
        _reader(moment, status, total, upstream, told),
    )


def _reader(
    moment: str | None, status: str | None, total: str | None, upstream: str | None, sample: dict[str, Any]
) -> Callable[[bytes], Line | None]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    keys = [key for key in (moment, status, total, upstream) if key]
    read_moment = moment_of(_style(sample[moment])) if moment else None

    def read(line: bytes) -> Line | None:
        try:
            told = _decoded(decode, line)
            if any(key not in told for key in keys):
                return None
            when = read_moment(_text(told[moment])) if read_moment and moment else None
            whole = ABSENT
            if total and (text := _text(told[total])) not in (b"-", b""):
                whole = duration(text, TOTALS[total].unit)
            waited = ABSENT
            if upstream:
                waited = upstream_duration(_text(told[upstream]), UPSTREAMS[upstream].unit)
            code = int(told[status]) if status else 0
        except (ValueError, TypeError):
            return None
        return None if code not in STATUS else Line(when, whole, waited, code)

    return read


def _style(value: object) -> str:
    text = str(value)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return "epoch"
    return "clf" if "/" in text else "iso"


def _text(value: object) -> bytes:
    """As nginx would write it outside of JSON; null is a dash."""
    if value is None:
        return b"-"
    if isinstance(value, float):
        return f"{value:.6f}".encode()
    return str(value).encode("ascii", "replace")
