"""What an assessment says, as data: the JSON output, and what text and page are made from."""

from __future__ import annotations

from msgspec import Struct

__all__ = [
    "Answer",
    "Arrival",
    "Assessment",
    "Costs",
    "Language",
    "Limits",
    "Load",
    "Log",
    "Option",
    "Quantile",
    "Range",
    "Split",
    "Team",
    "Trend",
    "Verdict",
]


class Range(Struct, frozen=True):
    """A value with its 99% interval."""

    value: float
    low: float
    high: float


class Log(Struct, frozen=True, kw_only=True):
    """What was read. `formats`: each with its lines; times in seconds since 1970."""

    files: list[str]
    requests: int
    formats: dict[str, int]
    begins: float | None
    ends: float | None
    without_times: int
    broken: int
    broken_at: list[str]
    impossible: int
    clock_jumps: int
    closed_by_client: int
    upgraded: int
    dropped: int
    notes: list[str]


class Quantile(Struct, frozen=True, kw_only=True):
    """Milliseconds; `share` from 0 to 1. `upstream`, `win` and `share` are None where they cannot be told.

    `win` is what a gateway that took no time at all would win. `cannot_tell`: why they are withheld.
    """

    q: float
    total: float
    upstream: float | None = None
    win: Range | None = None
    share: Range | None = None
    cannot_tell: str = ""


class Split(Struct, frozen=True, kw_only=True):
    """How users' time divides between gateway and upstreams, of the requests that reached one.

    `cannot_tell` says why there is no share, and `do` what would give one. `resolution` is that of the log's
    clock in milliseconds. `curve`: quantiles with both times, for a plot. `answered_alone`: requests that no
    upstream saw, whose time is all the gateway's.
    """

    requests: int
    quantiles: list[Quantile]
    all_time: Range | None = None
    cannot_tell: str = ""
    do: str = ""
    curve: list[tuple[float, float, float | None]] = []
    resolution: float = 0.0
    answered_alone: int = 0
    answered_alone_ms: float = 0.0
    notes: list[str] = []


class Load(Struct, frozen=True, kw_only=True):
    """Traffic. Rates in requests a second; peaks are of the busiest window; `peak_at` since 1970. What is met
    is a mean over requests of what each finds in its second, so that busy seconds count for more.

    `concurrency`: requests under way, by Little's law. `own_ms`: the gateway's own time to a request; `calm`
    in the calmer half of the windows, `pressed` in the busiest tenth. `errors`: the share of 5xx.
    """

    window_s: int
    rate: float
    peak_rate: float
    peak_at: float
    met_rate: float
    concurrency: float
    met_concurrency: float
    peak_concurrency: float
    request_ms: float
    own_ms: float | None
    own_ms_calm: float | None
    own_ms_pressed: float | None
    errors: float
    series: list[tuple[float, float]]


class Trend(Struct, frozen=True):
    """Growth of traffic by month, as a share, with a 95% interval."""

    weeks: int
    monthly: float
    low: float
    high: float


class Arrival(Struct, frozen=True, kw_only=True):
    """In how many months growth meets the limit; None for not within ten years."""

    months: float | None
    soonest: float | None
    latest: float | None
    growth: float
    source: str


class Limits(Struct, frozen=True, kw_only=True):
    """How far the limit is. Utilisations from 0 to 1 in the busiest window; `headroom`s by how much traffic
    may grow. `slots` are requests that it can take at once. `cpu_is_bound`: `cpu_ms` is all of the gateway's
    own time, so that its CPU time is not more.
    """

    slots: int | None
    slots_from: str
    utilisation: float | None
    wait_ms: float | None
    slots_headroom: float | None
    cpu_ms: float | None
    cpu_is_bound: bool
    cpu_utilisation: float | None
    cpu_headroom: float | None
    headroom: float | None
    arrival: Arrival | None
    trend: Trend | None
    no_trend: str
    notes: list[str]


class Option(Struct, frozen=True, kw_only=True):
    """What one gateway needs. Money by month; ranges where figures were measured; None where not known."""

    name: str
    title: str
    written_in: str
    cpu_ms: Range | None
    cores: float | None
    memory_gb: float | None
    money: float | None
    saves: float | None
    pays_back_months: float | None


class Costs(Struct, frozen=True, kw_only=True):
    """Now, what the same traffic needs of the present gateway, and of each that was measured."""

    present: str
    now: Option
    needed: Option | None
    options: list[Option]
    source: str
    cpu_is_bound: bool
    notes: list[str]


class Language(Struct, frozen=True, kw_only=True):
    """`share` of the code's bytes; `authors` who changed files in it within a year, `first` as of `Team`."""

    name: str
    share: float
    authors: int
    first: float


class Team(Struct, frozen=True, kw_only=True):
    """Of the last year. `first`: the share of commits of who made most."""

    repositories: list[str]
    since: float
    commits: int
    authors: int
    first: float
    first_name: str
    robots: int
    languages: list[Language]
    notes: list[str]


class Answer(Struct, frozen=True, kw_only=True):
    """`answer`: yes, no, perhaps, or cannot tell."""

    question: str
    answer: str
    because: list[str]


class Verdict(Struct, frozen=True, kw_only=True):
    """`advice`: leave it alone, change it, relieve it, or find out first."""

    advice: str
    why: str
    answers: list[Answer]
    unsure: list[str]


class Assessment(Struct, kw_only=True):
    """What could not be looked at, for want of logs or repositories, is None."""

    log: Log | None = None
    upstream_log: Log | None = None
    split: Split | None = None
    load: Load | None = None
    limits: Limits | None = None
    costs: Costs | None = None
    team: Team | None = None
    verdict: Verdict | None = None
