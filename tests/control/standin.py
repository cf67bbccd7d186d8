"""A gateway that stands in for the compiled plane, under the real supervisor.

`python -m tests.control.standin JSON` starts it.

It answers each request with the worker's index and pid, and misbehaves where the path asks for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import tetrapylon
from tetrapylon import control, worker
from tetrapylon._core.counters import Slab
from tetrapylon.config.model import Config, Listener
from tetrapylon.errors import TetrapylonError
from tetrapylon.plan import Plan
from tetrapylon.process import Context, Timing
from tetrapylon.supervise import run, serve

FAST = Timing(beat=0.05, silence=1.0, start=20.0, grace=0.5)


class StandIn:
    """One request a connection. `active` counts those that wait in `/wait`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slab: Slab, directory: Path) -> None:
        self.active = 0
        self._loop = loop
        self._slab = slab
        self._directory = directory
        self._listening: list[socket.socket] = []

    def listen(self, sock: socket.socket, *, proxy_protocol: bool = False) -> None:
        self._listening.append(sock)
        self._loop.add_reader(sock, self._accept, sock)

    def drain(self) -> None:
        for sock in self._listening:
            self._accept(sock)
            self._loop.remove_reader(sock)
            sock.close()
        self._listening.clear()

    def reopen_logs(self) -> None:
        self._directory.joinpath(f"reopened-{self._slab.index}").touch()

    def close(self) -> None:
        self._directory.joinpath(f"closed-{self._slab.index}").touch()

    def _accept(self, sock: socket.socket) -> None:
        try:
            client, _ = sock.accept()
        except BlockingIOError:
            return
        client.settimeout(5)
        self._slab.count_accept()
        self._loop.add_reader(client, self._read, client)

    def _read(self, client: socket.socket) -> None:
        self._loop.remove_reader(client)
        head = client.recv(65536).decode()
        path = head.split(" ")[1] if head else ""
        match path.split("/")[1:]:
            case ["hang"]:
                self._directory.joinpath("hanging").touch()
                time.sleep(60)
            case ["exit", status]:
                os._exit(int(status))
            case ["wait", name]:
                self.active += 1
                self._directory.joinpath(f"waiting-{name}").touch()
                self._wait(client, self._directory / f"release-{name}")
                return
        self._answer(client)

    def _wait(self, client: socket.socket, release: Path) -> None:
        if not release.exists():
            self._loop.call_later(0.01, self._wait, client, release)
            return
        self.active -= 1
        self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        self._slab.count_exchange(0, 200, 1_000_000, 20_000, 900_000, 100, 200)
        body = json.dumps({"worker": self._slab.index, "pid": os.getpid()}).encode()
        client.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
        )
        client.close()


def work(options: dict[str, Any], context: Context) -> int:
    def build(loop: asyncio.AbstractEventLoop, slab: Slab) -> StandIn:
        if options.get("fail") == "start":
            raise RuntimeError("this gateway cannot be built")
        if options.get("fail") == "hang":
            time.sleep(60)
        return StandIn(loop, slab, Path(options["directory"]))

    if options.get("fail") == "refuse":
        raise TetrapylonError("this config cannot be compiled")
    entries = [Listener(address=address) for address in options["listen"]]
    return worker.serve(context, build, entries, options.get("drain", 5.0))


def main(options: dict[str, Any]) -> int:
    return serve(
        Plan(
            listen=options["listen"],
            admin=options.get("admin"),
            workers=options.get("workers", 1),
            routes=1,
            drain=options.get("drain", 5.0),
            worker=partial(work, options),
            control=run_control if "admin" in options else None,
            timing=FAST._replace(start=options.get("start", FAST.start)),
        )
    )


def run_config(options: dict[str, Any]) -> int:
    """`tetrapylon run` as it is, but for what the config is compiled to."""

    def build(config: Config, loop: asyncio.AbstractEventLoop, slab: Slab) -> StandIn:
        if options.get("fail") == "refuse":
            raise TetrapylonError(f"{len(config.routes)} routes cannot be compiled")
        return StandIn(loop, slab, Path(options["directory"]))

    stand_in: Any = ModuleType("tetrapylon.compile")
    stand_in.build = build
    sys.modules["tetrapylon.compile"] = stand_in
    tetrapylon.compile = stand_in
    return run(options["config"], listen=options["listen"], workers=options.get("workers"))


def run_control(context: Context) -> int:
    return control.serve(context, [{"http_route": "/"}])


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    sys.exit(run_config(given) if "config" in given else main(given))
