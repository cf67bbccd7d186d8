"""Apps hosted by a real gateway, under real gunicorn and uvicorn."""

from __future__ import annotations

import os
import signal
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.harness.gateway import Gateway
from tests.harness.wait import eventually

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

APPS = """
import os

VERSION = 1

def app(environ, start_response):
    said = [environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]]
    said += [environ.get("HTTP_X_DEADLINE_MS", "none"), str(os.getpid()), str(VERSION)]
    if environ["PATH_INFO"] == "/exit":
        os.kill(os.getppid(), 9)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["|".join(said).encode()]

async def modern(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    body = f"{scope['client'][0]}|{scope['scheme']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "hosted_shop.py").write_text(APPS)
    return tmp_path


def config(**apps: Any) -> dict[str, Any]:
    routes: list[dict[str, Any]] = [
        {"path": f"/{name}/{{rest:path}}", "rewrite": "/{rest}", "app": name, "timeouts": {"total": "9s"}}
        for name in apps
    ]
    return {
        "server": {"listen": ["127.0.0.1:0"], "timeouts": {"drain": "1s"}},
        "apps": apps,
        "routes": [*routes, {"path": "/ping", "respond": {"body": "pong"}}],
    }


def ask(gateway: Gateway, target: str) -> tuple[int, str, str]:
    """Status, body and Proxy-Status."""
    connection = HTTPConnection(gateway.address, timeout=10)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers.get("Proxy-Status", "")
    finally:
        connection.close()


def test_the_request_reaches_the_app_as_the_client_made_it(shop: Path) -> None:
    with Gateway(
        config(legacy={"wsgi": "hosted_shop:app"}, modern={"asgi": "hosted_shop:modern"}), cwd=shop
    ) as g:
        status, body, _ = ask(g, "/legacy/a")
        address, scheme, host, deadline, _, _ = body.split("|")
        assert (status, address, scheme) == (200, "127.0.0.1", "http")
        assert host == g.address
        assert 0 < int(deadline) <= 9000
        assert ask(g, "/modern/a")[:2] == (200, "127.0.0.1|http")


def test_an_app_that_does_not_import_is_named_and_the_rest_serves(shop: Path) -> None:
    with Gateway(config(broken={"wsgi": "no_such_module:app"}), cwd=shop, tracebacks=True) as g:
        assert ask(g, "/ping")[:2] == (200, "pong")
        status, _, proxy_status = ask(g, "/broken/a")
        assert status == 503
        assert "error=destination_unavailable" in proxy_status
        eventually(
            lambda: any("app broken exited with status 3: " in line for line in g.lines), "its end in the log"
        )
        assert any("there is no module no_such_module" in line for line in g.lines)


def test_a_server_that_dies_is_replaced(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted_shop:app"}), cwd=shop) as g:
        ask(g, "/legacy/exit")
        eventually(
            lambda: any("app legacy was killed by SIGKILL" in line for line in g.lines), "its end in the log"
        )
        eventually(lambda: ask(g, "/legacy/a")[0] == 200, "it answers again")


def test_a_reload_keeps_what_serves_until_its_successor_does(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted_shop:app"}), cwd=shop, tracebacks=True) as g:
        before = ask(g, "/legacy/a")[1].split("|")[4]
        g.write(config(legacy={"wsgi": "no_such_module:app"}))
        g.process.send_signal(signal.SIGHUP)
        eventually(
            lambda: any("app legacy exited with status 3" in line for line in g.lines), "its end in the log"
        )
        assert ask(g, "/legacy/a")[1].split("|")[4] == before
        g.write(config(legacy={"wsgi": "hosted_shop:app", "threads": 2}))
        g.process.send_signal(signal.SIGHUP)
        eventually(lambda: answer_of(g) != before, "the successor answers")
        os.kill(int(answer_of(g)), 0)


def answer_of(gateway: Gateway) -> str:
    status, body, _ = ask(gateway, "/legacy/a")
    assert status == 200
    return body.split("|")[4]


def test_nothing_is_left_behind(shop: Path) -> None:
    with TemporaryDirectory(prefix="apps-") as name:
        run = Path(name)
        leaves_nothing(shop, run)


def leaves_nothing(shop: Path, run: Path) -> None:
    with Gateway(
        config(legacy={"wsgi": "hosted_shop:app"}), cwd=shop, env={"RUNTIME_DIRECTORY": str(run)}
    ) as g:
        app = int(answer_of(g))
        (folder,) = run.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(run.iterdir()) == []
    eventually(lambda: not Path(f"/proc/{app}").exists(), "the app has ended")
