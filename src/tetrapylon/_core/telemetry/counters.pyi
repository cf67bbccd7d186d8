"""Counters and histograms in shared memory, one slab a worker, summed on request; times in nanoseconds."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import ClassVar, Final, Self, TypedDict, final, type_check_only

from tetrapylon._core.shared.amounts import Amounts
from tetrapylon._core.shared.board import Board
from tetrapylon._core.shared.marks import Marks
from tetrapylon._core.shared.moves import Moves
from tetrapylon._core.shared.segment import Segment
from tetrapylon._core.shared.series import Series

METHOD_NAMES: Final[tuple[str, ...]]
"""What `Totals.by_method` is by: `_OTHER` and OpenTelemetry's known methods."""
OUTCOME_NAMES: Final[tuple[str, ...]]
"""What `RouteCounts["durations"]` is indexed by: aborted, 1xx ... 5xx."""
REJECT_NAMES: Final[tuple[str, ...]]
"""Lower-case names of `Reject`, in order."""
DURATION_BOUNDS: Final[tuple[float, ...]]
"""Upper bounds of request durations unless others are set, in seconds: OpenTelemetry's advice for
http.server.request.duration."""
SHARE_BOUNDS: Final[tuple[float, ...]]
"""Likewise of the gateway's own share of a request and of loop lag."""
MOST_BOUNDS: Final[int]
"""As many as a histogram has room for."""

def set_bounds(durations: Sequence[float], shares: Sequence[float]) -> None:
    """The upper bounds, in seconds, of all histograms: to be set before anything is counted and the workers
    are forked, for the counts do not tell by which bounds they were made.

    Raises ValueError for none, for more than MOST_BOUNDS, and where they do not rise by a nanosecond.
    """

class State(IntEnum):
    """What a worker is doing, as it says itself."""

    VACANT = 0
    STARTING = 1
    SERVING = 2
    DRAINING = 3

class Reject(IntEnum):
    """Why the gateway itself refused a request or a connection."""

    MALFORMED = 0
    TARGET_TOO_LONG = 1
    HEAD_TOO_LARGE = 2
    BODY_TOO_LARGE = 3
    HEAD_TIMEOUT = 4
    BODY_TIMEOUT = 5
    VERSION = 6
    EXPECTATION = 7
    LOOP = 8
    NOT_FOUND = 9
    METHOD = 10
    CONNECTION_LIMIT = 11
    UPSTREAM_CONNECT = 12
    UPSTREAM_RESPONSE = 13
    UPSTREAM_TIMEOUT = 14
    NO_TARGET = 15
    POOL_FULL = 16
    DRAINING_NOW = 17
    POLICY = 18
    INTERNAL = 19
    CLIENT_CONNECTION_LIMIT = 20
    PROXY_HEADER = 21
    TLS_HANDSHAKE = 22
    TLS_ABSENT = 23
    TLS_UNEXPECTED = 24
    CIRCUIT_OPEN = 25
    SHED = 26

@type_check_only
class HistogramCounts(TypedDict):
    buckets: list[int]  # not cumulative; the last is above every bound
    sum_ns: int

@type_check_only
class RouteCounts(TypedDict):
    durations: list[HistogramCounts]  # by OUTCOME_NAMES, of all methods
    gateway: HistogramCounts
    upstream_ns: int
    bytes_in: int
    bytes_out: int
    in_flight: int  # now

@type_check_only
class UpstreamCounts(TypedDict):
    connect: HistogramCounts  # until a connection is open, its TLS handshake included
    first_byte: HistogramCounts  # from the request handed over to the response's first byte
    total: HistogramCounts  # and to its last; of responses that came whole
    connections: int  # now, idle ones included
    idle: int
    waiting: int  # requests in the queue

@type_check_only
class GaugeCounts(TypedDict):
    pid: int
    state: int
    heartbeat_ns: int
    started_ns: int
    connections: int
    exchanges: int
    tunnels: int

@type_check_only
class WorkerCounts(TypedDict):
    now: GaugeCounts
    accepted: int
    rejects: list[int]
    upstream_connects: int
    upstream_connect_failures: int
    upstream_reuses: int
    upstream_replays: int
    late_resumes: int
    log_drops: int
    restarts: int
    durations: int  # how many methods of routes have histograms; for the slabs' own books
    lag: HistogramCounts

