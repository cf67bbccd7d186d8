"""Formats of access logs (nginx's `$name`, gunicorn's `%(x)s`, Apache's `%x`) and what reads their lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from tetrapylon.assess.logs.times import MICROSECONDS, duration, moment_of, upstream_duration
from tetrapylon.errors import UsageError

__all__ = ["ABSENT", "PRESETS", "Clock", "Field", "Format", "Line", "compile_format", "role_of"]

ABSENT = -2
"""Stands for a time that the format does not have."""


class Line(NamedTuple):
    """What a line says. Times in microseconds, the moment in seconds since 1970 or None."""

    moment: float | None
    total: int
    upstream: int
    status: int


class Clock(NamedTuple):
    """How a duration was measured. `tick`: its resolution in microseconds.

    `phased`: it is the difference of two readings that were each cut to a tick, as nginx does, so that the
    truth lies up to a tick to either side; else a difference that was cut once, so that it lies above.
    `unseen`: how many microseconds more users may wait, since it begins once the first byte was read and ends
    with the last one written; gunicorn's with the call of the app, so that what it does itself is not in it.
    """

    tick: int
    phased: bool = False
    unseen: int = 500

    @property
    def is_of_the_app(self) -> bool:
        """Whether it begins with the call of the app, once a worker was free."""
        return self.unseen >= APP_ONLY


EXACT = Clock(1)
NGINX = Clock(1_000, phased=True)
APP_ONLY = 4_000
"""What gunicorn takes for itself: about 1 ms on an idle core, several on a busy one."""


class Field(NamedTuple):
    """What a variable is: its role, what it looks like, its unit in microseconds, its clock."""

    role: str
    pattern: str
    unit: int = 0
    clock: Clock = EXACT


class Format(NamedTuple):
    """`text` is the format as its server would write it; `read` gives None for a line that is not of it."""

    name: str
    text: str
    total: Clock | None
    upstream: Clock | None
    read: Callable[[bytes], Line | None]


CLF = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
ISO = r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)?"
DECIMAL = r"-|\d+(?:[.,]\d+)?"
LIST = r"[-\d][-\d.,: ]*?"
STATUS = Field("status", r"\d{3}|-")

NAMED = {
    "time_local": Field("clf", CLF),
    "time_iso8601": Field("iso", ISO),
    "msec": Field("epoch", r"\d+\.\d+"),
    "status": STATUS,
    "request_time": Field("total", DECIMAL, MICROSECONDS["s"], NGINX),
    "upstream_response_time": Field("upstream", LIST, MICROSECONDS["s"], NGINX),
}
GUNICORN = {
    "t": Field("clf", rf"\[{CLF}\]"),
    "s": STATUS,
    "D": Field("total", r"-|\d+", 1, Clock(1, unseen=APP_ONLY)),
    "L": Field("total", DECIMAL, MICROSECONDS["s"], Clock(1, unseen=APP_ONLY)),
    "M": Field("total", r"-|\d+", MICROSECONDS["ms"], Clock(1_000, unseen=APP_ONLY)),
    "T": Field("total", r"-|\d+", MICROSECONDS["s"], Clock(1_000_000, unseen=APP_ONLY)),
}
APACHE = {
    "t": GUNICORN["t"],
    "s": STATUS,
    "D": Field("total", r"-|\d+", 1),
    "T": Field("total", r"-|\d+", MICROSECONDS["s"], Clock(1_000_000)),
    "{us}T": Field("total", r"-|\d+", 1),
    "{ms}T": Field("total", r"-|\d+", MICROSECONDS["ms"], Clock(1_000)),
    "{s}T": Field("total", r"-|\d+", MICROSECONDS["s"], Clock(1_000_000)),
}
# A measured upstream time that a team's own code puts into a header or an environment variable.
OWN = re.compile(r"upstream\w*?_(us|ms|s)", re.I)

# Variables of nginx's that hold several values with spaces between them: of several upstreams, in a grammar
# that cannot be split in two ways; of what clients send, anything.
UPSTREAMS = r"[^\s,]*(?:(?:, | : )[^\s,]+)*"
SPACED = ("http_x_forwarded", "proxy_add_x_forwarded", "remote_user")
"""A user's name is what the client says, whether or not it was checked."""
SPACED_ELSEWHERE = ("u", "l")

NGINX_START = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
AGENTS = ' "$http_referer" "$http_user_agent"'
APACHE_START = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
GUNICORN_START = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
PRESETS = {
    "combined": NGINX_START + AGENTS,
    "nginx": NGINX_START + AGENTS + " $request_time $upstream_response_time",
    "gunicorn": GUNICORN_START + " %(D)s",
    "apache": APACHE_START + " %D",
}

VARIABLE = re.compile(
    r"\$\{(?P<braced>\w+)\}|\$(?P<nginx>\w+)|%\((?P<gunicorn>(?:\{[^}]+\})?[\w-]+)\)s"
    r"|%[!,<>\d]*(?P<apache>(?:\{[^}]*\})?[a-zA-Z])"
)


