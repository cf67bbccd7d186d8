"""Where the gateway listens and what it connects to: TCP, IPv6, Unix sockets, names, several targets."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness import Client, Gateway, Upstream, answers, ask, net, proxy


def place(kind: str, directory: Path, name: str) -> str:
    return f"unix:{directory}/{name}" if kind == "unix" else {"v4": "127.0.0.1:0", "v6": "[::1]:0"}[kind]


@pytest.mark.parametrize("inside", ["v4", "v6", "unix"])
@pytest.mark.parametrize("outside", ["v4", "v6", "unix"])
def test_every_kind_on_either_side(outside: str, inside: str, tmp_path: Path) -> None:
    with Upstream(answers.echo, place(inside, tmp_path, "inside")) as upstream:
        config = proxy(upstream.url, server={"listen": [place(outside, tmp_path, "outside")]})
        with Gateway(config) as gateway, gateway.client() as client:
            for number in range(3):
                assert answers.told(client.ask("GET", f"/{number}").body)["target"] == f"/{number}"
            assert len(upstream.conversations) == 1


def test_several_listeners(tmp_path: Path) -> None:
    listen = ["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/socket"]
    with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, server={"listen": listen})) as gateway:
        assert len(gateway.addresses) == 3
        assert [ask(address).body for address in gateway.addresses] == [b"ok"] * 3


@pytest.mark.sockets("a program that embeds the gateway makes its own listeners")
def test_a_stale_socket_file_is_replaced_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    net.listen(f"unix:{path}").close()
    config = {"server": {"listen": [f"unix:{path}"]}, "routes": [{"path": "/", "respond": {"body": "hi"}}]}
    with Gateway(config) as gateway:
        assert ask(gateway.address).body == b"hi"
    assert not path.exists()


def test_the_client_over_a_unix_socket_has_no_address(tmp_path: Path) -> None:
    with (
        Upstream(answers.ok) as upstream,
        Gateway(proxy(upstream.url, server={"listen": [f"unix:{tmp_path}/socket"]})) as gateway,
    ):
        assert ask(gateway.address, headers=[("X-Forwarded-For", "6.6.6.6")]).status == 200
        assert "6.6.6.6" not in (upstream.requests[0].headers.get("X-Forwarded-For") or "")


def test_a_target_by_name() -> None:
    with Upstream(answers.ok) as upstream:
        port = upstream.address.rpartition(":")[2]
        with Gateway(proxy(f"http://localhost:{port}")) as gateway, gateway.client() as client:
            assert [client.ask().body for _ in range(3)] == [b"ok"] * 3


def test_several_targets_take_turns() -> None:
    with ExitStack() as stack:
        upstreams = [stack.enter_context(Upstream(answers.named(name))) for name in ("a", "b", "c")]
        gateway = stack.enter_context(Gateway(proxy(*(upstream.url for upstream in upstreams))))
        client = stack.enter_context(Client(gateway.address))
        bodies = [client.ask().body for _ in range(9)]
        assert Counter(bodies) == {b"a": 3, b"b": 3, b"c": 3}
        assert bodies[:3] == bodies[3:6] == bodies[6:]


def test_weights_are_shares() -> None:
    with Upstream(answers.named("a")) as one, Upstream(answers.named("b")) as two:
        config = proxy(upstream={"targets": [one.url, {"url": two.url, "weight": 3}]})
        with Gateway(config) as gateway, gateway.client() as client:
            assert Counter(client.ask().body for _ in range(40)) == {b"a": 10, b"b": 30}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_target_that_refuses_is_passed_over(method: str) -> None:
    with Upstream(answers.ok) as upstream:
        config = proxy(f"http://{net.refused()}", upstream.url)
        with Gateway(config) as gateway, gateway.client() as client:
            body = b"x" if method == "POST" else None
            assert [client.ask(method, "/", body=body).status for _ in range(6)] == [200] * 6
