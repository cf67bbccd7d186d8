"""Measuring live: this gateway in front of the present one, and before each of its services."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NamedTuple
from urllib.parse import urlsplit

from tetrapylon.errors import TetrapylonError, UsageError

__all__ = ["Hop", "hop_of", "measure"]

START, STOP = 20.0, 45.0
LOG = "access.jsonl"


class Hop(NamedTuple):
    """Listens at `address` and forwards everything to `url`."""

    address: str
    url: str


def hop_of(text: str, option: str) -> Hop:
    """Reads `127.0.0.1:8080=http://127.0.0.1:8000`. Raises UsageError."""
    address, equals, url = text.partition("=")
    parts = urlsplit(url)
    host, colon, port = address.rpartition(":")
    if not (equals and colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(
            f"{option}: {text!r} has no address to listen on; expected ADDRESS:PORT=http://HOST:PORT"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise UsageError(f"{option}: {url!r} is no service; expected one such as http://127.0.0.1:8000")
    return Hop(address, url.rstrip("/"))


class Relay:
    """`tetrapylon run` as a process of its own, with a log of every request."""

    def __init__(self, hop: Hop, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.hop = hop
        self.log = folder / LOG
        config = {
            "server": {"listen": [hop.address]},
            "log": {"access": {"path": str(self.log)}},
            "upstreams": {
                "next": {
                    "targets": [hop.url],
                    "timeouts": {"response": "1h"},
                    "pool": {"max_connections": 10000},
                }
            },
            "routes": [{"path": "/{rest:path}", "upstream": "next"}],
        }
        path = folder / "gateway.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tetrapylon.assess.relay", str(os.getpid()), str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1"},
            start_new_session=True,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.decode("utf-8", "replace").rstrip())
            del self.said[:-20]

    def ready(self) -> None:
        """Waits until it takes connections. Raises TetrapylonError."""
        host, _, port = self.hop.address.rpartition(":")
        until = time.monotonic() + START
        while time.monotonic() < until:
            self.alive()
            try:
                socket.create_connection((host.strip("[]"), int(port)), 1.0).close()
            except OSError:
                time.sleep(0.05)
            else:
                # Another process may have the address: then this one has ended, or does so now.
                self.alive()
                return
        raise TetrapylonError(f"{self.hop.address}: no connection within {START:g} s")

    def alive(self) -> None:
        """Raises TetrapylonError where it has ended."""
        if self.process.poll() is not None:
            self._reader.join(1.0)
            why = self.said[-1] if self.said else f"exit status {self.process.returncode}"
            raise TetrapylonError(f"{self.hop.address}: the gateway ended: {why}")

    def stop(self) -> None:
        """Drains, so that the last requests are logged."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def measure(front: Hop, behind: Sequence[Hop], seconds: float, folder: Path) -> tuple[str, list[str]]:
    """Runs until the time is over, or INT or TERM. Returns the logs: in front, and behind.

    Raises:
        TetrapylonError: a gateway did not start, or ended.
    """
    over = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        over.set()

    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, end))
        relays: list[Relay] = []
        # Services first: what is in front asks them at once.
        for index, hop in enumerate((*behind, front)):
            relay = Relay(hop, folder / f"hop-{index}")
            stack.callback(relay.stop)
            relays.append(relay)
            relay.ready()
            print(f"tetrapylon: {hop.address} forwards to {hop.url}", file=sys.stderr, flush=True)
        until = time.monotonic() + seconds
        while not over.wait(min(1.0, max(0.0, until - time.monotonic()))) and time.monotonic() < until:
            for relay in relays:
                relay.alive()
    *others, first = relays
    return str(first.log), [str(relay.log) for relay in others]
