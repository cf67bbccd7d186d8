"""The soak's clients, a process of their own: every kind of request and of bad manners, in a random mix.

`python -m tests.harness.soak_client HOST:PORT REQUESTS SEED` ends with a JSON line: how many requests, how
often each of the manners, and what was wrong with the answers, which should be nothing.
"""

import asyncio
import contextlib
import json
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import ClassVar

import uvloop

CLIENTS = 48
PATIENCE = 30.0
SIZES = (0, 1, 200, 200, 200, 4096, 70_000)

WHOLE = ("ok", "ok", "ok", "chunked", "trailers", "interim", "slow", "drip", "close", "unframed")
FAILED = ("slam", "reset", "garbage")
CUT = ("cut", "broken")


class Wrong(Exception):
    """An answer that is not what the request asked for."""


class Truncated(Exception):
    """The connection ended inside an answer."""


class Connection:
    """One client connection; `open` is true while another request may follow."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.open = True

    async def answer(self, method: str, name: str) -> tuple[int, bytes]:
        """Status and body of the next answer. Raises Truncated, and Wrong for another request's answer."""
        try:
            return await self._answer(method, name)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.open = False
            raise Truncated from error

    async def _answer(self, method: str, name: str) -> tuple[int, bytes]:
        status = 100
        while status == 100 or status == 103:
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            status = int(head[9:12])
        if status in (200, 101) and f"\r\nx-id: {name}\r\n".encode() not in head:
            raise Wrong(f"{name} was answered with {head!r}")
        if b"\r\nconnection: close\r\n" in head:
            self.open = False
        at = head.find(b"\r\ncontent-length: ")
        if method == "HEAD" or status == 101:
            return status, b""
        if at >= 0:
            return status, await self.reader.readexactly(int(head[at + 18 : head.index(b"\r", at + 2)]))
        if b"\r\ntransfer-encoding: chunked\r\n" not in head:
            raise Wrong(f"no framing in {head!r}")
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return status, body

    async def close(self, *, abort: bool = False) -> None:
        self.open = False
        if abort:
            self.writer.transport.abort()
        else:
            self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Client:
    """Sends requests one after the other until `left` runs out, over as many connections as it takes."""

    left: ClassVar[int] = 0
    kinds: ClassVar[Counter[str]] = Counter()
    wrong: ClassVar[Counter[str]] = Counter()

    def __init__(self, host: str, port: int, number: int, seed: int) -> None:
        self.host = host
        self.port = port
        self.random = random.Random(seed * 1000 + number)
        self.number = number
        self.asked = 0
        self.connection: Connection | None = None
        manners: list[tuple[Callable[[Connection], Awaitable[None]], int]] = [
            (self.whole, 40),
            (self.pipeline, 16),
            (self.head, 4),
            (self.upload, 10),
            (self.fault, 6),
            (self.cut, 4),
            (self.early, 2),
            (self.half_closed, 2),
            (self.tunnel, 3),
            (self.malformed, 2),
            (self.vanish, 8),
        ]
        self.manners = [manner for manner, _ in manners]
        self.weights = [weight for _, weight in manners]

    async def run(self) -> None:
        while Client.left > 0:
            manner = self.random.choices(self.manners, self.weights)[0]
            Client.kinds[manner.__name__] += 1
            connection = await self.connect()
            try:
                async with asyncio.timeout(PATIENCE):
                    await manner(connection)
            except (Wrong, Truncated, TimeoutError, ValueError) as error:
                Client.wrong[f"{manner.__name__}: {type(error).__name__} {error}"[:300]] += 1
                connection.open = False
            except ConnectionError:
                connection.open = False
            if not connection.open or self.random.random() < 0.03:
                await connection.close()
                self.connection = None
        if self.connection is not None:
            await self.connection.close()

    async def connect(self) -> Connection:
        if self.connection is None:
            self.connection = Connection(*await asyncio.open_connection(self.host, self.port))
        return self.connection

    def request(
        self, kind: str, method: str = "GET", more: str = "", size: int | None = None
    ) -> tuple[bytes, str, int]:
        """A request's head, its name and the size of its answer."""
        Client.left -= 1
        self.asked += 1
        name = f"{self.number}-{self.asked}"
        size = self.random.choice(SIZES) if size is None else size
        head = f"{method} /{kind}/{size}/{name} HTTP/1.1\r\nHost: soak.test\r\nAccept: */*\r\n{more}\r\n"
        return head.encode(), name, size

    async def whole(self, connection: Connection) -> None:
        head, name, size = self.request(self.random.choice(WHOLE))
        connection.writer.write(head)
        self.check(await connection.answer("GET", name), name, size)

    def check(self, answer: tuple[int, bytes], name: str, size: int) -> None:
        if answer != (200, name[-1:].encode() * size):
            raise Wrong(f"{name}: {answer[0]}, {len(answer[1])} bytes, not {size}: {answer[1][:200]!r}")

    async def pipeline(self, connection: Connection) -> None:
        asked = [self.request(self.random.choice(("ok", "chunked", "drip"))) for _ in range(8)]
        connection.writer.write(b"".join(head for head, _, _ in asked))
        for _, name, size in asked:
            self.check(await connection.answer("GET", name), name, size)

    async def head(self, connection: Connection) -> None:
        head, name, _ = self.request("ok", "HEAD")
        connection.writer.write(head)
        self.check(await connection.answer("HEAD", name), name, 0)

    async def upload(self, connection: Connection) -> None:
        body = bytes(self.random.choice(SIZES))
        method = self.random.choice(("POST", "PUT", "PATCH"))
        if self.random.random() < 0.5:
            head, name, size = self.request("ok", method, f"Content-Length: {len(body)}\r\n")
            connection.writer.write(head + body)
        else:
            head, name, size = self.request("chunked", method, "Transfer-Encoding: chunked\r\n")
            connection.writer.write(head)
            for at in range(0, len(body), 9000):
                piece = body[at : at + 9000]
                connection.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await asyncio.sleep(0)
            connection.writer.write(b"0\r\n\r\n")
        self.check(await connection.answer(method, name), name, size)

    async def fault(self, connection: Connection) -> None:
        head, name, _ = self.request(self.random.choice(FAILED))
        connection.writer.write(head)
        status, _ = await connection.answer("GET", name)
        if status != 502:
            raise Wrong(f"{status} for an upstream's fault")

    async def cut(self, connection: Connection) -> None:
        head, name, size = self.request(self.random.choice(CUT))
        connection.writer.write(head)
        try:
            status, _ = await connection.answer("GET", name)
        except Truncated:
            return
        raise Wrong(f"{status} and a whole body for a response that was cut after {size} bytes")

    async def early(self, connection: Connection) -> None:
        """Answered before its body is there by an upstream that then hangs up: the answer or a failure."""
        head, name, _ = self.request("early", "POST", "Content-Length: 200000\r\n", 200)
        connection.writer.write(head + bytes(100_000))
        try:
            status, _ = await connection.answer("POST", name)
            if status not in (200, 502):
                raise Wrong(f"{status} for an early answer")
        except Truncated:
            pass
        connection.open = False

    async def half_closed(self, connection: Connection) -> None:
        head, name, size = self.request("slow")
        connection.writer.write(head)
        connection.writer.write_eof()
        self.check(await connection.answer("GET", name), name, size)
        if await connection.reader.read(1):
            raise Wrong("bytes behind the last answer")
        connection.open = False

    async def tunnel(self, connection: Connection) -> None:
        head, name, _ = self.request("upgrade", "GET", "Connection: Upgrade\r\nUpgrade: raw\r\n")
        early = self.random.random() < 0.3
        connection.writer.write(head + b"early" * early)
        if (await connection.answer("GET", name))[0] != 101:
            raise Wrong("no tunnel")
        said = bytes(self.random.choice(SIZES))
        connection.writer.write(said)
        expected = len(said) + 5 * early
        if len(await connection.reader.readexactly(expected)) != expected:
            raise Wrong("a tunnel lost bytes")
        await connection.close(abort=self.random.random() < 0.5)

    async def malformed(self, connection: Connection) -> None:
        head, name, _ = self.request("ok")
        said, due = self.random.choice(
            [
                (head.replace(b"HTTP/1.1", b"HTTP/1.7"), 505),
                (head.replace(b"\r\n", b"\r\nNo Name: x\r\n", 1), 400),
            ]
        )
        connection.writer.write(said)
        status, _ = await connection.answer("GET", name)
        if status != due or connection.open:
            raise Wrong(f"{status} for what is to get {due}")

    async def vanish(self, connection: Connection) -> None:
        """Goes away at any point: in the head, the body, while it waits, in the answer."""
        kind = self.random.choice(("ok", "chunked", "slow", "drip"))
        if self.random.random() < 0.5:
            said, _, _ = self.request(kind, size=70_000)
        else:
            said, _, _ = self.request(kind, "POST", "Content-Length: 50000\r\n", 70_000)
            said += bytes(50_000)
        said = said[: self.random.randrange(1, len(said) + 1)] if self.random.random() < 0.6 else said
        connection.writer.write(said)
        if self.random.random() < 0.5:
            try:
                async with asyncio.timeout(self.random.random() * 0.02):
                    await connection.reader.readexactly(self.random.randrange(1, 70_000))
            except (TimeoutError, asyncio.IncompleteReadError):
                pass
        await connection.close(abort=self.random.random() < 0.5)


async def main(address: str, requests: int, seed: int) -> None:
    host, _, port = address.rpartition(":")
    Client.left = requests
    clients = [Client(host, int(port), number, seed) for number in range(CLIENTS)]
    await asyncio.gather(*(client.run() for client in clients))
    asked = sum(client.asked for client in clients)
    print(json.dumps({"requests": asked, "kinds": Client.kinds, "wrong": Client.wrong}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
