"""How the verbs that act on a running gateway reach its admin address."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tetrapylon.errors import ConfigError, TetrapylonError, UsageError

if TYPE_CHECKING:
    import ssl

__all__ = ["Refused", "add_admin", "ask", "ask_raw", "reach"]

PIECE = 65536

TOKEN = "TETRAPYLON_ADMIN_TOKEN"
CA = "TETRAPYLON_ADMIN_CA"
CERT = "TETRAPYLON_ADMIN_CERT"
KEY = "TETRAPYLON_ADMIN_KEY"
DEFAULT = "127.0.0.1:9901"
PATIENCE = 200.0


class Refused(TetrapylonError):
    """The gateway says no; `told` is its problem (RFC 9457)."""

    def __init__(self, status: int, told: dict[str, Any]) -> None:
        self.status = status
        self.told = told
        super().__init__(told.get("detail") or f"the gateway answered with status {status}")


class Admin(NamedTuple):
    address: str
    token: str | None = None
    pinned: str | None = None
    """A file with the very certificate that is expected there, whatever name it is for."""


def add_admin(parser: argparse.ArgumentParser) -> None:
    """CONFIG, which tells the admin address and its token, and what takes its place."""
    parser.add_argument(
        "config",
        metavar="CONFIG",
        nargs="?",
        help="the config whose admin address is asked (default: gateway.yaml if there is one)",
    )
    parser.add_argument(
        "--admin",
        metavar="ADDRESS",
        help=f"host:port, http://host:port, https://host:port or unix:/path of the admin address, in place of"
        f" the config's; its token, if it wants one, is taken from {TOKEN}, and for https the CA that signed"
        f" its certificate and a certificate to show from the files in {CA}, {CERT} and {KEY}",
    )


def reach(arguments: argparse.Namespace) -> Admin:
    """Where to ask. Raises UsageError."""
    token = os.environ.get(TOKEN)
    if arguments.admin is not None:
        return Admin(arguments.admin, token)
    source = arguments.config
    if source is None:
        if not os.path.exists("gateway.yaml"):
            return Admin(DEFAULT, token)
        source = "gateway.yaml"
    from tetrapylon.config import load

    try:
        admin = load(source).admin
    except ConfigError as error:
        raise UsageError(
            f"{source} has problems, so it does not tell where the gateway is; say it with --admin\n{error}"
        ) from None
    if admin is None:
        raise UsageError(f"{source} has no admin address; give it one, or say where with --admin")
    if admin.listen.endswith(":0"):
        raise UsageError(f"{source} lets the system choose the admin port; say it with --admin")
    if admin.tls is not None:
        return Admin(f"https://{admin.listen}", token or admin.token, admin.tls.cert)
    return Admin(admin.listen, token or admin.token)


def ask(admin: Admin, method: str, path: str) -> Any:
    """What it answers, read as JSON. Raises Refused, and TetrapylonError where nobody answers."""
    return _read(admin, path, b"".join(ask_raw(admin, method, path)))


def ask_raw(admin: Admin, method: str, path: str) -> Iterator[bytes]:
    """What it answers, in pieces. Raises as `ask` does."""
    connection = _connection(admin)
    headers = {"Authorization": f"Bearer {admin.token}"} if admin.token else {}
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        if response.status >= 400:
            raise Refused(response.status, _read(admin, path, response.read()))
        while piece := response.read(PIECE):
            yield piece
    except (OSError, http.client.HTTPException) as error:
        raise TetrapylonError(
            f"nobody answers at the admin address {admin.address}: {error}; does the gateway run there?"
        ) from None
    finally:
        connection.close()


def _read(admin: Admin, path: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise TetrapylonError(f"{admin.address}{path} does not answer as a gateway's admin address") from None


def _connection(admin: Admin) -> http.client.HTTPConnection:
    address = admin.address
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"))
    scheme, _, rest = address.rpartition("://")
    host = rest.rstrip("/")
    if scheme == "https":
        return http.client.HTTPSConnection(host, timeout=PATIENCE, context=_context(admin.pinned))
    return http.client.HTTPConnection(host, timeout=PATIENCE)


def _context(pinned: str | None) -> ssl.SSLContext:
    """Raises UsageError for a file that cannot be used."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=os.environ.get(CA) or pinned)
        if pinned is not None and CA not in os.environ:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.check_hostname = False  # it is that one certificate, or none
        if cert := os.environ.get(CERT):
            context.load_cert_chain(cert, os.environ.get(KEY))
    except OSError as error:
        raise UsageError(f"the files in {CA}, {CERT} and {KEY} cannot be used: {error}") from None
    return context


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