def role_of(name: str) -> Field | None:
    """What an upstream time of the team's own is, from its name: `upstream_us`, `X-Upstream-Time-Ms`."""
    found = OWN.search(name.replace("-", "_"))
    if found is None or not name.replace("-", "_").lower().endswith(found[0].lower()):
        return None
    unit = MICROSECONDS[found[1].lower()]
    # Seconds and milliseconds are taken to have decimals down to the microsecond, or the clock to be coarser.
    return Field("upstream", LIST, unit, Clock(1 if unit == MICROSECONDS["s"] else unit))


@lru_cache(64)
def compile_format(text: str, name: str = "") -> Format:
    """A format as nginx, gunicorn or Apache take it, or the name of one in `PRESETS`. Raises UsageError."""
    if text in PRESETS:
        name, text = text, PRESETS[text]
    pieces: list[str] = []
    fields: dict[str, Field] = {}
    end = 0
    variables = list(VARIABLE.finditer(text))
    if not variables:
        close = f"; expected a format or one of {', '.join(PRESETS)}" if text.isalnum() else ""
        raise UsageError(f"--log-format: there is no variable in {text!r}{close}")
    for index, found in enumerate(variables):
        pieces.append(re.escape(text[end : found.start()]))
        end = found.end()
        after = text[end : variables[index + 1].start()] if index + 1 < len(variables) else text[end:]
        if not after and index + 1 < len(variables):
            raise UsageError(
                f"--log-format: nothing stands between {found[0]} and {variables[index + 1][0]},"
                " so that a line cannot be split there"
            )
        field = _field(found)
        if field is None:
            pieces.append(_anything(found, after, quoted=text[: found.start()].endswith('"')))
            continue
        role = "moment" if field.role in ("clf", "iso", "epoch") else field.role
        known = fields.get(role)
        if known is not None and known.clock.tick <= field.clock.tick:
            pieces.append(f"(?:{field.pattern})")
            continue
        if known is not None:  # the finer clock is the one to read
            pieces = [piece.replace(f"(?P<{role}>", "(?:") for piece in pieces]
        fields[role] = field
        pieces.append(f"(?P<{role}>{field.pattern})")
    pieces.append(re.escape(text[end:]))
    return Format(
        name or text,
        text,
        fields["total"].clock if "total" in fields else None,
        fields["upstream"].clock if "upstream" in fields else None,
        _reader(re.compile("".join(pieces).encode(), re.S), fields),
    )


def _field(found: re.Match[str]) -> Field | None:
    if (name := found["gunicorn"]) is not None:
        return role_of(name[1 : name.index("}")]) if name.startswith("{") else GUNICORN.get(name)
    if (name := found["apache"]) is not None:
        if name in APACHE or not name.startswith("{"):
            return APACHE.get(name)
        return role_of(name[1 : name.index("}")])
    name = found["braced"] or found["nginx"]
    return NAMED.get(name) or role_of(name)


def _anything(found: re.Match[str], after: str, *, quoted: bool) -> str:
    """What an unknown variable may hold: all up to the literal that follows it."""
    if quoted and after.startswith('"'):
        return r'[^"\\]*(?:\\.[^"\\]*)*'
    if not after:
        return ".*"
    nginx, other = found["braced"] or found["nginx"] or "", found["gunicorn"] or found["apache"]
    if nginx.startswith("upstream_"):
        return UPSTREAMS
    if nginx.startswith(SPACED) or other in SPACED_ELSEWHERE:
        return ".*?"
    return f"[^{re.escape(after[0])}]*" if after[0] in " \t]|;," else ".*?"


def _reader(pattern: re.Pattern[bytes], fields: dict[str, Field]) -> Callable[[bytes], Line | None]:
    """Made once per format: what it lacks costs nothing per line."""
    match = pattern.fullmatch
    roles = list(pattern.groupindex)
    order = tuple(pattern.groupindex[role] for role in roles)
    moment = fields.get("moment")
    read_moment = None if moment is None else moment_of(moment.role)
    total_unit = fields["total"].unit if "total" in fields else 0
    upstream_unit = fields["upstream"].unit if "upstream" in fields else 0
    at = {role: order.index(pattern.groupindex[role]) for role in roles}
    moment_at, total_at = at.get("moment", -1), at.get("total", -1)
    upstream_at, status_at = at.get("upstream", -1), at.get("status", -1)

    def read(line: bytes) -> Line | None:
        found = match(line)
        if found is None:
            return None
        groups = found.groups()
        try:
            when = None if read_moment is None else read_moment(groups[moment_at].strip(b"[]"))
            total = ABSENT
            if total_at >= 0:
                text = groups[total_at]
                total = ABSENT if text == b"-" else duration(text, total_unit)
            upstream = ABSENT if upstream_at < 0 else upstream_duration(groups[upstream_at], upstream_unit)
            status = groups[status_at] if status_at >= 0 else b"-"
            return Line(when, total, upstream, 0 if status == b"-" else int(status))
        except ValueError:
            return None

    return read
