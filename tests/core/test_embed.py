"""The gateway on a loop of one's own, asyncio's or uvloop's, by protocol or by socket."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

import tetrapylon
from tests.harness import Client, Conversation, Truncated, Upstream, answers, leaks
from tetrapylon._core.downstream import Gateway
from tetrapylon._core.exchange import live_exchanges

Serve = Callable[[Gateway, socket.socket], Awaitable[asyncio.Server | None]]


async def by_protocol(gateway: Gateway, sock: socket.socket) -> asyncio.Server | None:
    return await asyncio.get_running_loop().create_server(gateway.protocol_factory, sock=sock)


async def by_socket(gateway: Gateway, sock: socket.socket) -> asyncio.Server | None:
    gateway.listen(sock)
    return None


def config(url: str) -> tetrapylon.Config:
    return tetrapylon.Config(
        log=tetrapylon.Log(access=None),
        upstreams={"backend": tetrapylon.Upstream(targets=(tetrapylon.Target(url=url),))},
        routes=(
            tetrapylon.Route(path="/{rest:path}", upstream="backend"),
            tetrapylon.Route(path="/ping", respond=tetrapylon.Respond(body="pong")),
        ),
    )


def sockets() -> set[str]:
    """Those that this process holds open."""
    return {link for link in leaks.descriptors(os.getpid()).values() if link.startswith("socket:")}


def ask(address: str) -> None:
    """A blocking client's view, from a thread."""
    with Client(address) as client:
        assert client.ask("GET", "/ping").body == b"pong"
        assert client.ask("GET", "/small").status == 200
        assert client.ask("POST", "/sent", body=b"x" * 100_000).status == 200
        assert client.ask("GET", "/../..//ping").body == b"pong"


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("serve", [by_protocol, by_socket])
def test_serves_on_any_loop_and_leaves_nothing_behind(
    new_loop: Callable[[], asyncio.AbstractEventLoop], serve: Serve
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        gateway = tetrapylon.embed(config(upstream.url), loop)
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        host, port = sock.getsockname()
        try:
            server = await serve(gateway, sock)
            await asyncio.gather(*(asyncio.to_thread(ask, f"{host}:{port}") for _ in range(4)))
            if server is not None:
                server.close()
            gateway.drain()
            while gateway.active:  # noqa: ASYNC110 - the gateway tells nobody
                await asyncio.sleep(0)
            assert live_exchanges() == 0
        finally:
            gateway.close()
            sock.close()

    with Upstream(answers.ok) as upstream:
        loop = new_loop()
        try:
            loop.run_until_complete(asyncio.wait_for(main(), 20))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


@pytest.mark.parametrize("serve", [by_protocol, by_socket])
def test_nothing_is_left_of_answers_that_were_cut(serve: Serve) -> None:
    def cut(address: str) -> None:
        for _ in range(10):
            with Client(address) as client, pytest.raises(Truncated):
                client.ask("GET", "/cut")
        with Client(address) as client:
            assert client.ask("GET", "/small").status == 200

    def script(peer: Conversation) -> None:
        whole = peer.request().target == "/small"
        peer.send(answers.response(b"half" if whole else b"half and half")[: None if whole else -9])
        if whole:
            peer.until_ended()

    async def main() -> None:
        before = sockets()
        with Upstream(script) as upstream:
            gateway = tetrapylon.embed(config(upstream.url), asyncio.get_running_loop())
            sock = socket.create_server(("127.0.0.1", 0))
            sock.setblocking(False)
            host, port = sock.getsockname()
            server = await serve(gateway, sock)
            await asyncio.to_thread(cut, f"{host}:{port}")
            if server is not None:
                server.close()
                await server.wait_closed()
            while gateway.active:  # noqa: ASYNC110 - the gateway tells nobody
                await asyncio.sleep(0)
            gateway.close()
            sock.close()
        assert live_exchanges() == 0
        assert sockets() == before

    uvloop.run(asyncio.wait_for(main(), 20))


def test_a_config_that_cannot_be_served_is_refused() -> None:
    bad = tetrapylon.Config(routes=(tetrapylon.Route(path="/x", upstream="nobody"),))
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(tetrapylon.ConfigError, match="nobody"):
            tetrapylon.embed(bad, loop)
    finally:
        loop.close()
