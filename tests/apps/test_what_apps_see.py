"""An app sees a request as though its client had come to it alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.apps.shop import answer_of, config
from tests.harness.gateway import Gateway

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

BOTH = {"legacy": {"wsgi": "hosted:app"}, "modern": {"asgi": "hosted:modern"}}


def environ(gateway: Gateway, **headers: str) -> dict[str, str]:
    found: dict[str, str] = answer_of(gateway, "legacy", **headers)["environ"]
    return found


def scope(gateway: Gateway, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = answer_of(gateway, "modern", **headers)["scope"]
    return {**found, "headers": dict(found["headers"])}


def test_a_client_that_comes_to_the_gateway(shop: Path) -> None:
    with Gateway(config(**BOTH), cwd=shop) as gateway:
        seen = environ(gateway, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https")
        host, _, port = gateway.address.partition(":")
        assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("127.0.0.1", "http")
        assert (seen["HTTP_HOST"], seen["SERVER_NAME"], seen["SERVER_PORT"]) == (gateway.address, host, port)
        told = {name for name in seen if name.startswith(("HTTP_X_", "HTTP_VIA", "HTTP_FORWARDED"))}
        assert not told, "what the gateway adds, and what a client makes up, is gone"

        found = scope(gateway, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https")
        assert (found["client"], found["scheme"]) == (["127.0.0.1", 0], "http")
        assert found["headers"].keys() == {"host", "accept-encoding"}


def test_a_client_of_a_proxy_that_is_trusted(shop: Path) -> None:
    """As gunicorn and uvicorn have it behind one: the environ as that proxy says, the scope resolved."""
    behind = config(**BOTH)
    behind["server"]["trusted_proxies"] = ["127.0.0.0/8"]
    fields = {
        "X_Forwarded_For": "192.0.2.66, 203.0.113.9, 127.0.0.7",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "shop.example",
        "Via": "1.1 edge",
    }
    with Gateway(behind, cwd=shop) as gateway:
        seen = environ(gateway, **fields)
        assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("127.0.0.1", "https")
        assert seen["HTTP_X_FORWARDED_FOR"] == fields["X_Forwarded_For"]
        assert (seen["HTTP_X_FORWARDED_PROTO"], seen["HTTP_X_FORWARDED_HOST"]) == ("https", "shop.example")
        assert seen["HTTP_VIA"] == "1.1 edge"

        found = scope(gateway, **fields)
        assert (found["client"], found["scheme"]) == (["203.0.113.9", 0], "https")
        assert found["headers"]["x-forwarded-for"] == fields["X_Forwarded_For"]
        assert found["headers"]["via"] == "1.1 edge"


def test_what_the_gateway_adds_where_it_is_asked_for(shop: Path) -> None:
    apps = {name: {**app, "forwarded": True} for name, app in BOTH.items()}
    with Gateway(config(**apps), cwd=shop) as gateway:
        seen = environ(gateway)
        assert (seen["HTTP_X_FORWARDED_FOR"], seen["HTTP_X_FORWARDED_PROTO"]) == ("127.0.0.1", "http")
        assert seen["HTTP_VIA"].startswith("1.1 tetrapylon-")
        assert scope(gateway)["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_a_client_changes_nothing_else_of_the_environment(shop: Path) -> None:
    """gunicorn takes these from whoever comes by a Unix socket."""
    fields = {"X_Forwarded_Ssl": "on", "X_Forwarded_Protocol": "ssl"}
    with Gateway(config(**BOTH), cwd=shop) as gateway:
        with gateway.client() as client:
            client.send(
                b"GET /legacy/a HTTP/1.1\r\nHost: shop.example\r\nSCRIPT_NAME: /evil\r\nPATH_INFO: /evil\r\n"
                b"REMOTE_USER: root\r\n\r\n"
            )
            seen = json.loads(client.response().body)["environ"]
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("", "/a")
        assert "REMOTE_USER" not in seen
        assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("shop.example", "80")
        assert environ(gateway, **fields)["wsgi.url_scheme"] == "http"


def test_what_is_left_of_the_time_for_an_answer(shop: Path) -> None:
    told = config(**BOTH)
    for route in told["routes"]:
        route["timeouts"] = {"total": "9s"} if "app" in route else {}
    with Gateway(told, cwd=shop) as gateway:
        assert 0 < int(environ(gateway, X_Deadline_Ms="99999")["HTTP_X_DEADLINE_MS"]) <= 9000
        assert 0 < int(scope(gateway)["headers"]["x-deadline-ms"]) <= 9000


def test_a_websocket(shop: Path) -> None:
    async def first(address: str) -> str:
        async with connect(f"ws://{address}/modern/ws") as socket:
            return str(await socket.recv())

    with Gateway(config(**BOTH), cwd=shop) as gateway:
        assert asyncio.run(first(gateway.address)) == "127.0.0.1 ws"
