"""Reloads under load: what they cost requests, and what they leave in memory.

`python -m benchmarks.reload [--reloads 1000] [--routes 10000] [--rate 5000]` alternates between two configs
that differ in every tenth route. Windows without a reload and windows full of them take turns under the same
open load, ten times; then it goes on without the former. WebSockets and slow downloads are open from first to
last. It fails where a request fails, a WebSocket or download ends, or the memory after the last
reload is more than 5% above that after the tenth.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from tests.harness import Gateway

from .e2e.load import SMALL, Loading, Sample
from .e2e.process import Upstream, memory, tree
from .e2e.workshop import Workshop

WARM = 10
CALM = 10
TUNNELS = 50
DOWNLOADS = 20
PACE = 0.5
"""Seconds between two messages of a WebSocket, and two reads of a download."""


def config(upstream: int, chat: int, routes: int, turn: int) -> dict[str, Any]:
    listed = [
        {
            "path": f"/service{index % 100}/resource{index}/{{id:int}}",
            "upstream": "backend",
            "timeouts": {"total": "30s" if index % 10 else f"{30 + turn % 2}s"},
        }
        for index in range(routes)
    ]
    own = [
        {"path": "/{rest:path}", "upstream": "backend"},
        {"path": "/chat", "upstream": "chat"},
    ]
    return {
        "server": {"listen": ["127.0.0.1:0"], "timeouts": {"drain": "1s"}},
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"access": "none"},
        "upstreams": {
            "backend": {"targets": [f"http://127.0.0.1:{upstream}"]},
            "chat": {"targets": [f"http://127.0.0.1:{chat}"]},
        },
        "routes": [*own, *listed],
    }


class LongLived(threading.Thread):
    """Keeps WebSockets talking and downloads going. `ended` tells what ended early."""

    def __init__(self, sockets: Sequence[ClientConnection], downloads: Sequence[socket.socket]) -> None:
        super().__init__(daemon=True)
        self.messages = 0
        self.blocks = 0
        self.ended: list[str] = []
        self._sockets = sockets
        self._downloads = downloads
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PACE) and not self.ended:
            try:
                for each in self._sockets:
                    each.send("still there?")
                    if each.recv(timeout=10) != "still there?":
                        self.ended.append("a WebSocket got something else")
                    self.messages += 1
                for download in self._downloads:
                    if not download.recv(16384):
                        self.ended.append("a download was cut")
                    self.blocks += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, a long-lived connection ended
                self.ended.append(repr(error))

    def stop(self) -> None:
        self._over.set()
        self.join()


def answer(server: ServerConnection) -> None:
    for message in server:
        server.send(message)


@contextmanager
def chat() -> Iterator[int]:
    """The port of a WebSocket server that says what it hears."""
    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(5)


@contextmanager
def long_lived(port: int) -> Iterator[LongLived]:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(connect(f"ws://127.0.0.1:{port}/chat", compression=None, ping_interval=None))
            for _ in range(TUNNELS)
        ]
        downloads = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(DOWNLOADS)
        ]
        for download in downloads:
            download.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (1 << 30))
        talk = LongLived(sockets, downloads)
        talk.start()
        try:
            yield talk
        finally:
            talk.stop()


def reload(gateway: Gateway, text: dict[str, Any]) -> float:
    """Seconds that it took."""
    gateway.write(text)
    asked = urllib.request.Request(f"http://{gateway.admin}/reload", method="POST")
    with urllib.request.urlopen(asked, timeout=300) as response:
        outcome = json.load(response)
    if outcome["outcome"] != "applied":
        raise RuntimeError(f"not applied: {outcome}")
    return float(outcome["seconds"])


class Run:
    """The windows, and what was seen in them."""

    def __init__(self, gateway: Gateway, workshop: Workshop, configs: Sequence[dict[str, Any]], rate: float):
        self.calm: list[Sample] = []
        self.busy: list[Sample] = []
        self.seconds: list[float] = []
        self.memory: dict[int, int] = {}
        self._gateway = gateway
        self._workshop = workshop
        self._configs = configs
        self._rate = rate

    def window(self, seconds: float, reloads: int) -> None:
        """One window without a reload, and one with so many."""
        if len(self.calm) < CALM:
            self.calm.append(self._load(seconds).result())
        loading = self._load(seconds)
        for _ in range(reloads):
            turn = len(self.seconds) + 1
            self.seconds.append(reload(self._gateway, self._configs[turn % 2]))
            self.memory[turn] = memory(tree(self._gateway.pid)).pss // 1024
        self.busy.append(loading.result())

    def _load(self, seconds: float) -> Loading:
        port = int(self._gateway.address.rpartition(":")[2])
        return Loading(self._workshop.load, port, SMALL, seconds=seconds, rate=self._rate)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reload", description="Reloads under load.")
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=5000, help="requests a second")
    parser.add_argument("--window", type=float, default=10.0, help="seconds")
    options = parser.parse_args()
    workshop = Workshop()
    with Upstream(workshop.upstream) as upstream, chat() as chat_port:
        configs = [config(upstream.port, chat_port, options.routes, turn) for turn in range(2)]
        with Gateway(configs[0], ready=120) as gateway:
            run = Run(gateway, workshop, configs, options.rate)
            port = int(gateway.address.rpartition(":")[2])
            with long_lived(port) as talk:
                each = max(1, round(options.window / reload(gateway, configs[1])) - 1)
                reload(gateway, configs[0])
                while len(run.seconds) < options.reloads:
                    run.window(options.window, min(each, options.reloads - len(run.seconds)))
    return told(run, talk)


def told(run: Run, talk: LongLived) -> int:
    """Prints what came of it. Returns the exit status."""
    samples = [*run.calm, *run.busy]
    failed = sum(sample.failures for sample in samples)
    reloads = len(run.seconds)
    tenth, last = run.memory[min(WARM, reloads)], run.memory[reloads]
    median = statistics.median
    print(
        f"{reloads} reloads, each {median(run.seconds):.2f} s (at most {max(run.seconds):.2f} s):"
        f" {sum(sample.answered for sample in samples)} requests, {failed} failed;"
        f" {talk.messages} messages by {TUNNELS} WebSockets, {talk.blocks} blocks by {DOWNLOADS} downloads,"
        f" ended early: {talk.ended or 'none'}"
    )
    for name in ("p50", "p99", "p999", "longest"):
        calm, busy = ([getattr(sample, name) / 1000 for sample in which] for which in (run.calm, run.busy))
        print(
            f"{name:>8}, ms: {median(calm):.2f} without a reload (at most {max(calm):.2f}),"
            f" {median(busy):.2f} with them (at most {max(busy):.2f})"
        )
    print(f"memory of all processes (PSS): {tenth} KiB after the tenth, {last} KiB after the last")
    return 0 if not failed and not talk.ended and last <= tenth * 1.05 else 1


if __name__ == "__main__":
    sys.exit(main())
