"""A DNS server whose records a test changes: A, AAAA, SRV and CNAME over UDP (RFC 1035, RFC 2782)."""

import ipaddress
import socket
import struct
import threading
from types import TracebackType
from typing import NamedTuple, Self

A, CNAME, AAAA, SRV = 1, 5, 28, 33
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class Record(NamedTuple):
    kind: int
    data: bytes
    ttl: int


def name_of(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.strip(".").split(".")) + b"\0"


def address(text: str, ttl: int = 1) -> Record:
    found = ipaddress.ip_address(text)
    return Record(A if found.version == 4 else AAAA, found.packed, ttl)


def service(priority: int, weight: int, port: int, host: str, ttl: int = 1) -> Record:
    return Record(SRV, struct.pack("!HHH", priority, weight, port) + name_of(host), ttl)


class DnsServer:
    """`records` by name; one that is not there does not exist. `failing`: SERVFAIL. `silent`: no answer."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}
        self.failing = False
        self.silent = False
        self.asked = 0
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._sock.getsockname()[1]}"

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._sock.getsockname())
        self._thread.join(5)
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._sock.recvfrom(4096)
            if not data:
                return
            self.asked += 1
            if not self.silent:
                self._sock.sendto(self._answer(data), peer)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode().lower())
            at += length + 1
        question = query[12 : at + 5]
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        known = self.records.get(".".join(labels))
        code = SERVFAIL if self.failing else NXDOMAIN if known is None else NOERROR
        found = [] if code else [record for record in known or () if record.kind == kind]
        # A pointer to the question's name, at offset 12 (RFC 1035, 4.1.4).
        answers = b"".join(
            struct.pack("!HHHIH", 0xC00C, record.kind, 1, record.ttl, len(record.data)) + record.data
            for record in found
        )
        return query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(found), 0, 0) + question + answers
