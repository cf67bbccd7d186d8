"""The soak's upstream, a process of its own: what a path asks for, answers and faults alike.

`/KIND/SIZE/ID` is answered with a body of SIZE bytes and the ID in X-Id.
`python -m tests.harness.soak_upstream` prints its port.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import uvloop

PAUSE = 0.01
CHUNK = 700


def sized(size: int, name: str, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nX-Id: {name}\r\n{more}Content-Length: {size}\r\n\r\n".encode()
        + name[-1:].encode() * size
    )


def chunked(size: int, name: str, end: bytes) -> bytes:
    body = name[-1:].encode() * size
    pieces = [body[at : at + CHUNK] for at in range(0, size, CHUNK)]
    head = f"HTTP/1.1 200 OK\r\nX-Id: {name}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


class Peer(asyncio.Protocol):
    """One connection of the gateway's. Kinds are methods; `data` is what has come of the next request."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.data = b""
        self.tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not one by class

    def data_received(self, data: bytes) -> None:
        if self.tunnel:
            self.transport.write(data)
            return
        self.data += data
        end = self.data.find(b"\r\n\r\n") + 4
        if end == 3:
            return
        head = self.data[:end]
        _, kind, size, name = head.split(b" ", 2)[1].decode().split("/")
        if kind == "early":
            self.early(int(size), name)
            return
        if not self.complete(head, end):
            return
        self.data = b""
        if head.startswith(b"HEAD "):
            self.transport.write(sized(int(size), name)[: -int(size) or None])
            return
        answer: Callable[[int, str], None] = getattr(self, kind)
        answer(int(size), name)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def complete(self, head: bytes, end: int) -> bool:
        fields = head.lower()
        if b"transfer-encoding: chunked" in fields:
            return self.data.endswith(b"0\r\n\r\n")
        at = fields.find(b"content-length: ")
        return at < 0 or len(self.data) - end == int(fields[at + 16 : fields.index(b"\r", at)])

    def ok(self, size: int, name: str) -> None:
        self.transport.write(sized(size, name))

    def chunked(self, size: int, name: str) -> None:
        self.transport.write(chunked(size, name, b"0\r\n\r\n"))

    def trailers(self, size: int, name: str) -> None:
        self.transport.write(chunked(size, name, b"0\r\nX-Sum: 1\r\n\r\n"))

    def interim(self, size: int, name: str) -> None:
        self.transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + sized(size, name))

    def slow(self, size: int, name: str) -> None:
        self.loop.call_later(PAUSE, self.write, sized(size, name))

    def drip(self, size: int, name: str) -> None:
        answer = sized(size, name)
        self.transport.write(answer[: len(answer) // 2])
        self.loop.call_later(PAUSE, self.write, answer[len(answer) // 2 :])

    def close(self, size: int, name: str) -> None:
        self.transport.write(sized(size, name, "Connection: close\r\n"))
        self.transport.close()

    def unframed(self, size: int, name: str) -> None:
        self.transport.write(f"HTTP/1.1 200 OK\r\nX-Id: {name}\r\n\r\n".encode() + name[-1:].encode() * size)
        self.transport.close()

    def early(self, size: int, name: str) -> None:
        self.close(size, name)

    def slam(self, size: int, name: str) -> None:
        self.transport.close()

    def reset(self, size: int, name: str) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.transport.abort()

    def garbage(self, size: int, name: str) -> None:
        self.transport.write(b"rubbish\r\n\r\n")

    def cut(self, size: int, name: str) -> None:
        self.transport.write(sized(size + 10, name)[:-10])
        self.transport.close()

    def broken(self, size: int, name: str) -> None:
        self.transport.write(chunked(size, name, b"not a size\r\n"))

    def upgrade(self, size: int, name: str) -> None:
        self.tunnel = True
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n"
            + f"X-Id: {name}\r\n\r\n".encode()
        )


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
