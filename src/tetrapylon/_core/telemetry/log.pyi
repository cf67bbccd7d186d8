"""The access log: a line a request, written in batches and never waited for."""

import os
from collections.abc import Callable
from typing import Protocol, Self, final

from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.telemetry.log_line import LineFormat

class _Datagrams(Protocol):
    """Where lines go as datagrams: syslog."""

    def open(self) -> int:
        """Connects, anew if need be, and returns the descriptor. Raises OSError."""
    def prefix(self) -> bytes:
        """What stands before a line now."""
    def close(self) -> None: ...

@final
class AccessLog:
    """Writes to a file that it appends to, or to a descriptor (`1` or `"-"` is standard output).

    By default a line is one JSON object of at most 4096 bytes, valid UTF-8, with `time` (RFC 3339, UTC,
    milliseconds; the request's end), `client`, `consumer`, `method`, `host`, `target`, `protocol`, `route`,
    `status`, `bytes_in`, `bytes_out`, `duration_us`, `gateway_us`, `upstream_us`, `client_us`, `upstream`,
    `resend_count`, `user_agent`, `referer`, `request_id`, `error`. A text that is not known is left out,
    `client_us` where nobody waited for it, `resend_count` where the first try did; a text that is too long
    ends in U+2026; bytes that are not UTF-8 become U+FFFD; control characters are escaped, those of terminals
    included.

    Lines wait in memory, `limit` bytes at most. What finds no room is dropped and counted, and once lines
    flow again one of them says how many are missing: `{"time":...,"dropped":N}`. Files are written 64 KiB at
    a time. Pipes, sockets and terminals take whole lines, 4096 bytes at a time, so that lines of several
    processes stay apart (pipe(7), PIPE_BUF), and are left alone while they are full.
    """

    def __new__(
        cls,
        target: int | str | os.PathLike[str] | _Datagrams,
        *,
        format: LineFormat | None = None,
        sample: float = 1.0,
        limit: int = 1048576,
        on_error: Callable[[OSError], object] | None = None,
        on_drops: Callable[[int], object] | None = None,
        on_recovery: Callable[[], object] | None = None,
        slab: Slab | None = None,
    ) -> Self:
        """`sample` is the share of lines to write; those of status 500 and above or of the gateway's own
        failures are always written. `on_error` is told of the first write that fails after one that did
        not; without it standard error is. `on_recovery` is called at the first that succeeds after one that
        did not. `on_drops` is told how many lines are missing where the format has no line that says so.
        Drops are counted in `slab` as well.

        A file that was removed is opened anew, once a second until that succeeds.

        Raises OSError for a target that cannot be opened, ValueError for a share or limit out of range.
        """
    @property
    def path(self) -> str | None: ...
    @property
    def format(self) -> LineFormat: ...
    @property
    def lines(self) -> int:
        """Encoded so far, those still waiting included."""
    @property
    def dropped(self) -> int:
        """Lines that found no room, or that `close` could not get rid of."""
    @property
    def errors(self) -> int:
        """Writes that failed."""
    @property
    def pending(self) -> int:
        """Bytes that wait."""
    def log(
        self,
        *,
        status: int = 200,
        time_ns: int = 0,
        duration_us: int = 0,
        gateway_us: int = 0,
        upstream_us: int = 0,
        client_us: int = 0,
        resend_count: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        failed: bool = False,
        client: str | bytes | None = None,
        consumer: str | bytes | None = None,
        method: str | bytes | None = None,
        host: str | bytes | None = None,
        target: str | bytes | None = None,
        protocol: str | bytes | None = None,
        route: str | bytes | None = None,
        upstream: str | bytes | None = None,
        user_agent: str | bytes | None = None,
        referer: str | bytes | None = None,
        request_id: str | bytes | None = None,
        error: str | bytes | None = None,
    ) -> None:
        """One line. `time_ns` counts from 1970, 0 is now; `failed`: it is the gateway's own failure."""
    def flush(self) -> None:
        """Writes what can be written without waiting; to be called a few times a second."""
    def reopen(self) -> None:
        """Opens the path anew, after it was moved away; without effect for a descriptor.

        Raises OSError if that fails; the old file then stays in use.
        """
    def close(self, wait: float = 1.0) -> None:
        """Writes what is left, waiting at most so many seconds for a slow reader. Later lines are dropped."""
