"""The old config is freed: memory does not grow with reloads, whatever was open while they came."""

from typing import Any

import pytest

from tests.e2e.test_reload import reload
from tests.harness import Conversation, Gateway, Growth, Upstream, request

pytestmark = pytest.mark.sockets("there is an admin address")

ROUTES, BEFORE, RELOADS = 300, 20, 30
LEAK = 300 * 1024
"""A config of this size takes more, compiled: one in ten that stayed would be found."""


def config(target: str, turn: int) -> dict[str, Any]:
    """All its routes differ from those of the last turn, and so do its upstream's settings."""
    policies = [
        {"use": "headers", "request": {"set": {"X-Turn": f"{turn}", "X-Id": "{param:id}"}}},
        {"use": "cors", "origins": [f"https://{turn % 5}.example"]},
        {"use": "rate_limit", "rate": f"{turn % 7 + 1}000/s"},
    ]
    return {
        "admin": {"listen": "127.0.0.1:0"},
        "upstreams": {"shop": {"targets": [target], "pool": {"max_connections": 100 + turn % 3}}},
        "routes": [
            {"path": f"/r{number}/{{id}}", "upstream": "shop", "policies": policies}
            for number in range(ROUTES)
        ],
    }


def test_reloads_under_an_open_tunnel_leave_nothing() -> None:
    def script(peer: Conversation) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n")
        peer.until_ended()

    with (
        Upstream(script) as upstream,
        Gateway(config(upstream.url, 0)) as gateway,
        gateway.client() as tunnel,
    ):
        tunnel.send(request("GET", "/r0/1", [("Upgrade", "test"), ("Connection", "Upgrade")]))
        assert tunnel.head().status == 101
        for turn in range(1, BEFORE):  # the history of ten has filled up by then
            reload(gateway, config(upstream.url, turn))
        growth = Growth(gateway.pid)
        for turn in range(BEFORE, BEFORE + RELOADS):
            assert reload(gateway, config(upstream.url, turn))["outcome"] == "applied"
        assert growth.sample() < RELOADS * LEAK / 10
        assert tunnel.is_idle(), "the tunnel is open still"
