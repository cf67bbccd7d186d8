"""`tetrapylon run --app MODULE:APP`: no config file, in the place of gunicorn's or uvicorn's command."""

from __future__ import annotations

import http.client
import json
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.apps.shop import ask, line
from tests.config.certificates import CA, OWN
from tests.harness.gateway import COMMANDS, Gateway
from tests.harness.wait import eventually

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")


@contextmanager
def running(shop: Path, *arguments: str, tracebacks: bool = False) -> Iterator[Gateway]:
    listen = ("--listen", "127.0.0.1:0")
    with Gateway(None, *arguments, *listen, cwd=shop, tracebacks=tracebacks) as gateway:
        yield gateway


class NowAndThen:
    """Writes a file, and again every 2 s: nothing tells when it has begun to be watched."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._written = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self._written > 2:
            self._path.write_text(self._text)
            self._written = time.monotonic()


def environ(gateway: Gateway, path: str = "/a") -> dict[str, str]:
    status, body, _ = ask(gateway, path)
    assert status == 200, body
    found: dict[str, str] = json.loads(body)["environ"]
    return found


def refused(shop: Path, *arguments: str) -> str:
    told = subprocess.run(
        [*COMMANDS["socket"], "run", *arguments], cwd=shop, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 2, told.stderr
    return told.stderr


def test_a_wsgi_app(shop: Path) -> None:
    with running(shop, "--app", "hosted:app") as gateway:
        seen = environ(gateway, "/any/path?x=1")
        assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/any/path", "x=1")
        assert seen["SERVER_SOFTWARE"].startswith("gunicorn/")
        assert ask(gateway, "/")[0] == 200


def test_an_asgi_app(shop: Path) -> None:
    with running(shop, "--app", "hosted:modern") as gateway:
        assert json.loads(ask(gateway, "/a")[1])["scope"]["scheme"] == "http"


def test_an_app_that_a_function_makes(shop: Path) -> None:
    with running(shop, "--app", "hosted:make()", "--threads", "4") as gateway:
        assert ask(gateway, "/")[1] == "made"


def test_its_options(shop: Path, tmp_path: Path) -> None:
    options = ["--processes", "2", "--threads", "3", "--timeout", "90", "--max-requests", "1000"]
    options += ["--max-memory", "500MiB", "--drain", "5s", "-e", "HOSTED_WORD=spring", "--folder", str(shop)]
    options += ["--access-log", "none", "--admin", "127.0.0.1:0", "--trusted-proxies", "10.0.0.0/8"]
    with running(tmp_path, "--app", "hosted:app", *options) as gateway:
        assert json.loads(ask(gateway, "/a")[1])["word"] == "spring"
        assert gateway.admin is not None
        connection = http.client.HTTPConnection(gateway.admin)
        connection.request("GET", "/config")
        shown = json.loads(connection.getresponse().read())
        connection.close()
        assert shown["apps"]["app"] == {
            "wsgi": "hosted:app",
            "processes": 2,
            "threads": 3,
            "timeout": "90s",
            "max_requests": 1000,
            "max_memory": "500MiB",
            "drain": "5s",
            "env": {"HOSTED_WORD": "spring"},
            "folder": str(shop),
            "timeouts": {"response": "90s", "idle": "90s"},
        }
        assert shown["server"]["trusted_proxies"] == ["10.0.0.0/8"]
        assert shown["log"] == {"access": "none"}
    assert not gateway.log


def test_with_tls(shop: Path) -> None:
    with running(shop, "--app", "hosted:app", "--certfile", OWN.cert, "--keyfile", OWN.key) as gateway:
        context = ssl.create_default_context(cafile=CA.pem)
        context.check_hostname = False
        connection = http.client.HTTPSConnection(gateway.address, context=context)
        connection.request("GET", "/a")
        seen = json.loads(connection.getresponse().read())["environ"]
        connection.close()
        assert seen["wsgi.url_scheme"] == "https"


def test_changed_code_replaces_its_processes(shop: Path) -> None:
    with running(shop, "--app", "hosted:app", "--watch") as gateway:
        before = json.loads(ask(gateway, "/a")[1])
        line(gateway, "listening on")
        code = (shop / "hosted.py").read_text().replace("VERSION = 1", "VERSION = 2")

        write = NowAndThen(shop / "hosted.py", code)

        def changed() -> bool:
            write()
            return bool(json.loads(ask(gateway, "/a")[1])["version"] == "2")

        eventually(changed, "the new code serves", within=20)
        assert json.loads(ask(gateway, "/a")[1])["pid"] != before["pid"]
        line(gateway, "app app: its code has changed; replacing its processes")


def test_a_broken_change_leaves_what_serves(shop: Path) -> None:
    with running(shop, "--app", "hosted:app", "--watch", tracebacks=True) as gateway:
        write = NowAndThen(shop / "hosted.py", "def app(:\n")

        def broken() -> bool:
            if not any("its code has changed" in each for each in gateway.lines):
                write()
            reason = "exited with status 3: importing hosted raised SyntaxError"
            return any(reason in each for each in gateway.lines)

        eventually(broken, "it is said", within=60)
        assert ask(gateway, "/a")[0] == 200


def test_usr2_replaces_all_of_it(shop: Path) -> None:
    with running(shop, "--app", "hosted:app") as gateway:
        code = (shop / "hosted.py").read_text()
        (shop / "hosted.py").write_text(code.replace("VERSION = 1", "VERSION = 2"))
        gateway.signal(signal.SIGUSR2)
        eventually(lambda: json.loads(ask(gateway, "/a")[1])["version"] == "2", "the new code", within=60)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--app", "no_such_module:app"], "no_such_module:app: there is no module no_such_module; is it"),
        (["--app", "hosted:apq"], "hosted:apq: hosted has no attribute 'apq'"),
        (
            ["--app", "hosted:VERSION"],
            "hosted:VERSION: hosted:VERSION is of type int, which cannot be called",
        ),
        (["--app", ""], "'' names no Python object; expected MODULE:NAME"),
        (
            ["--app", "hosted:app", "--folder", "/nowhere/at/all"],
            "hosted:app: its process cannot be started: /nowhere/at/all: No such file or directory",
        ),
        (["--app", "leaves:app"], "leaves:app: its process ended with status 7 while it was imported"),
        (["--app", "hosted:app", "--asgi", "hosted:modern"], "--app and --asgi are two apps"),
        (["gateway.yaml", "--app", "hosted:app"], "there is a config, gateway.yaml, and --app: leave one"),
        (["--processes", "3"], "--processes goes with --app; a config has a key for it"),
        (
            ["--wsgi", "hosted:app", "--processes", "0"],
            "the command line: apps.app.processes: 0 is out of range",
        ),
        (["--wsgi", "hosted:app", "--max-memory", "much"], "the command line: apps.app.max_memory: "),
        (["--wsgi", "hosted:app", "-e", "DEBUG"], "--env DEBUG: expected NAME=VALUE"),
        (["--asgi", "hosted:modern", "--threads", "4"], "apps.app.threads: an ASGI app has no threads here"),
        (["--wsgi", "hosted:app", "--keyfile", "key.pem"], "--keyfile goes with --certfile"),
    ],
    ids=str,
)
def test_what_cannot_be_run(shop: Path, arguments: list[str], told: str) -> None:
    (shop / "leaves.py").write_text("import os; os._exit(7)")
    assert told in refused(shop, *arguments)
