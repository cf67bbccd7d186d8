"""The end, as load balancers see it: first it is announced, then nobody new is let in."""

import signal

import pytest

from tests.harness import Gateway, ask, eventually, routed

pytestmark = pytest.mark.sockets("signals are the command's")

PING = {"path": "/", "respond": {"body": "pong"}}


def config(delay: str) -> dict[str, object]:
    server = {"timeouts": {"shutdown_delay": delay, "drain": "1s"}}
    return routed([PING], server=server, admin={"listen": "127.0.0.1:0"})


def ready(gateway: Gateway) -> int:
    return gateway.operate("/readyz").status


def test_who_balances_is_told_before_connections_are_refused() -> None:
    with Gateway(config("700ms")) as gateway:
        assert ready(gateway) == 200
        gateway.signal(signal.SIGTERM)
        eventually(lambda: ready(gateway) == 503, "probes fail")
        assert ask(gateway.address).status == 200, "a client that comes meanwhile is served"
        assert gateway.wait() == 0
        with pytest.raises(ConnectionRefusedError):
            ask(gateway.address)


def test_a_second_term_ends_the_wait() -> None:
    with Gateway(config("1h")) as gateway:
        gateway.signal(signal.SIGTERM)
        eventually(lambda: ready(gateway) == 503, "probes fail")
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0


def test_at_a_keyboard_nobody_waits_for_balancers() -> None:
    with Gateway(config("1h")) as gateway:
        gateway.signal(signal.SIGINT)
        assert gateway.wait() == 0
