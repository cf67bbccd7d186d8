"""In an app's process: the app imported, and the host told of what becomes of it.

The host hears lines: `loaded PID` or `failed REASON`, `spent REASON` when another is to take this process's
place, `stuck WHAT` of a request that hangs, `hangs REASON` when the process does no more work, and `beats` as
long as Python runs here: code that never gives it back, a regular expression, say, stops all threads.
"""

from __future__ import annotations

import faulthandler
import os
import random
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from time import sleep
from typing import Any, NamedTuple
from urllib.parse import quote

from tetrapylon.code.load import load_object
from tetrapylon.errors import LoadError

__all__ = ["Chain", "Pulse", "Stuck", "load", "request_line", "unproxied"]

STATUS = "TETRAPYLON_APP_STATUS"
APP = "TETRAPYLON_APP"
STDERR = 2
"""The log hears it, whatever an app makes of `sys.stderr`."""
JITTER = 0.1
LONGEST_PATH = 200
LONGEST_REASON = 2000
PATIENCE = 5.0
"""Seconds by which a process may be late to say that Python runs: machines are busy at times."""
LOOKS = 4
"""At what goes on, within the time that it may stand still."""


def load() -> Any:
    """The app. Raises LoadError, or whatever a function raises that is to make it; the host is told of it."""
    reference = os.environ[APP]
    status = int(os.environ[STATUS])
    os.set_inheritable(status, False)
    try:
        app = load_object(reference.removesuffix("()"))
        if reference.endswith("()"):
            app = app()
        if not callable(app):
            raise LoadError(f"{reference} is of type {type(app).__name__}, which cannot be called")
    except Exception as error:
        tell(f"failed {' '.join(str(error).split())[:LONGEST_REASON] or type(error).__name__}")
        raise
    tell(f"loaded {os.getpid()}")
    return app


def tell(line: str) -> None:
    os.write(int(os.environ[STATUS]), f"{line}\n".encode(errors="backslashreplace"))


def request_line(method: str, path: bytes) -> str:
    """Of a request, for the log: without its query, and on one line."""
    return f"{quote(method)} {quote(path[:LONGEST_PATH])}"


class Stuck(NamedTuple):
    """A request that has stood still for the limit: nothing came of it, and it waits for nobody outside."""

    request: str
    where: str
    """Lines of its stack."""


class Pulse:
    """Counts requests, and sees when work no longer goes on.

    `limit`: seconds; `max_requests`: a tenth more or less. None: none.
    """

    def __init__(self, limit: float | None, max_requests: int | None) -> None:
        self.limit = limit
        self._left = max_requests
        if max_requests is not None:
            spread = max_requests * JITTER
            self._left = max(1, round(max_requests + random.uniform(-spread, spread)))

    def count(self) -> None:
        """A request has come."""
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                tell("spent has answered as many requests as `max_requests` says")

    def watch(
        self, silence: Callable[[], float], stuck: Callable[[float], Sequence[Stuck]] = lambda limit: ()
    ) -> None:
        """Asks now and then, from a thread, for how many seconds no work has gone on, and which requests are
        stuck that were not before."""
        if self.limit is not None:
            # As they were before the app was imported, which may put others in their place.
            start_new_thread(self._watch, (self.limit, silence, stuck))

    def stuck(self, found: Sequence[Stuck], *, hangs: bool = False) -> None:
        """Some requests are; `hangs`: and no other goes on."""
        for each in found:
            os.write(STDERR, f"{each.where}\n".encode())
            tell(
                f"stuck {each.request} has stood still for {self.limit:g} s: the lines before this say where"
            )
        if hangs:
            tell(f"hangs has done no work for {self.limit:g} s: the lines before this say where it hangs")

    def _watch(
        self, limit: float, silence: Callable[[], float], stuck: Callable[[float], Sequence[Stuck]]
    ) -> None:
        while True:
            self._beat(limit)
            self.stuck(stuck(limit))
            if silence() < limit:
                continue
            faulthandler.dump_traceback(STDERR, all_threads=True)
            self.stuck([], hangs=True)
            while silence() >= limit:
                self._beat(limit)

    def _beat(self, limit: float) -> None:
        """Should none follow, a thread that needs no interpreter writes where all the others are."""
        tell("beats")
        faulthandler.dump_traceback_later(limit + PATIENCE / 2, file=STDERR)
        sleep(limit / LOOKS)


class Chain(NamedTuple):
    """Who a request came by, seen from the gateway."""

    peer: str
    """The address that connected to the gateway; "" for a Unix socket."""
    scheme: str
    """As the client spoke, as far as it is known."""
    proxied: bool
    """Whether the peer is a proxy that the gateway trusts, and said for whom it speaks."""
    before: str
    """X-Forwarded-For as the peer sent it."""
    via: str
    """Via as the peer sent it."""


def unproxied(forwarded_for: str, proto: str, via: str) -> Chain:
    """What the fields said before the gateway added its own at the end of each (RFC 9110 section 7.6.3)."""
    before, _, peer = forwarded_for.rpartition(",")
    earlier = via.rpartition(",")[0].rstrip()
    peer = peer.strip()
    return Chain(
        "" if peer.startswith("unix") else peer, proto or "http", bool(before), before.rstrip(), earlier
    )
