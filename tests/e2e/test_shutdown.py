"""The end, as load balancers see it: first it is announced, then nobody new is let in."""

import signal

import pytest

from tests.e2e.test_reload import metric
from tests.harness import (
    Conversation,
    Gateway,
    Rig,
    Truncated,
    answers,
    ask,
    assert_problem,
    eventually,
    request,
    routed,
    through,
)

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


def halfway(peer: Conversation) -> None:
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    answers.silent(peer)


DRAIN = {"timeouts": {"drain": "200ms"}}


def under_way(rig: Rig) -> None:
    rig.client.send(request())
    eventually(lambda: any(each.heads for each in rig.upstream.conversations), "the upstream has the request")


def test_who_has_no_answer_when_the_time_is_over_gets_503() -> None:
    with through(answers.silent_after_head, server=DRAIN) as rig:
        under_way(rig)
        client, _, gateway = rig
        gateway.signal(signal.SIGTERM)
        answer = client.response()
        assert_problem(answer, 503, "destination_unavailable")
        assert answer.headers.get("Retry-After") == "1"
        assert client.is_closed()
        assert gateway.wait() == 0
        (line,) = gateway.access_log
        assert (line["status"], line["error"]) == (503, "stopping"), "it was not the client who went"


def test_an_answer_that_has_begun_is_cut_and_never_made_whole() -> None:
    with through(halfway, server=DRAIN) as (client, _, gateway):
        assert client.send(request()).head().status == 200
        gateway.signal(signal.SIGTERM)
        with pytest.raises((Truncated, ConnectionError)):
            client.reader.exactly(10)
        assert gateway.wait() == 0
        (line,) = gateway.access_log
        assert (line["status"], line["error"]) == (200, "stopping")


def test_what_is_refused_for_the_end_is_counted() -> None:
    """A worker that another has taken the place of ends; its counts go on."""
    with through(answers.silent_after_head, server=DRAIN, admin={"listen": "127.0.0.1:0"}) as rig:
        under_way(rig)
        client, _, gateway = rig
        gateway.signal(signal.SIGUSR2)
        name = "tetrapylon_rejects_total"
        eventually(lambda: metric(gateway, name, reason="draining_now") == 1, "it is counted", within=60)
        assert_problem(client.response(), 503, "destination_unavailable")


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
