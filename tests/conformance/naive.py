"""Proxies with a planted bug each: every case of the table has to fail against one of them.

Each is what somebody might write in an afternoon; none refuses what it should.
"""

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.harness import net

REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
END = re.compile(rb"\r?\n\r?\n")
Handler = Callable[[socket.socket, "Naive"], None]


class Naive:
    """A proxy in this process, one thread a client."""

    def __init__(self, handler: Handler, upstream: str) -> None:
        self.handler = handler
        self.upstream = upstream
        self.sock = net.listen()
        self.address = net.join(self.sock)
        self.closing = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing = True
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.sock.close()

    def connect(self) -> socket.socket:
        return net.connect(self.upstream, timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                if self.closing:
                    return
                raise
            sock.settimeout(5)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self.handler(sock, self)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def relay(client: socket.socket, proxy: Naive) -> None:
    """Looks at nothing: bytes there, bytes back."""
    with proxy.connect() as upstream:
        back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
        back.start()
        pump(client, upstream)
        back.join()


def refuse(client: socket.socket, _: Naive) -> None:
    """Refuses whatever comes."""
    client.recv(65536)
    client.sendall(REFUSAL)
    net.half_close(client)
    while client.recv(65536):
        pass


class Lenient:
    """Reads messages as they might be meant; the end of the stream ends whatever is being read."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pending = b""

    def more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.pending += data
        return bool(data)

    def head(self) -> list[bytes]:
        """The lines of a head; none at the end of the stream."""
        self.pending = self.pending.lstrip(b"\r\n")
        while (end := END.search(self.pending)) is None:
            if not self.more():
                lines, self.pending = self.pending.splitlines(), b""
                return lines
        lines, self.pending = self.pending[: end.start()].splitlines(), self.pending[end.end() :]
        return lines

    def take(self, size: int) -> bytes:
        while len(self.pending) < size and self.more():
            pass
        part, self.pending = self.pending[:size], self.pending[size:]
        return part

    def body(self, lines: list[bytes], *, to_end: bool) -> bytes:
        fields = b"\n".join(lines[1:]).lower()
        if b"chunked" in fields:
            return self.chunks()
        if (length := re.search(rb"content-length\s*:\s*(\d+)", fields)) is not None:
            return self.take(int(length[1]))
        while to_end and self.more():
            pass
        return self.take(len(self.pending)) if to_end else b""

    def chunks(self) -> bytes:
        body = b""
        while True:
            while b"\n" not in self.pending and self.more():
                pass
            line, _, self.pending = self.pending.partition(b"\n")
            size = re.match(rb"\s*([0-9a-fA-F]+)", line)
            if size is None or not int(size[1], 16):
                while b"\n" not in self.pending and self.more():
                    pass
                self.pending = self.pending.partition(b"\n")[2]
                return body
            body += self.take(int(size[1], 16))
            self.take(2)


def framed(lines: list[bytes], body: bytes, start: bytes | None = None) -> bytes:
    """The message with a length of what was read, whatever it announced."""
    own = (b"content-length", b"transfer-encoding")
    kept = [line for line in lines[1:] if not line.lower().startswith(own)]
    return b"\r\n".join([start or lines[0], *kept, b"Content-Length: %d" % len(body), b"", body])


def message_by_message(
    client: socket.socket, proxy: Naive, *, times: int = 1, aim: Callable[[bytes], bytes] = bytes
) -> None:
    reader = Lenient(client)
    while lines := reader.head():
        said = framed(lines, reader.body(lines, to_end=False), aim(lines[0]))
        for _ in range(times):
            with proxy.connect() as upstream:
                upstream.sendall(said)
                answers = Lenient(upstream)
                answer = answers.head()
                if lines[0].startswith(b"HEAD") or b" 204" in answer[0] or b" 304" in answer[0]:
                    body = b""
                else:
                    body = answers.body(answer, to_end=True)
        client.sendall(framed(answer, body))


def complete(client: socket.socket, proxy: Naive) -> None:
    """Takes what was cut short for whole."""
    message_by_message(client, proxy)


def twice(client: socket.socket, proxy: Naive) -> None:
    """Sends every request twice."""
    message_by_message(client, proxy, times=2)


def aim_at_root(client: socket.socket, proxy: Naive) -> None:
    """Believes that every target is a path."""
    message_by_message(client, proxy, aim=lambda line: line.replace(b" *", b" /*"))


DEFECTS: dict[str, Handler] = {
    "bytes passed as they come": relay,
    "everything refused": refuse,
    "what is cut short taken for whole": complete,
    "every request sent twice": twice,
    "every target taken for a path": aim_at_root,
}
