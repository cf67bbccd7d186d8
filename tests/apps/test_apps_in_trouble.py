"""Apps that do not import, exit, hang, leak or complain: named, with the reason; the rest serves on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.apps.shop import ask, config, line
from tests.harness.gateway import Gateway
from tests.harness.wait import eventually as holds

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

eventually = partial(holds, within=30.0)
"""Processes start, and import what they serve: on a busy machine that takes its time."""


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize(
    ("module", "code", "reason"),
    [
        ("no_such_module", None, "there is no module no_such_module"),
        ("raises", "1 / 0", "importing raises raised ZeroDivisionError: division by zero"),
        ("exits", "import sys; sys.exit('no database')", "importing exits raised SystemExit: no database"),
        ("misspelt", "def appp(): pass", "misspelt has no attribute 'app' ("),
        (
            "talks",
            "raise ValueError('\\udc80' + 'é ' * 3000)",
            "importing talks raised ValueError: \\udc80é é é",
        ),
        ("plain", "app = 3", "plain:app is of type int, which cannot be called"),
    ],
)
def test_one_that_cannot_be_had(shop: Path, kind: str, module: str, code: str | None, reason: str) -> None:
    if code is not None:
        (shop / f"{module}.py").write_text(code)
    with Gateway(config(broken={kind: f"{module}:app"}), cwd=shop, tracebacks=True) as gateway:
        told = line(gateway, f"exited with status {3 if kind == 'wsgi' else 1}: {reason}")
        assert "app broken (pid " in told
        assert "0 of 1 serve; next try in 0." in told
        status, _, proxy_status = ask(gateway, "/broken/a")
        assert status == 503
        assert "error=destination_unavailable" in proxy_status
        assert ask(gateway, "/ping")[:2] == (200, "pong")


def test_one_that_exits_at_start(shop: Path) -> None:
    (shop / "leaves.py").write_text("import os; os._exit(0)")
    with Gateway(config(leaves={"asgi": "leaves:app"}), cwd=shop) as gateway:
        line(gateway, "exited with status 0, 5 short lives in a row", within=20)
        assert ask(gateway, "/leaves/a")[0] == 503
        assert ask(gateway, "/ping")[0] == 200


@pytest.mark.parametrize(
    "message",
    ["the tables are old", "Traceback (most recent call last):\\n  File\\nNotMigrated: the tables are old"],
)
def test_one_that_will_not_start(shop: Path, message: str) -> None:
    (shop / "migrated.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        f"    await send({{'type': 'lifespan.startup.failed', 'message': '{message}'}})\n"
    )
    with Gateway(config(app={"asgi": "migrated:app"}), cwd=shop, tracebacks=True) as gateway:
        told = line(gateway, "exited with status 3: its startup failed: ")
        assert "the tables are old; 0 of 1 serve; next try in 0." in told
        assert ask(gateway, "/app/a")[0] == 503
        assert ask(gateway, "/ping")[0] == 200


def test_an_error_of_long_ago_is_not_why_one_was_killed(shop: Path) -> None:
    with Gateway(config(app={"wsgi": "hosted:app"}), cwd=shop, tracebacks=True) as gateway:
        assert ask(gateway, "/app/raise")[0] == 500
        line(gateway, "ValueError: out of stock")
        ask(gateway, "/app/kill")
        assert line(gateway, "was killed by SIGKILL; ")


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_one_that_does_not_come_to_serve(shop: Path, kind: str) -> None:
    (shop / "stuck.py").write_text("import threading; threading.Event().wait()")
    with Gateway(config(stuck={kind: "stuck:app", "startup": "1s"}), cwd=shop) as gateway:
        line(gateway, "app stuck (pid ")
        line(gateway, "does not serve 1 s after its start (`startup`); killing it")
        assert ask(gateway, "/stuck/a")[0] == 503
        assert ask(gateway, "/ping")[0] == 200


@pytest.mark.parametrize(
    "app", [{"wsgi": "hosted:app", "timeout": "1s"}, {"asgi": "hosted:modern", "timeout": "1s"}], ids=str
)
def test_one_that_hangs(shop: Path, app: dict[str, object]) -> None:
    hanging = config(app={**app, "drain": "1s", "timeouts": {"response": "1s"}})
    with Gateway(hanging, cwd=shop) as gateway:
        assert ask(gateway, "/app/hang")[0] == 504
        assert "app app" in line(gateway, "which has done no work for 1 s")
        assert any('hosted.py", line' in each for each in gateway.lines), "it is said where"
        eventually(lambda: ask(gateway, "/app/a")[0] == 200, "another serves in its place")
        assert "killing it" in line(gateway, "has not ended in time")


def test_one_that_leaks(shop: Path) -> None:
    with Gateway(config(app={"wsgi": "hosted:app", "max_memory": "200MiB"}), cwd=shop) as gateway:
        for _ in range(4):
            assert ask(gateway, "/app/leak")[0] == 200
        assert "app app" in line(gateway, "MiB resident, more than `max_memory`")
        assert ask(gateway, "/app/a")[0] == 200


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_one_that_leaks_without_a_bound_is_named_with_its_numbers(shop: Path, kind: str) -> None:
    (shop / "leaks.py").write_text(
        "import hosted\n"
        "KEPT = []\n"
        "def app(environ, start_response):\n"
        "    KEPT.append(b'x' * 2**20)\n"
        "    return hosted.app(environ, start_response)\n"
        "async def modern(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        KEPT.append(b'x' * 2**20)\n"
        "    await hosted.modern(scope, receive, send)\n"
    )
    leaks = {kind: "leaks:app" if kind == "wsgi" else "leaks:modern", "warmup": "1s"}
    with Gateway(config(app=leaks, well={"wsgi": "hosted:app", "warmup": "1s"}), cwd=shop) as gateway:

        def named() -> bool:
            ask(gateway, "/app/a")
            ask(gateway, "/well/a")
            return any("its memory has grown from" in each for each in gateway.lines)

        eventually(named, "it is named")
        told = line(gateway, "its memory has grown from")
        assert "app app (pid " in told
        assert "MiB an hour: it may leak" in told
        assert "`max_memory` or `max_requests` replaces such a process" in told
        said = [each for each in gateway.lines if "its memory has grown from" in each]
        assert not any("app well" in each for each in said)


def test_one_that_prints_a_traceback_on_every_request(shop: Path) -> None:
    with Gateway(config(app={"wsgi": "hosted:app", "log_lines": 10}), cwd=shop, tracebacks=True) as gateway:
        for _ in range(100):
            assert ask(gateway, "/app/raise")[0] == 500
        told = line(gateway, "app app said", within=15)
        assert "tracebacks among them, the last of ValueError: out of stock" in told
        assert "were left out (`log_lines`)" in told
        assert sum("app app: " in each for each in gateway.lines) <= 200
        assert ask(gateway, "/ping")[0] == 200


def test_one_that_says_no_more_lines(shop: Path) -> None:
    """What has no end is no line: it is cut, and the gateway's memory stays."""
    (shop / "endless.py").write_text(
        "import sys\nfrom hosted import app\nsys.stdout.write('x' * 100_000)\nsys.stdout.flush()\n"
    )
    with Gateway(config(app={"wsgi": "endless:app"}), cwd=shop) as gateway:
        eventually(lambda: sum("app app: xxxx" in each for each in gateway.lines) > 1, "pieces of it")
        assert ask(gateway, "/app/a")[0] == 200
