"""Upstream, gateway and client in a row: what most end-to-end tests start from."""

import fcntl
import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.harness.client import Client
from tests.harness.gateway import Gateway, proxy
from tests.harness.upstream import Script, Upstream
from tests.harness.wait import eventually
from tests.harness.wire import Response

SIOCOUTQ = 0x5411


class Rig(NamedTuple):
    client: Client
    upstream: Upstream
    gateway: Gateway


@contextmanager
def through(
    script: Script | Sequence[Script], *, record: bool = True, rcvbuf: int | None = None, **config: Any
) -> Iterator[Rig]:
    """A client of a gateway that sends everything to an upstream running the script.

    `config` is as for `proxy`: `upstream={...}` are settings of the upstream, the rest top-level keys.
    """
    with (
        Upstream(script, record=record) as upstream,
        Gateway(proxy(upstream.url, **config)) as gateway,
        gateway.client(rcvbuf=rcvbuf, record=record) as client,
    ):
        yield Rig(client, upstream, gateway)


def wait_taken(client: Client, *, within: float = 5.0) -> None:
    """Waits until the gateway has read all that the client sent.

    Only over a Unix socket, where the kernel counts as unsent what the receiver has not read (SIOCOUTQ).
    """

    def waiting() -> int:
        count: int = struct.unpack("i", fcntl.ioctl(client.sock, SIOCOUTQ, bytes(4)))[0]
        return count

    eventually(lambda: waiting() == 0, "the gateway takes what was sent", within=within)


def assert_problem(response: Response, status: int, error: str | None = None) -> None:
    """The gateway's own error: RFC 9457 body, and the reason by RFC 9209."""
    assert response.status == status, response
    assert response.headers.get("Content-Type") == "application/problem+json"
    told = json.loads(response.body)
    assert told["status"] == status
    assert told["title"]
    reason = response.headers.get("Proxy-Status")
    assert reason is not None
    assert "error=" in reason
    if error is not None:
        assert f"error={error}" in reason.replace(" ", "").split(";")[1:], reason
