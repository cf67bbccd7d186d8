"""Long bodies through one connection, while the memory of the gateway is watched."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from .process import Gateway, memory
from .results import Stream

GIBIBYTE: Final = 1 << 30
BLOCK: Final = bytes(1 << 20)


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def _head(connection: socket.socket) -> int:
    """Reads the head; returns how many bytes of content came with it. Raises RuntimeError unless 200."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            raise RuntimeError(f"closed within the head: {head!r}")
        head += data
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"refused: {head[:200]!r}")
    return len(head) - head.index(b"\r\n\r\n") - 4


def _drain(connection: socket.socket, left: int) -> None:
    buffer = bytearray(1 << 20)
    while left > 0:
        got = connection.recv_into(buffer)
        if not got:
            raise RuntimeError(f"cut {left} bytes before its end")
        left -= got


def download(port: int, size: int) -> None:
    with _connect(port) as connection:
        connection.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
        _drain(connection, size - _head(connection))


def upload(port: int, size: int) -> None:
    with _connect(port) as connection:
        connection.sendall(b"POST /ack HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(BLOCK)):
            connection.sendall(BLOCK)
        _head(connection)


def slow_reader(port: int, size: int) -> None:
    """Asks for everything and reads nothing for two seconds, then a little at a time for one more."""
    with _connect(port) as connection:
        connection.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
        time.sleep(2)
        _head(connection)
        for _ in range(100):
            connection.recv(4096)
            time.sleep(0.01)


def measure(gateway: Gateway, size: int = GIBIBYTE) -> list[Stream]:
    """Each in turn, after a short one that warms what is allocated once."""
    found = []
    kinds: dict[str, Callable[[int, int], None]] = {
        "download": download,
        "upload": upload,
        "slow reader": slow_reader,
    }
    for what, transfer in kinds.items():
        (download if transfer is slow_reader else transfer)(gateway.port, 1 << 20)
        found.append(_watched(gateway, what, transfer, size))
    return found


def _watched(gateway: Gateway, what: str, transfer: Callable[[int, int], None], size: int) -> Stream:
    pids = gateway.pids()
    before = peak = memory(pids).pss
    error: list[BaseException] = []

    def work() -> None:
        try:
            transfer(gateway.port, size)
        except (OSError, RuntimeError) as cause:
            error.append(cause)

    began = time.perf_counter()
    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        peak = max(peak, memory(pids).pss)
        worker.join(0.02)
    if error:
        raise RuntimeError(f"{gateway.peer.name}: {what}: {error[0]}") from error[0]
    return Stream(gateway.peer.name, what, before, peak, time.perf_counter() - began)
