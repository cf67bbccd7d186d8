"""The upstream of all cases: reads strictly, and answers as the case on trial has it."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from tests.conformance.case import Act, Case, Seen, answer
from tests.harness import net
from tests.harness.wire import Reader, Request, RequestHead, Truncated, WireError, collect

PATIENCE = 20.0
SPLIT_MAX = 1024  # bytes of a piece that go one by one


def send(sock: socket.socket, data: bytes, split: bool) -> None:
    """In one piece, or every byte in a segment of its own."""
    if split:
        for i in range(min(len(data), SPLIT_MAX)):
            sock.send(data[i : i + 1])
        data = data[SPLIT_MAX:]
    if data:
        sock.sendall(data)


class Trial:
    """One run of a case, as the upstream takes part in it."""

    def __init__(self, case: Case, *, split: bool, patience: float) -> None:
        self.case = case
        self.patience = patience  # s, for whatever has to happen
        self.split = split
        self.seen = Seen()
        self.gate = threading.Event()  # the client has its answers
        self.served: list[threading.Event] = []  # one for each connection that answered: it has ended


class Origin:
    """Listens on a free port; `trial` is what its connections play."""

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.sock = net.listen()
        self.address = net.join(self.sock)
        self.port = self.sock.getsockname()[1]
        self._socks: set[socket.socket] = set()
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for sock in [self.sock, *self._socks]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE)
        self.sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                if self._closing:
                    return
                raise
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(600)
            self._socks.add(sock)
            threading.Thread(target=self._converse, args=(sock,), daemon=True).start()

    def _converse(self, sock: socket.socket) -> None:
        ended = threading.Event()
        try:
            self._serve(sock, Reader(sock, record=False), ended)
        except OSError:
            pass  # the proxy reset the connection, which `ended` tells
        finally:
            ended.set()
            self._socks.discard(sock)
            sock.close()

    def _serve(self, sock: socket.socket, reader: Reader, ended: threading.Event) -> None:
        while not reader.at_end():
            trial = self.trial
            assert trial is not None
            try:
                head = reader.request_head()
                served = self._of_case(head)
                if served and trial.case.early and not self._play(sock, trial, ended):
                    return
                request = Request(head, collect(reader.request_body(head)), reader.trailers)
            except Truncated:
                trial.seen.partial += 1
                return
            except WireError as error:
                trial.seen.violations.append(f"{error} {reader.buffered()[:200]!r}")
                sock.sendall(b"HTTP/1.1 400 Violation\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if served:
                trial.seen.requests.append(request)
                if not trial.case.early and not self._play(sock, trial, ended):
                    return
                continue
            name = request.target.rpartition("/")[2].encode("latin-1")
            if name == b"hidden":
                trial.seen.hidden = True
            body = b"this is " + name
            fields = (b"X-Plain: " + name, b"Content-Length: %d" % len(body))
            sock.sendall(answer(*fields, body=b"" if request.method == "HEAD" else body))

    @staticmethod
    def _of_case(head: RequestHead) -> bool:
        return not any(word in head.target for word in ("/after", "/hidden", "/probe"))

    @staticmethod
    def _play(sock: socket.socket, trial: Trial, ended: threading.Event) -> bool:
        """Answers as the case has it; whether the connection goes on."""
        trial.served.append(ended)
        for piece in trial.case.answers:
            if piece is Act.CLOSE:
                ended.set()
                return False
            if piece is Act.RESET:
                ended.set()
                net.reset(sock)
                return False
            if piece is Act.GATE:
                trial.gate.wait(PATIENCE)
            elif isinstance(piece, bytes):
                send(sock, piece, trial.split)
        return True
