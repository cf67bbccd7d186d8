"""A client that says exactly the bytes a test wants said, and reads the answers strictly."""

import contextlib
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from tests.harness import net
from tests.harness.secure import Wrap
from tests.harness.wire import Reader, Response, ResponseHead


def request(
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    host: str | None = "gateway.test",
    version: str = "1.1",
) -> bytes:
    """A request as bytes: Host first, then `headers` as given, then Content-Length if there is a body."""
    fields = [("Host", host)] if host is not None else []
    fields += headers
    if body is not None:
        fields.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/{version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields) + "\r\n"
    return head.encode("latin-1") + (body or b"")


class Client:
    """One connection to an address; a context manager. `reader` gives everything that `wire.Reader` can.

    `wrap` puts TLS over the socket; see `secure.client`.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 5.0,
        rcvbuf: int | None = None,
        record: bool = True,
        wrap: Wrap | None = None,
    ) -> None:
        self.sock = net.connect(address, timeout=timeout, rcvbuf=rcvbuf)
        if wrap is not None:
            self.sock = wrap(self.sock)
        self.reader = Reader(self.sock, record=record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, *pieces: bytes) -> Self:
        """Sends each piece with a call of its own."""
        for piece in pieces:
            self.sock.sendall(piece)
        return self

    def send_bytewise(self, data: bytes, step: int = 1) -> Self:
        """Sends in pieces of `step` bytes: a parser must not care where reads end."""
        return self.send(*(data[i : i + step] for i in range(0, len(data), step)))

    def ask(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Response:
        """One request and its whole answer."""
        return self.send(request(method, target, headers, body)).response(method)

    def response(self, method: str = "GET") -> Response:
        return self.reader.response(method)

    def head(self) -> ResponseHead:
        return self.reader.response_head()

    def until_eof(self) -> bytes:
        return self.reader.until_eof()

    def is_closed(self) -> bool:
        """Waits for the peer's end of the connection; False when bytes come instead.

        Raises:
            TimeoutError: neither came.
        """
        try:
            return self.reader.at_end()
        except ConnectionResetError:
            return True

    def is_idle(self, seconds: float = 0.05) -> bool:
        """Whether the connection stays open and silent for that long."""
        if self.reader.buffered():
            return False
        patience = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.reader.fill()
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.sock.settimeout(patience)
        return False

    def half_close(self) -> Self:
        net.half_close(self.sock)
        return self

    def reset(self) -> None:
        net.reset(self.sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


def ask(
    address: str,
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> Response:
    """One request on a connection of its own."""
    with Client(address) as client:
        return client.ask(method, target, headers, body)
