"""An upstream that does what each request's query says, and holds what it receives to what was meant."""

import asyncio
import gzip
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import cast

from tests.fuzz.mixed.words import GZIP, payload, strangers, wanted
from tests.fuzz.reference import Said
from tests.harness.net import reset_transport
from tests.harness.wire import RequestHead, WireError, collect

DEEDS = (
    "length", "chunked", "pieces", "slow", "gzip", "gzip-pieces", "trailers", "interim", "none", "unchanged",
    "s500", "s503", "early", "to-eof", "cut", "reset", "reset-within", "garbage", "surplus", "hang",
)  # fmt: skip
JSON = b"Content-Type: application/json\r\n"


class Fleet:
    """Servers of one kind on one loop; `find` is told of what should not have reached them."""

    def __init__(self, find: Callable[[str, str], None], seed: int) -> None:
        self.find = find
        self.rng = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.servers: list[asyncio.Server] = []
        self.open: set[asyncio.StreamWriter] = set()

    async def add(self) -> str:
        """Another one; where it listens."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 20)
        self.servers.append(server)
        host, port = server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    def hang_up(self) -> None:
        for writer in list(self.open):
            writer.transport.abort()

    async def close(self) -> None:
        for server in self.servers:
            server.close()
        self.hang_up()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        writer.transport.set_write_buffer_limits(1 << 16)
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except RuntimeError:  # uvloop's, of a transport that was lost between two pieces
            if not writer.transport.is_closing():
                raise
        except WireError as error:
            self.find("smuggled", f"an upstream received what no server can read: {error}")
        finally:
            self.open.discard(writer)
            writer.transport.abort()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. False: no other may follow."""
        raw = await reader.readuntil(b"\r\n\r\n")
        head = Said(raw).request_head()
        told = wanted(head.target)
        told.setdefault("id", head.headers.get("X-Id") or "")
        name, do = told.get("k", told["id"]), told.get("do", "length")
        self.seen[do] += 1
        if do == "early":
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + with_length(payload(name, 100), name))
            await writer.drain()
            return False
        if head.headers.has("Upgrade"):
            await self.tunnel(reader, writer, told["id"])
            return False
        if do == "interim" or (head.headers.get("Expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" if do == "interim" else b"")
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" if head.headers.has("Expect") else b"")
        body = await self.body(reader, head)
        self.hold_to(head, told, body)
        if do == "hang":
            await asyncio.wait_for(reader.read(1), 3)
            return False
        return await self.answer(writer, head, name, do, int(told.get("n", "100")))

    async def body(self, reader: asyncio.StreamReader, head: RequestHead) -> bytes:
        if not head.headers.has("Transfer-Encoding"):
            return await reader.readexactly(int(head.headers.get("Content-Length") or "0"))
        raw = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line, 16)
            raw += line + await reader.readexactly(size + 2 if size else 0)
            if not size:
                raw += await reader.readuntil(b"\r\n")
                break
        said = Said(raw)
        return collect(said.request_body(head))

    def hold_to(self, head: RequestHead, told: dict[str, str], body: bytes) -> None:
        """What came is the request that its target names, its body whole."""
        asked = told["id"]
        foreign = strangers(head.raw, asked) - {told.get("k", "").encode()}
        if foreign or head.headers.get("X-Id") != asked:
            self.find("crossed", f"{asked} reached an upstream with {foreign} {head.raw!r}")
        if head.target.startswith(("/part", "/late")):  # of an aggregate, whose parts have the query alone
            return
        if "b" not in told:
            if body:
                self.find("crossed", f"{asked} reached an upstream with a body {body[:200]!r}")
            return
        if head.headers.get("Content-Encoding") == GZIP:
            body = gzip.decompress(body)
        if body != payload(asked, int(told["b"])):
            self.find("crossed", f"{asked} reached an upstream with another body {body[:200]!r}")

    async def tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        """An echo, behind the mark."""
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        writer.write(name.encode())
        while data := await reader.read(65536):
            if strangers(data, name):
                self.find("crossed", f"the tunnel of {name} heard {data[:200]!r}")
            writer.write(data)
            await writer.drain()

    async def answer(
        self, writer: asyncio.StreamWriter, head: RequestHead, name: str, do: str, size: int
    ) -> bool:
        text = payload(name, size)
        if do == "reset":
            reset(writer)
            return False
        if do == "garbage":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n")
            return False
        status = {"s500": 500, "s503": 503, "none": 204, "unchanged": 304}.get(do, 200)
        fields = b'HTTP/1.1 %d Said\r\nX-Echo: %b\r\nETag: "%b"\r\n' % (status, name.encode(), name.encode())
        if head.target.startswith("/cache"):
            fields += b"Cache-Control: public, max-age=1, stale-while-revalidate=5\r\n"
        if status in (204, 304):
            writer.write(fields + b"\r\n")
            return True
        if do in ("gzip", "gzip-pieces"):
            text = gzip.compress(text, 1)
            fields += b"Content-Encoding: gzip\r\n"
        if do == "slow":
            await asyncio.sleep(self.rng.random() * 0.02)
        if head.method == "HEAD":
            writer.write(fields + JSON + b"Content-Length: %d\r\n\r\n" % len(text))
            return True
        if do == "to-eof":
            writer.write(fields + JSON + b"\r\n" + text)
            await writer.drain()
            writer.close()
            return False
        if do in ("chunked", "pieces", "gzip-pieces", "trailers", "reset-within"):
            writer.write(fields + JSON + b"Transfer-Encoding: chunked\r\n\r\n")
            async for piece in self.chunks(text, do != "chunked"):
                writer.write(piece)
                await writer.drain()
                if do == "reset-within":
                    reset(writer)
                    return False
            writer.write(b"X-Last: %b\r\n\r\n" % name.encode() if do == "trailers" else b"\r\n")
            return True
        said = fields + with_length(text, name)
        if do == "cut":
            writer.write(said[: len(said) - len(text) // 2 - 1])
            await writer.drain()
            return False
        writer.write(said + (b"HTTP/1.1 200 OK\r\n" if do == "surplus" else b""))
        await writer.drain()
        return True

    async def chunks(self, text: bytes, slowly: bool) -> AsyncIterator[bytes]:
        step = max(1, len(text) // self.rng.randint(1, 6))
        for at in range(0, len(text), step):
            piece = text[at : at + step]
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
            if slowly:
                await asyncio.sleep(self.rng.choice((0, 0, 0.002)))
        yield b"0\r\n"


def with_length(text: bytes, name: str) -> bytes:
    return JSON + b"Content-Length: %d\r\n\r\n" % len(text) + text


def reset(writer: asyncio.StreamWriter) -> None:
    reset_transport(cast(asyncio.Transport, writer.transport))