@final
class Slabs(Segment):
    """All that the processes of a gateway share; by itself the slabs, one for each of `workers` workers and
    one for the supervisor, each with room for `routes` routes.

    With the `descriptors` of another process's it goes on with these, and they stay the caller's. Raises
    ValueError for impossible counts, ValueError and OSError as Segment does, other bounds among the reasons.
    """

    states: ClassVar[tuple[State, ...]]
    outcome_names: ClassVar[tuple[str, ...]]
    method_names: ClassVar[tuple[str, ...]]

    workers: Final[int]
    routes: Final[int]
    amounts: Final[Amounts]
    """What policies count by key."""
    series: Final[Series]
    upstreams: Final[Series]
    """`upstream_counts` reads it."""
    board: Final[Board]
    marks: Final[Marks]
    """When what may be cached has changed."""
    moves: Final[Moves]
    """Routes on their way from one upstream to another."""

    def __new__(
        cls,
        workers: int,
        routes: int,
        descriptors: Sequence[int] | None = None,
    ) -> Self: ...
    @property
    def duration_bounds(self) -> tuple[float, ...]:
        """Upper bounds in force, in seconds, of requests' durations. Further buckets are not used."""

    @property
    def share_bounds(self) -> tuple[float, ...]:
        """Likewise of the gateway's own share and of loop lag."""

    def upstream_counts(self) -> list[tuple[str, UpstreamCounts]]:
        """The sums over all workers of each upstream that was ever asked, by name; "" is of all those
        for which there was no room."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Of all segments, in the order in which they are taken."""

    def close_descriptors(self) -> None:
        """In a process that never asks for totals. `Amounts.flights` keeps its own: the claim."""

    def slab(self, index: int) -> Slab:
        """The slab of one worker. Raises IndexError."""

    def supervisor(self) -> Slab:
        """The supervisor's own slab: its state and the restarts it made."""

    def totals(self) -> Totals:
        """A sum over all slabs. Raises ValueError once its descriptor is closed."""

@final
class Slab:
    """What one process writes; only its owner may, or the supervisor once the owner is dead."""

    index: Final[int]

    @property
    def board(self) -> Board: ...
    @property
    def moves(self) -> Moves: ...
    @property
    def state(self) -> int: ...
    @state.setter
    def state(self, value: int) -> None: ...
    @property
    def serving(self) -> bool: ...
    @property
    def draining(self) -> bool: ...
    @property
    def pid(self) -> int: ...
    @property
    def heartbeat_ns(self) -> int:
        """CLOCK_MONOTONIC at the last `beat`."""

    @property
    def started_ns(self) -> int: ...
    @property
    def amounts(self) -> Amounts:
        """What policies count by key, with all workers."""

    def claim(self, pid: int) -> None:
        """Starts a life in this slab: gauges cleared, counters kept."""

    def release(self) -> None:
        """Clears the gauges of a dead owner; those of routes only where the descriptor is open."""

    def beat(self) -> None: ...
    def counters(self) -> WorkerCounts: ...
    def observe_lag(self, seconds: float) -> None: ...
    def count(self, family: str, labels: dict[str, object], value: int = 1, *, gauge: bool = False) -> None:
        """Adds to this worker's word of a series; declare the family in `admin.metrics.FAMILIES`."""
    def count_restart(self) -> None: ...
    def count_accept(self) -> None: ...
    def count_reject(self, reason: Reject) -> None: ...
    def count_exchange(
        self,
        route: int,
        status: int,
        total_ns: int,
        gateway_ns: int,
        upstream_ns: int,
        bytes_in: int,
        bytes_out: int,
        method: bytes = b"GET",
    ) -> None:
        """One finished exchange; `route` -1 is "none matched", `status` 0 "cut short". Raises IndexError."""

    def observe_upstream(self, upstream: str, connect_ns: int, first_byte_ns: int, total_ns: int) -> None:
        """One connection opened, one request answered."""

@final
class Totals:
    """One moment's sums over all slabs."""

    routes: Final[int]

    def worker(self) -> WorkerCounts:
        """Sums over workers; of `now`, only the counts of connections and exchanges mean anything."""

    def rejects(self) -> dict[str, int]: ...
    def route(self, index: int) -> RouteCounts | None:
        """None when nothing was ever counted on it. Raises IndexError."""

    def unmatched(self) -> RouteCounts | None:
        """Requests that no route matched."""

    def rows(self, count: int) -> list[tuple[int, list[int], HistogramCounts, HistogramCounts]]:
        """Of the first `count` routes, and of -1, those that were ever asked for: their index, requests by
        OUTCOME_NAMES, durations of all outcomes together, and the gateway's own share. Raises IndexError."""

    def sum_routes(self, indices: Iterable[int]) -> RouteCounts | None:
        """Several routes in one, for those that share labels; -1 is "none matched". Raises IndexError."""

    def by_method(self, indices: Iterable[int]) -> list[tuple[int, list[HistogramCounts]]]:
        """Their durations by method, of those that were used: an index of METHOD_NAMES, and histograms by
        OUTCOME_NAMES. Raises IndexError."""
