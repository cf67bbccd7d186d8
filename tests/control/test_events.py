"""The error log: one line an event, in either form, wherever it goes, and never a flood."""

import json
import os
import re
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tetrapylon.telemetry import events
from tetrapylon.telemetry.syslog import Syslog


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    events.configure()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "errors.log"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def broken() -> ZeroDivisionError:
    try:
        _ = 1 // 0
    except ZeroDivisionError as error:
        return error
    raise AssertionError


def test_a_sentence(path: Path) -> None:
    events.configure("text", str(path))
    events.say("warning", "worker 0 (pid 7) has gone", worker=0)
    (line,) = path.read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning worker 0 \(pid 7\) has gone", line)


def test_an_object(path: Path) -> None:
    events.configure("json", str(path))
    events.say("error", "it broke", error=broken(), worker=3)
    (event,) = read(path)
    assert (event["level"], event["message"], event["pid"], event["worker"]) == (
        "error",
        "it broke",
        os.getpid(),
        3,
    )
    assert event["error"]["type"] == "ZeroDivisionError"
    assert "test_events.py" in event["error"]["at"][0]


def test_an_event_is_one_line_whatever_it_says(path: Path) -> None:
    events.configure("text", str(path))
    events.say("error", "first\nsecond", error=broken())
    (line,) = path.read_text().splitlines()
    assert "first | second: ZeroDivisionError: " in line
    assert " in broken)" in line


def test_what_comes_too_often_is_counted(path: Path) -> None:
    events.configure("json", str(path), per_minute=3)
    for number in range(10):
        events.say("warning", f"upstream {number} is away")
        events.say("error", "and this is another kind")
    assert [event["message"] for event in read(path)].count("and this is another kind") == 3
    events.configure()
    told = [event for event in read(path) if "suppressed" in event]
    assert [(event["suppressed"], event["message"]) for event in told] == [
        (7, "7 more like this: upstream 0 is away"),
        (7, "7 more like this: and this is another kind"),
    ]


def test_the_count_is_told_when_its_minute_is_over(path: Path) -> None:
    now = [0.0]
    log = events._Events("json", str(path), 1, None, lambda: now[0])
    for _ in range(3):
        log.say("warning", "again", None, {})
    log.tick()
    assert len(read(path)) == 1
    now[0] = events.WINDOW
    log.tick()
    log.tick()
    assert [event["message"] for event in read(path)] == ["again", "2 more like this: again"]
    log.say("warning", "again", None, {})
    assert len(read(path)) == 3
    log.close()


def test_kinds_are_bounded(path: Path) -> None:
    log = events._Events("json", str(path), 1, None)
    for number in range(events.MOST_KINDS * 2):
        log.say("warning", "kind " + "x" * (number % 150) + "y" * (number // 150), None, {})
    assert len(log._kinds) <= events.MOST_KINDS
    log.close()


def test_a_moved_file_is_opened_anew(path: Path) -> None:
    events.configure("text", str(path))
    events.say("warning", "one")
    path.rename(path.with_suffix(".1"))
    events.say("warning", "two")
    events.reopen()
    events.say("warning", "three")
    assert len(path.with_suffix(".1").read_text().splitlines()) == 2
    assert path.read_text().endswith("three\n")


def test_a_file_that_cannot_be_opened_anew_stays(path: Path) -> None:
    events.configure("text", str(path))
    path.rename(path.with_suffix(".1"))
    path.mkdir()
    events.reopen()
    events.say("warning", "after")
    lines = path.with_suffix(".1").read_text().splitlines()
    assert "cannot be opened anew: Is a directory; the old one stays" in lines[0]
    assert lines[1].endswith("after")


def test_a_file_that_cannot_be_opened_is_an_error_and_changes_nothing(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FileNotFoundError):
        events.configure("json", str(path / "no" / "folder"))
    events.say("warning", "still here")
    assert capfd.readouterr().err.endswith("warning still here\n")


def test_a_full_disk_is_survived_and_what_was_lost_is_told(path: Path) -> None:
    log = events._Events("json", "/dev/full", 20, None)
    for _ in range(3):
        log.say("warning", "lost", None, {})
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), log._descriptor)
    log.say("warning", "kept", None, {})
    assert [event["message"] for event in read(path)] == [
        "3 events before this one could not be written",
        "kept",
    ]
    log.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(5)
        yield daemon


def test_syslog_on_this_machine(daemon: socket.socket, tmp_path: Path) -> None:
    events.configure("text", "-", syslog=Syslog(str(tmp_path / "log")))
    events.say("error", "it broke")
    said = daemon.recv(4096).decode()
    assert re.fullmatch(
        rf"<131>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d tetrapylon\[{os.getpid()}\]: it broke", said
    )


def test_syslog_elsewhere() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        events.configure("text", "-", syslog=Syslog(daemon.getsockname()))
        events.say("warning", "careful")
        said = daemon.recv(4096).decode()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(rf"<132>1 {stamp} \S+ tetrapylon {os.getpid()} - - careful", said)


def test_a_daemon_that_was_restarted_is_found_again(tmp_path: Path) -> None:
    where = tmp_path / "log"
    events.configure("text", "-", syslog=Syslog(str(where)))
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(str(where))
            daemon.settimeout(5)
            events.say("warning", "one")
            events.say("warning", "two")
            assert daemon.recv(4096)
        where.unlink()
        events.say("warning", "nobody listens")
        events.say("warning", "nobody listens")


def test_a_reader_that_has_stopped_is_not_waited_for(path: Path) -> None:
    """A pipe that nobody empties holds 64 KiB: whoever writes more would wait, and serve nobody meanwhile."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        events.configure("json", str(path), per_minute=1_000_000)
        for _ in range(100):
            events.say("info", 4000 * "x")
        held = os.read(reader, 1 << 20)
        events.say("info", "it reads again")
        told = [json.loads(line) for line in os.read(reader, 1 << 20).splitlines()]
    finally:
        os.close(reader)
    whole = held.count(b"\n")
    assert 10 < whole < 20
    assert [event.get("lost") for event in told] == [100 - whole, None]


def test_standard_error_is_not_waited_for_either() -> None:
    program = (
        "from tetrapylon.telemetry import events\n"
        "events.configure(per_minute=1_000_000)\n"
        "for _ in range(100): events.say('info', 9000 * 'x')\n"
        "print('done', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            done = select.select([process.stdout], [], [], 10)[0]
            assert done, "it waits for somebody to read what it tells"
            assert process.stdout.readline() == b"done\n"
        finally:
            process.kill()


def test_no_terminal_obeys_what_somebody_else_has_said(path: Path) -> None:
    events.configure("text", str(path))
    events.say("info", "app shop: \x1b]0;pwned\x07 \x9b2J\tand a tab")
    (line,) = path.read_text().splitlines()
    assert line.endswith(r"app shop: \x1b]0;pwned\x07 \x9b2J" + "\tand a tab")
