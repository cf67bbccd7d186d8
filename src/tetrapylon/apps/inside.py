"""In an app's process: the app imported, and the host told of what becomes of it.

The host hears lines: `loaded PID` or `failed REASON`, `spent REASON` when another is to take this process's
place, and `hangs REASON` when it does no more work.
"""

from __future__ import annotations

import faulthandler
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tetrapylon.code.load import load_object
from tetrapylon.errors import LoadError

__all__ = ["Chain", "Pulse", "load", "unproxied"]

STATUS = "TETRAPYLON_APP_STATUS"
APP = "TETRAPYLON_APP"
JITTER = 0.1


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
        tell(f"failed {' '.join(str(error).split()) or type(error).__name__}")
        raise
    tell(f"loaded {os.getpid()}")
    return app


def tell(line: str) -> None:
    os.write(int(os.environ[STATUS]), f"{line}\n".encode())


class Pulse:
    """Counts requests, and sees when work no longer goes on."""

    def __init__(self, limit: float | None, max_requests: int | None) -> None:
        """`limit`: seconds; `max_requests`: a tenth more or less. None: none."""
        self._limit = limit
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

    def watch(self, silence: Callable[[], float]) -> None:
        """Asks now and then, from a thread, for how many seconds no work has gone on."""
        if self._limit is not None:
            threading.Thread(target=self._watch, args=(self._limit, silence), daemon=True).start()

    def _watch(self, limit: float, silence: Callable[[], float]) -> None:
        while True:
            if silence() >= limit:
                sys.stderr.flush()
                faulthandler.dump_traceback(all_threads=True)
                tell(f"hangs has done no work for {limit:g} s: the tracebacks before this say where it hangs")
                while silence() >= limit:
                    time.sleep(limit / 4)
            time.sleep(limit / 4)


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
