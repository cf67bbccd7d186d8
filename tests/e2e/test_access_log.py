"""What the running gateway writes down, where, and what it leaves out."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_operate import COMMAND
from tests.e2e.test_reload import metric, reload
from tests.harness.gateway import Gateway
from tests.harness.wait import eventually

pytestmark = pytest.mark.sockets("the log is the command's, and so are its signals")

ROUTES = [
    {"path": "/ping", "respond": {"body": "pong", "headers": {"X-Cache": "hit"}}},
    {"path": "/users/{id:int}", "respond": {"body": "user"}},
]


def config(access: dict[str, Any], **log: Any) -> dict[str, Any]:
    return {"log": {"access": access, **log}, "routes": ROUTES}


def get(gateway: Gateway, target: str, *fields: str) -> int:
    with gateway.client() as client:
        lines = "".join(f"{field}\r\n" for field in fields)
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
        return client.response().status


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_fields_of_the_config_are_written_and_secrets_are_not(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    access = {
        "path": str(path),
        "headers": ["X-Tenant", "Authorization", "X-Pin", "X-None"],
        "response_headers": ["X-Cache"],
        "redact": {"headers": ["X-Pin"], "query": ["pin"], "keep": ["code"]},
    }
    with Gateway(config(access)) as gateway:
        get(
            gateway,
            "/users/7?token=sesame&pin=sesame&code=7&page=2",
            "x-tenant: acme",
            "Authorization: Bearer sesame",
            "X-Pin: sesame",
            "Referer: http://a/?password=sesame",
        )
        get(gateway, "/ping")
        eventually(lambda: path.exists() and len(read(path)) == 2, "two lines")
    first, second = read(path)
    assert first["target"] == "/users/7?token=***&pin=***&code=7&page=2"
    assert first["route"] == "/users/{id:int}"
    assert first["referer"] == "http://a/?password=***"
    assert first["headers"] == {"X-Tenant": "acme", "Authorization": "***", "X-Pin": "***"}
    assert "response_headers" not in first
    assert second["response_headers"] == {"X-Cache": "hit"}
    assert "headers" not in second
    assert "sesame" not in path.read_text()


def test_a_route_has_its_own_share_and_errors_are_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    routes = [
        {"path": "/healthz", "respond": {"body": "ok"}, "log": {"sample": 0}},
        {"path": "/broken", "respond": {"status": 500}, "log": {"sample": 0}},
        {"path": "/watched", "respond": {"body": "ok"}, "log": {"sample": 1.0}},
        {"path": "/", "respond": {"body": "ok"}},
    ]
    with Gateway({"log": {"access": {"path": str(path), "sample": 0}}, "routes": routes}) as gateway:
        for target in ("/healthz", "/broken", "/watched", "/"):
            get(gateway, target)
    assert [line["target"] for line in read(path)] == ["/broken", "/watched"]


def test_the_combined_format() -> None:
    with Gateway(config({"format": "combined"})) as gateway:
        get(gateway, "/ping?token=sesame", "User-Agent: probe")
        eventually(lambda: len(gateway.log) == 1, "a line")
        assert re.fullmatch(
            r'127\.0\.0\.1 - - \[[^\]]+\] "GET /ping\?token=\*\*\* HTTP/1\.1" 200 \d+ "-" "probe"',
            gateway.log[0],
        )


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(10)
        yield daemon


def test_syslog_of_this_machine(daemon: socket.socket, tmp_path: Path) -> None:
    with Gateway(config({"path": f"syslog:{tmp_path}/log"})) as gateway:
        get(gateway, "/ping")
        get(gateway, "/users/1")
        said = [daemon.recv(8192).decode() for _ in range(2)]
    head, _, body = said[0].partition(": ")
    assert re.fullmatch(r"<134>[A-Z][a-z]{2} [ \d]\d [\d:]{8} tetrapylon\[\d+\]", head)
    assert json.loads(body)["target"] == "/ping"
    assert json.loads(said[1].partition(": ")[2])["target"] == "/users/1"


def test_syslog_by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(10)
        host, port = daemon.getsockname()
        with Gateway(config({"path": f"syslog:{host}:{port}", "format": "combined"})) as gateway:
            get(gateway, "/ping")
            said = daemon.recv(8192).decode()
    assert re.fullmatch(
        r'<134>1 \S+Z \S+ tetrapylon \d+ - - 127\.0\.0\.1 - - \[.*"GET /ping HTTP/1\.1" 200 .*', said
    )


def test_a_daemon_that_comes_late_gets_what_waits(tmp_path: Path) -> None:
    where = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as first:
        first.bind(where)
        first.settimeout(10)
        gateway = Gateway(config({"path": f"syslog:{where}"}))
        with gateway:
            get(gateway, "/users/1")
            first.recv(8192)
            first.close()
            os.unlink(where)
            get(gateway, "/users/2")
            eventually(lambda: "access log: " in gateway.stderr, "the failure is told")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
                second.bind(where)
                second.settimeout(10)
                get(gateway, "/users/3")
                assert "/users/2" in second.recv(8192).decode()
                assert "/users/3" in second.recv(8192).decode()
            eventually(lambda: "lines are written again" in gateway.stderr, "the recovery is told")


def test_a_vanished_folder_stops_no_traffic_and_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with Gateway(config({"path": str(folder / "access.log")})) as gateway:
        get(gateway, "/users/1")
        eventually(lambda: (folder / "access.log").stat().st_size > 0, "a line")
        shutil.rmtree(folder)
        for _ in range(20):
            assert get(gateway, "/users/2") == 200
        eventually(lambda: "No such file or directory" in gateway.stderr, "it is told")
        folder.mkdir()

        def back() -> bool:
            get(gateway, "/users/3")
            return (folder / "access.log").exists() and "/users/3" in (folder / "access.log").read_text()

        eventually(back, "lines are written again", within=10)
        eventually(lambda: "lines are written again" in gateway.stderr, "the recovery is told")
        assert gateway.stderr.count("No such file or directory") == 1
        assert "/users/2" in (folder / "access.log").read_text(), "what waited was not lost"


def test_events_go_where_the_config_says_and_follow_usr1(tmp_path: Path) -> None:
    path, moved = tmp_path / "errors.log", tmp_path / "errors.log.1"
    logs = config({"path": str(tmp_path / "access.log")}, errors={"format": "json", "path": str(path)})
    with Gateway(logs) as gateway:
        (first,) = gateway.workers[:1]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: len(read(path)) == 1, "the death is told")
        event = read(path)[0]
        assert event["level"] == "warning"
        assert "was killed by SIGKILL" in event["message"]
        path.rename(moved)
        os.kill(gateway.pid, signal.SIGUSR1)
        eventually(path.exists, "the file is there again")
        eventually(lambda: gateway.workers[:1] not in ([], [first]), "its successor is there")
        os.kill(gateway.workers[0], signal.SIGKILL)
        eventually(lambda: len(read(path)) == 1, "the next one is told in the new file")
        assert len(read(moved)) == 1
        eventually(lambda: get_or_none(gateway) == 200, "it serves")
    assert "SIGKILL" not in gateway.stderr


def get_or_none(gateway: Gateway) -> int | None:
    try:
        return get(gateway, "/ping")
    except (OSError, EOFError, AssertionError):
        return None


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with room for 32 KiB. Not below `tmp_path`: another run of pytest may tidy up there."""
    disk = Path(tempfile.mkdtemp(prefix="small-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(disk)]
    try:
        if (
            shutil.which("mount") is None
            or subprocess.run(mount, capture_output=True, check=False).returncode
        ):
            pytest.skip("no file system can be mounted here: that takes root")
        try:
            yield disk
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)
    finally:
        disk.rmdir()


class TestAFullDisk:
    def test_stops_no_traffic_is_counted_and_told_and_ends(self, small_disk: Path) -> None:
        path = small_disk / "access.log"
        filler = small_disk / "filler"
        with Gateway(config({"path": str(path)}) | {"admin": {"listen": "127.0.0.1:0"}}) as gateway:
            get(gateway, "/users/1")
            eventually(lambda: "/users/1" in path.read_text(), "a line while there is room")
            with contextlib.suppress(OSError):
                filler.write_bytes(b"x" * 65536)
            eventually(
                lambda: get(gateway, "/users/2") == 200 and "No space left on device" in gateway.stderr,
                "it is told",
                within=20,
            )
            assert "lines are kept while there is room, then dropped" in gateway.stderr
            filler.unlink()
            eventually(
                lambda: get(gateway, "/users/3") == 200 and "lines are written again" in gateway.stderr,
                "its end is told",
                within=20,
            )
            assert "/users/2" in path.read_text(), "what waited was not lost"
            assert gateway.stderr.count("No space left on device") == 1

    def test_lines_beyond_the_room_there_is_are_counted_wherever_one_looks(self) -> None:
        with Gateway(config({"path": "/dev/full"}) | {"admin": {"listen": "127.0.0.1:0"}}) as gateway:
            with gateway.client() as client:

                def dropped() -> float:
                    for _ in range(200):
                        assert client.ask("GET", f"/ping?{'x' * 2000}").status == 200
                    return metric(gateway, "tetrapylon_access_log_drops_total")

                eventually(lambda: dropped() > 0, "lines are dropped", within=60)
            with urllib.request.urlopen(f"http://{gateway.admin}/status", timeout=10) as response:
                assert json.load(response)["troubles"]["access-log lines dropped"] > 0
            with urllib.request.urlopen(f"http://{gateway.admin}/live", timeout=10) as response:
                assert json.load(response)["now"]["troubles"]["access-log lines dropped"] > 0

    def test_events_that_cannot_be_written_stop_nothing(self, small_disk: Path) -> None:
        path = small_disk / "errors.log"
        errors = {"format": "json", "path": str(path)}
        with Gateway(config({}, errors=errors)) as gateway:
            (small_disk / "filler").touch()
            with contextlib.suppress(OSError):
                (small_disk / "filler").write_bytes(b"x" * 65536)
            first = gateway.workers[0]
            os.kill(first, signal.SIGKILL)
            eventually(lambda: gateway.workers[:1] not in ([], [first]), "its successor is there", within=20)
            eventually(lambda: get_or_none(gateway) == 200, "it serves")
            (small_disk / "filler").unlink()
            os.kill(gateway.workers[0], signal.SIGKILL)
            eventually(lambda: len(read(path)) >= 2, "the next one is told, and what was lost", within=20)
            assert "events before this one could not be written" in read(path)[0]["message"]


class TestWhereLogsGo:
    @pytest.mark.parametrize("key", ["access", "errors"])
    @pytest.mark.parametrize(
        ("path", "fault"),
        [("/nowhere/x.log", "there is no folder /nowhere"), ("/tmp", "it is a folder")],
    )
    def test_what_cannot_be_written_is_told_at_the_start(
        self, tmp_path: Path, key: str, path: str, fault: str
    ) -> None:
        file = tmp_path / "gateway.yaml"
        file.write_text(f"routes: [{{path: /, respond: {{}}}}]\nlog:\n  {key}: {{path: {path}}}\n")
        done = subprocess.run(
            [COMMAND, "run", str(file)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2
        assert f"{file}:3:" in done.stderr
        assert f"log.{key}.path: {path} cannot be written: {fault}; make it so" in done.stderr

    def test_a_reload_takes_events_elsewhere(self, tmp_path: Path) -> None:
        one, other = tmp_path / "one.log", tmp_path / "other.log"
        logs = config({}, errors={"format": "json", "path": str(one)}) | {"admin": {"listen": "127.0.0.1:0"}}
        with Gateway(logs) as gateway:
            logs["log"]["errors"] = {"format": "json", "path": str(other)}
            reload(gateway, logs)
            assert "applied" in read(other)[-1]["message"], "the supervisor's"
            with urllib.request.urlopen(f"http://{gateway.admin}/status", timeout=10):
                pass
            os.kill(gateway.workers[0], signal.SIGKILL)
            eventually(lambda: "SIGKILL" in other.read_text(), "what happens later")
            assert "SIGKILL" not in one.read_text()
            eventually(lambda: get_or_none(gateway) == 200, "it serves")

    def test_one_that_cannot_be_written_is_refused_and_changes_nothing(self, tmp_path: Path) -> None:
        with Gateway(config({}) | {"admin": {"listen": "127.0.0.1:0"}}) as gateway:
            bad = config({"path": "/nowhere/x.log"}) | {"admin": {"listen": "127.0.0.1:0"}}
            with pytest.raises(urllib.error.HTTPError, match="422") as caught:
                reload(gateway, bad)
            assert "there is no folder /nowhere" in caught.value.read().decode()
            caught.value.close()
            with urllib.request.urlopen(f"http://{gateway.admin}/status", timeout=10) as response:
                told = json.load(response)
            assert told["last_reload"]["outcome"] == "refused"
            assert "/nowhere/x.log cannot be written" in told["last_reload"]["problems"][0]["text"]
            assert get(gateway, "/users/1") == 200

    def test_a_folder_that_has_vanished_keeps_no_other_change_from_coming_in(self, tmp_path: Path) -> None:
        folder = tmp_path / "logs"
        folder.mkdir()
        logs = config({"path": str(folder / "access.log")}) | {"admin": {"listen": "127.0.0.1:0"}}
        with Gateway(logs) as gateway:
            shutil.rmtree(folder)
            logs["routes"] = [*logs["routes"], {"path": "/new", "respond": {"body": "new"}}]
            assert reload(gateway, logs)["outcome"] == "applied"
            assert get(gateway, "/new") == 200
