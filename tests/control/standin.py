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
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

import tetrapylon
from tetrapylon import control, worker
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.model import Config, Respond, Route
from tetrapylon.config.wire import Encoded, encode
from tetrapylon.errors import TetrapylonError
from tetrapylon.plan import Plan, Source
from tetrapylon.processes.channel import content_of, file_of
from tetrapylon.processes.fork import Context, Timing
from tetrapylon.processes.reading import Facts, Finding, Paper
from tetrapylon.processes.renew import Sockets
from tetrapylon.supervise import run, serve

FAST = Timing(beat=0.05, silence=1.0, start=20.0, grace=0.5)


class StandIn:
    """One request a connection. `active` counts those that wait in `/wait`.

    Its config is the file `config.json`: what `options` say, `said`, which it answers, and `prepare`, what
    becomes of preparing it: "fail", "hang" or "die".
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, slab: Slab, directory: Path, config: dict[str, Any]
    ) -> None:
        self.active = 0
        self._take(config)
        self._loop = loop
        self._slab = slab
        self._directory = directory
        self._listening: list[tuple[socket.socket, str]] = []

    def _take(self, config: dict[str, Any]) -> None:
        self._said = config.get("said", "")
        self.drain_time: float = config.get("drain", 5.0)

    async def prepare(self, config: Encoded) -> dict[str, Any]:
        edition = settings_of(config)
        match edition.get("prepare"):
            case "fail":
                raise TetrapylonError("this config cannot be compiled")
            case "hang":
                self._directory.joinpath(f"preparing-{os.getpid()}").touch()
                await asyncio.sleep(60)
            case "die":
                os._exit(3)
        return edition

    async def discard(self, edition: dict[str, Any]) -> None:
        self._directory.joinpath(f"discarded-{self._slab.index}").touch()

    def adopt(self, edition: dict[str, Any], sockets: Sockets) -> Coroutine[Any, Any, None]:
        self._take(edition)
        gone = [each for each in self._listening if each[1] not in edition["listen"]]
        for each in gone:
            self._stop(each[0])
            self._listening.remove(each)
        for sock, address in sockets:
            self.listen(sock, address)
        return asyncio.sleep(0)

    def purge(self, how: str, what: str) -> int:
        return 1

    def upstreams(self) -> list[dict[str, Any]]:
        target = {"url": "127.0.0.1:9", "weight": 1, "addresses": ["127.0.0.1:9"], "connections": 3}
        return [{"name": "stand-in", "connections": 3, "pending": 2, "targets": [target]}]

    def listen(self, sock: socket.socket, address: str) -> None:
        sock = sock.dup()
        self._listening.append((sock, address))
        self._loop.add_reader(sock, self._accept, sock)

    def drain(self, patience: float) -> None:
        for sock, _ in self._listening:
            self._stop(sock)
        self._listening.clear()

    def _stop(self, sock: socket.socket) -> None:
        self._accept(sock)
        self._loop.remove_reader(sock)
        sock.close()

    def reopen_logs(self) -> None:
        self._directory.joinpath(f"reopened-{self._slab.index}").touch()

    def close(self) -> None:
        self._directory.joinpath(f"closed-{self._slab.index}").touch()

    async def start(self) -> None: ...

    async def await_targets(self, patience: float, apps: float) -> None: ...

    def found(self, upstream: str, fingerprint: bytes, targets: bytes) -> None: ...

    async def stop(self) -> None: ...

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
        self._slab.count_exchange(1, 200, 1_000_000, 20_000, 900_000, 100, 200)
        body = json.dumps({"worker": self._slab.index, "pid": os.getpid(), "said": self._said}).encode()
        client.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
        )
        client.close()


def encoded(config: dict[str, Any]) -> bytes:
    """A config that carries the stand-in's own as the path of its only route."""
    return encode(Config(routes=(Route(path=json.dumps(config), respond=Respond()),)), [1])


def settings_of(config: Encoded) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(config.routes())[0].path)
    return found


def facts_of(config: dict[str, Any]) -> Facts:
    return Facts(
        listen=config["listen"],
        admin=config.get("admin"),
        workers=config.get("workers", 1),
        drain=config.get("drain", 5.0),
        room=2,
    )


def read(options: dict[str, Any], paper: Paper) -> int:
    config = {**options, **json.loads(Path(options["directory"], "config.json").read_text())}
    match config.get("read"):
        case "fail":
            problem = {"text": "config.json:1: this is no config"}
            os.write(paper.finding, msgspec.msgpack.encode(Finding(problems=[problem])))
            return 0
        case "die":
            os._exit(9)
        case "wait":
            Path(options["directory"], "reading").touch()
            while not Path(options["directory"], "release-read").exists():
                time.sleep(0.01)
    data = encoded(config)
    os.write(paper.config, data)
    same = data == content_of(paper.running)
    os.write(paper.finding, msgspec.msgpack.encode(Finding(facts=facts_of(config), same=same)))
    return 0


def work(options: dict[str, Any], context: Context) -> int:
    def build(loop: asyncio.AbstractEventLoop, slab: Slab) -> StandIn:
        if options.get("fail") == "start":
            raise RuntimeError("this gateway cannot be built")
        if options.get("fail") == "hang":
            time.sleep(60)
        config = settings_of(Encoded(content_of(context.config)))
        os.close(context.config)
        return StandIn(loop, slab, Path(options["directory"]), config)

    if options.get("fail") == "refuse":
        raise TetrapylonError("this config cannot be compiled")
    return worker.serve(context, build)


def main(options: dict[str, Any]) -> int:
    return serve(
        Plan(
            facts=facts_of(options),
            worker=partial(work, options),
            control=control.main if "admin" in options else None,
            config=file_of(encoded(options), "config"),
            slots=file_of(b'{"otel_metric_overflow":"true"}\n{"http_route":"/"}\n', "slots"),
            read=partial(read, options),
            timing=FAST._replace(start=options.get("start", FAST.start)),
        )
    )


def run_config(options: dict[str, Any]) -> int:
    """`tetrapylon run` as it is, but for what the config is compiled to."""

    def serving(config: Encoded, loop: asyncio.AbstractEventLoop, slab: Slab, *_: object) -> StandIn:
        if options.get("fail") == "refuse":
            raise TetrapylonError(f"{len(config)} routes cannot be compiled")
        return StandIn(loop, slab, Path(options["directory"]), {"drain": config.head.server.timeouts.drain})

    stand_in: Any = ModuleType("tetrapylon.serving")
    stand_in.Serving = serving
    sys.modules["tetrapylon.serving"] = stand_in
    tetrapylon.serving = stand_in
    worker.rehearse = lambda: None
    return run(Source(options["config"], options["listen"], options.get("workers")))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    sys.exit(run_config(given) if "config" in given else main(given))
