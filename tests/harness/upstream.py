"""An upstream that does to the gateway whatever a test tells it to, one thread a connection.

A script is a function of one `Conversation`. `answers` holds ready-made ones.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from tests.harness import net
from tests.harness.secure import Wrap
from tests.harness.wait import eventually
from tests.harness.wire import Reader, Request, RequestHead, Truncated

PATIENCE = 100.0  # a pooled connection may rest for as long as the tests that share its upstream take

Script = Callable[["Conversation"], None]


class Conversation:
    """One accepted connection, as the script sees it and as the test inspects it.

    `requests` are those read completely; `received` is every byte that came; `ended` is set when the gateway
    has closed or reset the connection and somebody here was reading, or when the script is over.
    """

    def __init__(self, sock: socket.socket, index: int, closing: threading.Event, *, record: bool) -> None:
        sock.settimeout(PATIENCE)
        self._closing = closing
        self.sock = sock
        self.index = index
        self.reader = Reader(sock, record=record)
        self.heads: list[RequestHead] = []
        self.requests: list[Request] = []
        self.ended = threading.Event()
        self.done = threading.Event()
        self.failure: BaseException | None = None

    def secure(self, wrap: Wrap) -> None:
        """Puts TLS over the connection, before anything is said.

        Raises:
            ssl.SSLError: the handshake failed.
        """
        self.sock = wrap(self.sock)
        self.reader.sock = self.sock

    @property
    def received(self) -> bytes:
        return bytes(self.reader.received)

    def head(self) -> RequestHead:
        """Reads a request head; the body is left to `reader`."""
        head = self.reader.request_head()
        self.heads.append(head)
        return head

    def request(self) -> Request:
        """Reads a whole request."""
        head = self.head()
        body = b"".join(self.reader.request_body(head))
        request = Request(head, body, self.reader.trailers)
        self.requests.append(request)
        return request

    def send(self, *pieces: bytes | threading.Event) -> None:
        """Sends each piece with a call of its own; an Event is a gate: what follows waits until it is set."""
        for piece in pieces:
            if isinstance(piece, threading.Event):
                self.wait(piece)
            else:
                self.sock.sendall(piece)

    def wait(self, gate: threading.Event) -> None:
        """Waits for a gate to open.

        Raises:
            ConnectionAbortedError: the upstream is closed meanwhile.
        """
        while not gate.wait(0.02):
            if self._closing.is_set():
                raise ConnectionAbortedError("the upstream was closed before a gate opened")

    def until_ended(self) -> None:
        """Swallows what comes until the gateway closes or resets."""
        with contextlib.suppress(ConnectionError):
            while self.reader.some(1 << 20):
                pass
        self.ended.set()

    def half_close(self) -> None:
        net.half_close(self.sock)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        net.reset(self.sock)


class Upstream:
    """Listens, and runs a script for each connection; a context manager.

    `script` is one function for every connection, or a sequence: the first connection runs the first, and so
    on, the last serving all further ones. A script that raises fails the test when the upstream is closed,
    except when the gateway ended the connection before or within a message, which `ended` tells. `wrap` puts
    TLS over each connection.
    """

    def __init__(
        self,
        script: Script | Sequence[Script],
        address: str = "127.0.0.1:0",
        *,
        record: bool = True,
        wrap: Wrap | None = None,
    ) -> None:
        self._scripts: Sequence[Script] = [script] if callable(script) else script
        self._record = record
        self._wrap = wrap
        self._sock = net.listen(address)
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self.address = net.join(self._sock)
        self.conversations: list[Conversation] = []
        self._acceptor = threading.Thread(target=self._accept, name=f"upstream {self.address}", daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        """As `targets` in a config wants it; one that speaks TLS is called localhost."""
        if self._wrap is not None:
            return f"https://localhost:{self.address.rpartition(':')[2]}"
        return self.address if self.address.startswith("unix:") else f"http://{self.address}"

    @property
    def requests(self) -> list[Request]:
        """All requests read completely, connection by connection."""
        return [request for conversation in list(self.conversations) for request in conversation.requests]

    @property
    def open(self) -> int:
        """Connections that neither side has ended, as far as known here."""
        return sum(not conversation.ended.is_set() for conversation in list(self.conversations))

    def conversation(self, index: int = 0, *, within: float = 5.0) -> Conversation:
        """The connection with that number, waited for."""
        eventually(
            lambda: len(self.conversations) > index, f"connection {index} to {self.address}", within=within
        )
        return self.conversations[index]

    def wait_requests(self, count: int, *, within: float = 5.0) -> list[Request]:
        """Waits for that many whole requests."""
        eventually(lambda: len(self.requests) >= count, f"{count} requests at {self.address}", within=within)
        return self.requests

    def close(self) -> None:
        """Ends everything.

        Raises:
            BaseExceptionGroup: scripts failed.
        """
        self._closing.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE)
        self._sock.close()
        for conversation in self.conversations:
            with contextlib.suppress(OSError):
                conversation.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        failures = [c.failure for c in self.conversations if c.failure is not None]
        if failures:
            raise BaseExceptionGroup(f"scripts of upstream {self.address} failed", failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(BaseExceptionGroup):
            self.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                if self._closing.is_set():
                    return
                raise
            if self._closing.is_set():
                sock.close()
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            index = len(self.conversations)
            conversation = Conversation(sock, index, self._closing, record=self._record)
            self.conversations.append(conversation)
            script = self._scripts[min(index, len(self._scripts) - 1)]
            thread = threading.Thread(target=self._run, args=(script, conversation), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, script: Script, conversation: Conversation) -> None:
        try:
            if self._wrap is not None:
                conversation.secure(self._wrap)
            script(conversation)
        except (ConnectionError, Truncated, ssl.SSLError):
            conversation.ended.set()
        except BaseException as error:  # noqa: BLE001 - handed to the test by close()
            closed_here = self._closing.is_set() or conversation.sock.fileno() < 0
            if not (closed_here and isinstance(error, OSError)):
                conversation.failure = error
        finally:
            conversation.ended.set()
            conversation.done.set()
            conversation.sock.close()
