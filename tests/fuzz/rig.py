"""Clients, an embedded gateway and an upstream on one loop, over Unix sockets."""

import asyncio
import contextlib
import os
import socket
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import tetrapylon
from tests.fuzz import judge
from tests.fuzz.cases import Case, RequestCase, ResponseCase
from tests.fuzz.drafts import pieces
from tests.fuzz.reference import Forwarded, Meant, Said, received
from tests.harness import leaks
from tests.harness.wire import RequestHead, Truncated, WireError, collect
from tetrapylon._core.exchange import live_exchanges

DEADLINE = 10.0


@dataclass(frozen=True)
class Finding:
    """`cases` are the names of those that may have caused it: one, or all that ran at the time."""

    kind: str
    detail: str
    cases: tuple[str, ...]


@dataclass
class Seat:
    """Requests that look the same to an upstream; `taken` of them have come."""

    meant: list[Meant] = field(default_factory=list)
    taken: int = 0


class Rig:
    """Runs batches of cases; what is wrong goes to `findings`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.findings: list[Finding] = []
        self.seen: Counter[str] = Counter()
        self.seats: dict[Forwarded, Seat] = {}
        self.answers: dict[str, tuple[ResponseCase, int]] = {}
        self.running: tuple[str, ...] = ()
        self.backends: set[Backend] = set()
        self.held = held()
        loop.set_exception_handler(self.broken)

    async def __aenter__(self) -> "Rig":
        self.folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        where = Path(self.folder.name)
        self.places = [str(where / "socket"), str(where / "transport")]
        self.upstream = await self.loop.create_unix_server(lambda: Backend(self), str(where / "up"))
        self.gateway = tetrapylon.embed(config(f"unix:{where / 'up'}"), self.loop)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.setblocking(False)
        self.listener.bind(self.places[0])
        self.listener.listen(1024)
        self.gateway.listen(self.listener)
        self.server = await self.loop.create_unix_server(self.gateway.protocol_factory, self.places[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes everything and looks at what is left."""
        self.server.close()
        self.gateway.close()
        self.listener.close()
        self.upstream.close()
        for backend in list(self.backends):
            backend.transport.abort()
        for _turn in range(100):
            await asyncio.sleep(0)
        self.folder.cleanup()
        self.running = ()
        if live_exchanges():
            self.find("leak", f"{live_exchanges()} exchanges are alive after the end")
        left = held() - self.held
        if left:
            self.find("leak", f"descriptors are left open: {left}")

    def broken(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody caught."""
        trace = "".join(traceback.format_exception(context["exception"])) if "exception" in context else ""
        self.find("exception", f"{context.get('message')}\n{trace}")

    def find(self, kind: str, detail: str, *cases: str) -> None:
        self.findings.append(Finding(kind, detail, cases or self.running))

    async def run(self, batch: list[Case]) -> None:
        """All of them at once; afterwards nothing may be under way."""
        self.running = tuple(case.name for case in batch)
        self.seats.clear()
        self.answers.clear()
        for case in batch:
            if isinstance(case, RequestCase):
                for meant in case.meant:
                    if meant.forwarded is not None:
                        self.seats.setdefault(meant.forwarded, Seat()).meant.append(meant)
            else:
                for index in range(len(case.asked)):
                    self.answers[f"{case.name}.{index}"] = case, index
        talks = {self.loop.create_task(self.talk(case)): case for case in batch}
        done, pending = await asyncio.wait(talks, timeout=DEADLINE)
        for task in done:
            task.result()
        for task in pending:
            task.cancel()
            self.find("hang", f"the gateway did not end the connection within {DEADLINE} s", talks[task].name)
        if pending:
            await asyncio.wait(pending)
        end = self.loop.time() + DEADLINE
        while live_exchanges() or self.gateway.active:
            if self.loop.time() > end:
                self.find("leak", f"{live_exchanges()} exchanges, {self.gateway.active} connections remain")
                break
            await asyncio.sleep(0)

    async def talk(self, case: Case) -> None:
        request = isinstance(case, RequestCase)
        stream = b"".join(case.parts) if isinstance(case, RequestCase) else case.stream()
        client = Client(self.places[case.transport])
        try:
            await client.say(pieces(stream, case.cuts if isinstance(case, RequestCase) else []))
            while not client.over:
                client.read()
                await asyncio.sleep(0)
        finally:
            client.close()
        said = bytes(client.said)
        wrong = (
            judge.requests(case, said, self.seen)
            if isinstance(case, RequestCase)
            else judge.responses(case, said, self.seen)
        )
        self.seen["requests" if request else "responses"] += len(
            case.parts if isinstance(case, RequestCase) else case.asked
        )
        if wrong is not None:
            self.find(wrong[0], wrong[1], case.name)


class Client:
    """One connection that says what it is told to and keeps what comes, even after it can say no more."""

    def __init__(self, place: str) -> None:
        self.said = bytearray()
        self.over = False
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.setblocking(False)
        self.sock.connect(place)

    async def say(self, stream: list[bytes]) -> None:
        """Each piece by a write of its own, then the end."""
        for piece in stream:
            rest = memoryview(piece)
            while rest:
                if self.over:
                    return
                try:
                    rest = rest[self.sock.send(rest) :]
                except BlockingIOError:
                    await asyncio.sleep(0)
                except (BrokenPipeError, ConnectionResetError):
                    return
            await asyncio.sleep(0)
            self.read()
        if not self.over:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)

    def read(self) -> None:
        """What has come. Asked for, since a loop stops telling once the peer has closed with bytes unread."""
        if self.over:
            return
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.said += data
        self.over = not data

    def close(self) -> None:
        self.sock.close()


class Backend(asyncio.Protocol):
    """An upstream's connection. It takes nothing but what some client meant, and answers with its key."""

    transport: asyncio.Transport

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.buffer = bytearray()
        self.head: RequestHead | None = None
        self.seat: Seat | None = None
        self.meant: Meant | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's don't inherit from it
        self.rig.backends.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.rig.backends.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        try:
            while self.buffer and not self.transport.is_closing() and self.step():
                pass
        except WireError as error:
            self.rig.find("smuggled", f"the upstream received {bytes(self.buffer)!r}: {error}")
            self.transport.abort()

    def step(self) -> bool:
        """Takes one request off the buffer, if it is whole."""
        if self.head is None:
            if b"\r\n\r\n" not in self.buffer:
                return False
            self.head = Said(bytes(self.buffer)).request_head()
            if not self.rig.answers:
                self.seat_for(self.head)
        reader = Said(bytes(self.buffer))
        head = reader.request_head()
        try:
            body = collect(reader.request_body(head))
        except Truncated:
            return False
        raw = bytes(self.buffer[: len(self.buffer) - reader.left])
        del self.buffer[: len(raw)]
        self.head = None
        if self.rig.answers:
            self.tell(head)
            return True
        meant = self.meant
        assert meant is not None
        assert self.seat is not None
        if not meant.whole or body != meant.body or reader.trailers != meant.trailers:
            raise WireError(
                f"another body or other trailers than meant: {meant.whole} {body!r} {reader.trailers}, "
                f"not {meant.body!r} {meant.trailers}"
            )
        judge.second_opinions(raw, head, body)
        self.rig.seen["reached"] += 1
        self.answer(head, " ".join(key for one in self.seat.meant for key in one.keys).encode())
        return True

    def seat_for(self, head: RequestHead) -> None:
        came = received(head)
        seat = self.rig.seats.get(came)
        if seat is None:
            raise WireError(f"nobody meant {came}")
        if seat.taken == len(seat.meant):
            raise WireError(f"sent {seat.taken + 1} times: {came}")
        self.seat, self.meant = seat, seat.meant[seat.taken]
        seat.taken += 1

    def answer(self, head: RequestHead, keys: bytes) -> None:
        self.rig.seen["answers"] += 1
        chunked = self.rig.seen["answers"] % 3 == 0
        closes = self.rig.seen["answers"] % 50 == 0
        lines = b"HTTP/1.1 200 OK\r\nX-Key: %b\r\n" % keys + (b"Connection: close\r\n" if closes else b"")
        if chunked:
            framed = b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(keys), keys)
        else:
            framed = b"Content-Length: %d\r\n\r\n" % len(keys), keys
        self.transport.write(lines + framed[0] + (b"" if head.method == "HEAD" else framed[1]))
        if closes:
            self.transport.close()

    def tell(self, head: RequestHead) -> None:
        """Says what the case says."""
        key = head.headers.get("X-Key")
        if key is None or key not in self.rig.answers:
            raise WireError(f"nobody asked for {key}")
        case, index = self.rig.answers[key]
        told, said = case.told[index], case.asked[index].said
        # What is too much comes with what was asked for; later, it would be a response before its request.
        end = len(said) - told.surplus
        cuts = [cut for cut in case.cuts[index] if cut < end]
        close = told.answer is None or not told.whole or told.to_eof
        self.rig.seen["told"] += 1
        self.say(pieces(said, cuts), close)

    def say(self, rest: list[bytes], close: bool) -> None:
        if self.transport.is_closing():
            return
        if rest:
            self.transport.write(rest[0])
            self.rig.loop.call_soon(self.say, rest[1:], close)
        elif close:
            self.transport.close()


def held() -> set[str]:
    """The sockets and epoll sets that this process holds open, as the kernel names them."""
    return {
        f"{number} {link}"
        for number, link in leaks.descriptors(os.getpid()).items()
        if link.startswith("socket:") or "eventpoll" in link
    }


def config(url: str) -> tetrapylon.Config:
    return tetrapylon.Config(
        log=tetrapylon.Log(access=None),
        upstreams={"backend": tetrapylon.Upstream(targets=(tetrapylon.Target(url=url),))},
        routes=(
            tetrapylon.Route(path="/{rest:path}", upstream="backend"),
            tetrapylon.Route(path="/", upstream="backend"),
        ),
    )
