"""Apps hosted by a real gateway, under real gunicorn and uvicorn."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.apps.shop import answer_of, ask, config, line
from tests.harness.gateway import Gateway
from tests.harness.load import load
from tests.harness.wait import eventually as holds

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

eventually = partial(holds, within=30.0)
"""Processes start, and import what they serve: on a busy machine that takes its time."""


def pid_of(gateway: Gateway, name: str = "legacy") -> int:
    return int(answer_of(gateway, name)["pid"])


def test_all_processes_of_an_app_answer(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted:app", "processes": 2}), cwd=shop) as gateway:
        first = pid_of(gateway)
        eventually(lambda: pid_of(gateway) != first, "the other one, too")


def test_it_accepts_only_once_its_apps_serve(shop: Path) -> None:
    with Gateway(config(slow={"wsgi": "hosted_slowly:app"}), cwd=shop) as gateway:
        assert ask(gateway, "/slow/a")[0] == 200


def test_an_app_in_a_folder_of_its_own_with_its_own_environment(shop: Path, tmp_path: Path) -> None:
    app = {"wsgi": "hosted:app", "folder": str(shop), "env": {"HOSTED_WORD": "spring"}}
    with Gateway(config(legacy=app), cwd=tmp_path) as gateway:
        assert answer_of(gateway, "legacy")["word"] == "spring"


def test_what_a_function_makes_is_an_app(shop: Path) -> None:
    with Gateway(config(made={"wsgi": "hosted:make()"}), cwd=shop) as gateway:
        assert ask(gateway, "/made/a")[:2] == (200, "made")


def test_what_it_prints_is_in_the_log_under_its_name(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted:app"}), cwd=shop) as gateway:
        for _ in range(30):  # more than the gateway says itself of one kind
            ask(gateway, "/legacy/print")
        eventually(
            lambda: sum("app legacy: printed" in each for each in gateway.lines) == 30, "all the lines"
        )


def test_a_server_that_dies_is_replaced_and_the_others_serve_on(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted:app", "processes": 2}), cwd=shop) as gateway:
        ask(gateway, "/legacy/kill")
        told = line(gateway, "was killed by SIGKILL")
        assert "app legacy" in told
        assert "; 1 of 2 serve; next try in 0.1 s" in told
        with load(gateway.address, "/legacy/a"):
            eventually(lambda: sum("serves, " in each for each in gateway.lines) == 3, "its successor serves")


def test_a_reload_keeps_what_serves_until_its_successor_does(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted:app"}), cwd=shop, tracebacks=True) as gateway:
        before = pid_of(gateway)
        gateway.write(config(legacy={"wsgi": "no_such_module:app"}))
        gateway.signal(signal.SIGHUP)
        assert "there is no module no_such_module" in (told := line(gateway, "exited with status 3"))
        assert "; 1 of 1 serve; " in told
        assert pid_of(gateway) == before
        gateway.write(config(legacy={"wsgi": "hosted:app", "threads": 2}))
        gateway.signal(signal.SIGHUP)
        eventually(lambda: pid_of(gateway) != before, "the successor answers")


@pytest.mark.parametrize("kind", [{"wsgi": "hosted:app", "threads": 2}, {"asgi": "hosted:modern"}], ids=str)
def test_no_request_fails_while_all_processes_are_replaced(shop: Path, kind: dict[str, object]) -> None:
    app = {**kind, "processes": 2}
    with Gateway(config(app=app), cwd=shop) as gateway, load(gateway.address, "/app/a", method="POST"):
        gateway.write(config(app={**app, "env": {"HOSTED_WORD": "new"}}))
        gateway.signal(signal.SIGHUP)
        eventually(lambda: sum("in the place of" in each for each in gateway.lines) == 2, "both")
        gateway.write(config(app={**app, "processes": 1}))
        gateway.signal(signal.SIGHUP)
        line(gateway, "generation 3")


@pytest.mark.parametrize("kind", [{"wsgi": "hosted:app"}, {"asgi": "hosted:modern"}], ids=str)
def test_no_request_fails_where_processes_end_after_so_many(shop: Path, kind: dict[str, object]) -> None:
    app = {**kind, "processes": 2, "max_requests": 50}
    with Gateway(config(app=app), cwd=shop) as gateway, load(gateway.address, "/app/a", method="POST"):
        line(gateway, "which has answered as many requests as `max_requests` says")


def test_apps_come_and_go_by_reload(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted:app"}), cwd=shop) as gateway:
        first = pid_of(gateway)
        gateway.write(config(other={"asgi": "hosted:modern"}))
        gateway.signal(signal.SIGHUP)
        eventually(lambda: ask(gateway, "/other/a")[0] == 200, "the new one serves")
        eventually(lambda: not Path(f"/proc/{first}").exists(), "the old one has ended")


def test_the_first_app_by_reload(shop: Path) -> None:
    with Gateway(config(), cwd=shop) as gateway:
        gateway.write(config(legacy={"wsgi": "hosted:app"}))
        gateway.signal(signal.SIGHUP)
        eventually(lambda: ask(gateway, "/legacy/a")[0] == 200, "it serves")


def test_usr2_brings_new_code_of_the_app_and_no_request_fails(shop: Path) -> None:
    app = config(legacy={"wsgi": "hosted:app", "threads": 2})
    code = shop / "hosted.py"
    with Gateway(app, cwd=shop) as gateway, load(gateway.address, "/legacy/a", method="POST"):
        code.write_text(code.read_text().replace("VERSION = 1", "VERSION = 2"))
        old = pid_of(gateway)
        gateway.signal(signal.SIGUSR2)
        eventually(lambda: answer_of(gateway, "legacy")["version"] == "2", "the new code")
        eventually(lambda: not Path(f"/proc/{old}").exists(), "the old code has ended")


def test_usr2_with_code_that_does_not_import_leaves_the_old_code(shop: Path) -> None:
    """Of an app that serves: one that does not serve now either keeps no new code away from the others."""
    apps = config(legacy={"wsgi": "hosted:app"}, broken={"wsgi": "no_such_module:app"})
    code = shop / "hosted.py"
    text = code.read_text()
    with Gateway(apps, cwd=shop, tracebacks=True) as gateway:
        before = pid_of(gateway)
        with load(gateway.address, "/legacy/a"):
            code.write_text("1 / 0\n")
            gateway.signal(signal.SIGUSR2)
            line(gateway, "app legacy: hosted:app: importing hosted raised ZeroDivisionError")
            line(
                gateway, "SIGUSR2: the new code exited with status 2 before it could serve; the old serves on"
            )
        assert pid_of(gateway) == before
        code.write_text(text.replace("VERSION = 1", "VERSION = 22"))
        gateway.signal(signal.SIGUSR2)
        eventually(lambda: answer_of(gateway, "legacy")["version"] == "22", "the new code")


def test_the_admin_address_tells_of_them(shop: Path) -> None:
    app = config("127.0.0.1:0", legacy={"wsgi": "hosted:app", "processes": 2})
    with Gateway(app, cwd=shop) as gateway:
        told = json.loads(operator(gateway, "/apps"))["legacy"]
        assert (told["app"], told["processes"], told["up"], told["restarts"]) == ("hosted:app", 2, 2, 0)
        assert metric(gateway, 'tetrapylon_app_processes{app="legacy"}') == 2
        os.kill(told["pids"][0], signal.SIGKILL)
        eventually(
            lambda: metric(gateway, 'tetrapylon_app_restarts_total{app="legacy"}') == 1, "it is counted"
        )
        eventually(lambda: metric(gateway, 'tetrapylon_app_processes{app="legacy"}') == 2, "both serve again")
        last = json.loads(operator(gateway, "/apps"))["legacy"]["last_end"]
        assert last == f"app legacy (pid {told['pids'][0]}) was killed by SIGKILL"
        old = pid_of(gateway)
        gateway.signal(signal.SIGUSR2)
        eventually(lambda: not Path(f"/proc/{old}").exists(), "new ones serve")
        eventually(
            lambda: metric(gateway, 'tetrapylon_app_processes{app="legacy"}') == 2, "and are counted once"
        )


def test_its_host_may_die(shop: Path) -> None:
    """The apps end with it; their routes answer 503 until the next host has them up again."""
    with Gateway(config(legacy={"wsgi": "hosted:app"}), cwd=shop) as gateway:
        app = pid_of(gateway)
        (host,) = {parent(parent(app))} & set(gateway.workers)
        os.kill(host, signal.SIGKILL)
        line(gateway, "host of apps (pid ")
        eventually(
            lambda: ask(gateway, "/legacy/a")[0] == 200 and pid_of(gateway) != app, "it is back", within=20
        )
        assert ask(gateway, "/ping")[0] == 200


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def operator(gateway: Gateway, target: str) -> str:
    return gateway.operate(target).body.decode()


def metric(gateway: Gateway, series: str) -> int:
    found = [each for each in operator(gateway, "/metrics").splitlines() if each.startswith(f"{series} ")]
    return int(found[0].rpartition(" ")[2]) if found else 0


def test_nothing_is_left_behind(shop: Path, run: Path) -> None:
    with Gateway(
        config(legacy={"wsgi": "hosted:app"}), cwd=shop, env={"RUNTIME_DIRECTORY": str(run)}
    ) as gateway:
        app = pid_of(gateway)
        (folder,) = run.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(run.iterdir()) == []
    eventually(lambda: not Path(f"/proc/{app}").exists(), "the app has ended")


def test_apps_end_when_all_else_was_killed(shop: Path) -> None:
    with Gateway(config(legacy={"wsgi": "hosted:app"}), cwd=shop) as gateway:
        app = pid_of(gateway)
        for pid in [gateway.pid, *gateway.workers]:
            if "apps.launch" not in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{app}").exists(), "the app has ended")
        gateway.wait()
        gateway.process.returncode = 0  # which is not what is tested here


def test_an_app_ends_in_its_own_way_when_the_gateway_does(shop: Path) -> None:
    with Gateway(config(modern={"asgi": "hosted:modern"}), cwd=shop) as gateway:
        assert ask(gateway, "/modern/a")[0] == 200
    assert any("app modern: lifespan ended" in each for each in gateway.lines)
