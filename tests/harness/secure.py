"""TLS ends that a test has in hand to the last byte, and a CA of the test's own."""

import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import trustme

Wrap = Callable[[socket.socket], socket.socket]


class Pair(NamedTuple):
    """The files of a certificate and its key."""

    cert: str
    key: str

    def config(self, **more: Any) -> dict[str, Any]:
        """As `tls` in a config has them."""
        return {"cert": self.cert, "key": self.key, **more}

    def replace(self, other: "Pair") -> None:
        """Puts another certificate in the place of this one."""
        Path(self.key).write_bytes(Path(other.key).read_bytes())
        Path(self.cert).write_bytes(Path(other.cert).read_bytes())


class Authority:
    """A certificate authority whose files are in `directory`; `pem` is its own certificate."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._ca = trustme.CA()
        self._directory = directory
        self._name = name
        self._issued = 0
        self.pem = str(directory / f"{name}.pem")
        self._ca.cert_pem.write_to_path(self.pem)

    def issue(
        self,
        *names: str,
        common_name: str | None = None,
        rsa: bool = False,
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> Pair:
        """A certificate for these names."""
        made = self._ca.issue_cert(
            *names,
            common_name=common_name,
            organization_name="Acme",
            organization_unit_name="Tests",
            key_type=trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA,
            not_before=begins,
            not_after=ends,
        )
        self._issued += 1
        cert, key = (self._directory / f"{self._name}-{self._issued}.{kind}.pem" for kind in ("cert", "key"))
        cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(key))
        return Pair(str(cert), str(key))

    def trusted(self, pair: Pair | None = None, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A client's context that trusts this CA and, with a pair, has a certificate of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.pem)
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context


def serving(pair: Pair, *, client_ca: str | None = None) -> ssl.SSLContext:
    """A server's context; with a CA, one that demands a certificate from clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


class TlsSocket(socket.socket):
    """A socket that speaks TLS from its constructor on.

    What is not overridden is the plain socket's: `shutdown(SHUT_WR)` ends without a close_notify, which
    `part` sends. `truncated` is set when the peer ended so. `step` sends the handshake in pieces of so many
    bytes.

    Raises:
        ssl.SSLError: the handshake failed.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        name: str | None = None,
        server: bool = False,
        session: ssl.SSLSession | None = None,
        step: int = 1 << 20,
    ) -> None:
        patience = sock.gettimeout()
        super().__init__(fileno=sock.detach())
        self.settimeout(patience)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.truncated = False
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server, server_hostname=name, session=session
        )
        try:
            self._shake(step)
        except BaseException:
            self.close()
            raise

    def _shake(self, step: int) -> None:
        while True:
            try:
                self.tls.do_handshake()
                self.push(step)
                return
            except ssl.SSLWantReadError:
                self.push(step)
                if not self._pull():
                    raise ssl.SSLEOFError("the peer ended the handshake") from None
            except ssl.SSLError:
                self.push(step)
                raise

    def push(self, step: int = 1 << 20) -> None:
        """Sends the records that are ready."""
        data = self._outgoing.read()
        for i in range(0, len(data), step):
            super().sendall(data[i : i + step])

    def _pull(self) -> bool:
        data = super().recv(65536)
        self._incoming.write(data)
        return bool(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                if not self._pull():
                    self.truncated = True
                    return b""

    def seal(self, data: bytes) -> bytes:
        """The records of some plain text, for the test to send as it likes."""
        for i in range(0, len(data), 16384):
            self.tls.write(data[i : i + 16384])
        return self._outgoing.read()

    def raw(self, data: bytes) -> None:
        """Sends bytes that no TLS is put around."""
        super().sendall(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        for i in range(0, len(data), 1 << 18):
            super().sendall(self.seal(data[i : i + (1 << 18)]))

    def part(self) -> None:
        """Sends close_notify, and goes on reading."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.push()


def client(context: ssl.SSLContext, name: str | None = "gateway.test", **options: Any) -> Wrap:
    """For `Client(..., wrap=...)`."""
    return lambda sock: TlsSocket(sock, context, name=name, **options)


def server(context: ssl.SSLContext) -> Wrap:
    """For `Upstream(..., wrap=...)`."""
    return lambda sock: TlsSocket(sock, context, server=True)
