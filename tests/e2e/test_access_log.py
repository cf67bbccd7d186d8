"""What the running gateway writes down, where, and what it leaves out."""

import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    "log", [{"access": {"path": "no/such/folder.log"}}, {"errors": {"path": "no/such/folder.log"}}]
)
def test_a_log_that_cannot_be_opened_is_named_at_the_start(tmp_path: Path, log: dict[str, Any]) -> None:
    with pytest.raises(AssertionError) as error, Gateway({"log": log, "routes": ROUTES}):
        pass
    assert f"log.{next(iter(log))}.path: No such file or directory: no/such/folder.log" in str(error.value)
