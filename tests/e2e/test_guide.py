"""docs/guide.md as its reader would follow it: the first config, and the program that embeds a gateway."""

import asyncio
import re
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers
from tests.meta.source import ROOT

PAGE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


def block(section: str, language: str) -> str:
    """The first block of the section."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def put(text: str, places: dict[str, str]) -> str:
    """With ports that the system gave, in place of those that the page names."""
    for named, given in places.items():
        assert named in text
        text = text.replace(named, given)
    return text


def test_the_smallest_config_proxies() -> None:
    with Upstream(answers.echo) as upstream:
        config = put(block("Your own service", "yaml"), {"http://127.0.0.1:5000": upstream.url})
        with Gateway(config, "--listen", "127.0.0.1:0") as gateway, gateway.client() as client:
            response = client.ask("GET", "/any/path?x=1")
            assert (response.status, answers.told(response.body)["target"]) == (200, "/any/path?x=1")
        assert [line["route"] for line in gateway.access_log] == ["/{rest:path}"]


@pytest.mark.sockets("asyncio's own server listens")
def test_the_program_with_a_gateway_inside_serves() -> None:
    program, _, _ = block("Inside a program of your own", "python").partition("asyncio.run(main())")
    with Upstream(answers.echo) as upstream, socket.create_server(("127.0.0.1", 0)) as listening:
        program = put(program, {"http://127.0.0.1:9000": upstream.url, '"127.0.0.1", 8080': "sock=listening"})
        names: dict[str, Any] = {"listening": listening}
        exec(program, names)
        status, body = asyncio.run(asked_beside(names["main"], listening.getsockname()[1]))
    assert (status, answers.told(body)["target"]) == (200, "/inside")


async def asked_beside(main: Callable[[], Coroutine[Any, Any, None]], port: int) -> tuple[int, bytes]:
    """What one request is answered while `main` runs, which never ends by itself."""

    def ask() -> tuple[int, bytes]:
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("GET", "/inside", headers={"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read()

    serving = asyncio.create_task(main())
    try:
        return await asyncio.to_thread(ask)
    finally:
        serving.cancel()
