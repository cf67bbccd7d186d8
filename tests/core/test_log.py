"""The access log: what a line says, and that nothing ever waits for its reader."""

import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.harness.wait import eventually
from tetrapylon._core.telemetry.counters import Slabs
from tetrapylon._core.telemetry.log import AccessLog

LINE_MAX = 4096
TEXTS = [
    "client",
    "method",
    "host",
    "target",
    "protocol",
    "route",
    "upstream",
    "user_agent",
    "referer",
    "request_id",
    "consumer",
    "error",
]


def read(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def drain(descriptor: int) -> bytes:
    """What is there to read, without waiting for more."""
    os.set_blocking(descriptor, False)
    taken = b""
    try:
        while chunk := os.read(descriptor, 1 << 16):
            taken += chunk
    except BlockingIOError:
        pass
    return taken


def emptied(log: AccessLog, descriptor: int) -> bytes:
    """What is there to read once nothing waits any more."""
    taken = b""
    while log.pending:
        taken += drain(descriptor)
        log.flush()
    return taken + drain(descriptor)


# ---- what a line says


def test_a_line_is_one_json_object(path: Path) -> None:
    log = AccessLog(path)
    log.log(
        time_ns=1_767_323_045_678_901_234,
        status=200,
        client="2001:db8::1",
        method="GET",
        host="example.com",
        target="/users/7?x=1",
        protocol="HTTP/1.1",
        route="/users/{id:int}",
        upstream="http://10.0.0.5:9001",
        user_agent="curl/8",
        referer="https://example.com/",
        request_id="0af7651916cd43dd8448eb211c80319c",
        bytes_in=120,
        bytes_out=18_446_744_073_709_551_615,
        duration_us=1234,
        gateway_us=34,
        upstream_us=1100,
        client_us=100,
    )
    log.close()
    assert path.read_text() == (
        '{"time":"2026-01-02T03:04:05.678Z","client":"2001:db8::1","method":"GET","host":"example.com",'
        '"target":"/users/7?x=1","protocol":"HTTP/1.1","route":"/users/{id:int}","status":200,"bytes_in":120,'
        '"bytes_out":18446744073709551615,"duration_us":1234,"gateway_us":34,"upstream_us":1100,"client_us":100,'
        '"upstream":"http://10.0.0.5:9001","user_agent":"curl/8","referer":"https://example.com/",'
        '"request_id":"0af7651916cd43dd8448eb211c80319c"}\n'
    )


def test_what_is_not_known_is_left_out_and_empty_is_not_unknown(path: Path) -> None:
    log = AccessLog(path)
    log.log(status=499, user_agent="")
    log.close()
    (line,) = read(path)
    assert set(line) == {
        "time", "status", "bytes_in", "bytes_out", "duration_us", "gateway_us", "upstream_us", "user_agent",
    }  # fmt: skip
    assert line["user_agent"] == ""


@given(st.lists(st.integers(1, 4_102_444_799_999), min_size=1, max_size=5))
def test_times_are_rfc_3339(milliseconds: list[int]) -> None:
    reader, writer = os.pipe()
    log = AccessLog(writer)
    for moment in milliseconds:
        log.log(time_ns=moment * 1_000_000 + 999_999)
    log.close()
    assert [json.loads(line)["time"] for line in drain(reader).splitlines()] == [
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 1000)) + f".{moment % 1000:03}Z"
        for moment in milliseconds
    ]
    os.close(reader)
    os.close(writer)


def test_without_a_time_it_is_now(path: Path) -> None:
    log = AccessLog(path)
    before = time.time()
    log.log()
    after = time.time()
    log.close()
    (line,) = read(path)
    stamp = line["time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    earliest, latest = (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) for moment in (before, after))
    assert earliest <= stamp[:19] <= latest


values = st.one_of(
    st.binary(max_size=80),
    st.lists(st.sampled_from(list('a"\\\n\x1b\x7f\x9b/éß€\u2028😀')), max_size=80)
    .map("".join)
    .map(str.encode),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["target", "user_agent", "referer"], values)))
@example({"user_agent": bytes(range(80)), "referer": bytes(range(80, 150))})
@example({"user_agent": bytes(range(128, 200)), "referer": bytes(range(200, 256))})
@example({"target": b"\xf0\x90\x80", "referer": b"\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf\xe2\x82"})
@example({"target": b'abcdefg\x7f\x1b[31m\xc2\x9b31m"\\\b\f\n\r\t\0'})
def test_any_bytes_come_back_as_text(fields: dict[str, bytes]) -> None:
    raw = logged(**fields)
    assert raw.endswith(b"}\n")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", raw), "it would speak to a terminal"
    for line in (json.loads(raw.decode()), msgspec.json.decode(raw)):
        assert {name: line[name] for name in fields} == {
            name: value.decode("utf-8", "replace") for name, value in fields.items()
        }
        assert not (line.keys() & set(TEXTS)) - fields.keys()


def logged(**fields: Any) -> bytes:
    """What one line looks like."""
    reader, writer = os.pipe()
    log = AccessLog(writer)
    log.log(**fields)
    log.close()
    raw = drain(reader)
    os.close(reader)
    os.close(writer)
    return raw


@given(st.binary(min_size=1, max_size=1000))
@example(b"\x01" * 700)
@example(b"\xff" * 700)
@example(b"a" * 700)
@example(b"a" * 509)
@example("\U0001f600".encode() * 200)
def test_what_is_too_long_is_cut_at_a_character(value: bytes) -> None:
    raw = logged(user_agent=value)
    encoded = re.search(rb'"user_agent":"(.*)"}', raw)
    assert encoded is not None
    written, text = json.loads(raw)["user_agent"], value.decode("utf-8", "replace")
    if written != text:
        assert written.endswith("…")
        assert text.startswith(written[:-1])
        assert len(encoded[1]) >= 500
    assert len(encoded[1]) <= 512


@pytest.mark.parametrize("byte", [b"a", b"\0", b"\xff", b'"', "é".encode(), "\U0001f600".encode()])
def test_no_line_is_longer_than_a_pipe_takes_at_once(path: Path, byte: bytes) -> None:
    most = 2**64 - 1
    log = AccessLog(path)
    log.log(
        status=65535,
        bytes_in=most,
        bytes_out=most,
        duration_us=most,
        gateway_us=most,
        upstream_us=most,
        client_us=most,
        resend_count=255,
        **dict.fromkeys(TEXTS, byte * 10_000),  # type: ignore[arg-type]
    )
    log.close()
    raw = path.read_bytes()
    assert raw.count(b"\n") == 1
    assert 3000 < len(raw) <= LINE_MAX
    assert all(value.endswith("…") for name, value in json.loads(raw).items() if name in TEXTS)


# ---- which lines are written


def test_a_share_of_the_lines(path: Path) -> None:
    log = AccessLog(path, sample=0.25)
    for _ in range(20_000):
        log.log(status=200)
    log.close()
    assert 4500 < log.lines < 5500
    assert len(read(path)) == log.lines
    assert log.dropped == 0


def test_errors_are_written_whatever_the_share(path: Path) -> None:
    log = AccessLog(path, sample=0)
    for status, failed in [(200, False), (404, False), (499, False), (500, False), (503, True), (404, True)]:
        log.log(status=status, failed=failed)
    log.close()
    assert [line["status"] for line in read(path)] == [500, 503, 404]


# ---- files


def test_lines_wait_until_flushed_or_many(path: Path) -> None:
    log = AccessLog(path)
    log.log()
    assert path.read_bytes() == b""
    assert log.pending > 0
    log.flush()
    assert len(read(path)) == 1
    assert log.pending == 0
    for _ in range(1000):
        log.log(target="/x" * 100)
    assert 0 < log.pending < 64 * 1024
    assert len(read(path)) > 500
    log.close()
    assert len(read(path)) == 1001


def test_a_file_is_appended_to(path: Path) -> None:
    path.write_text('{"time":"before"}\n')
    log = AccessLog(path)
    log.log()
    log.close()
    assert len(read(path)) == 2


def test_reopening_follows_the_name(path: Path) -> None:
    log = AccessLog(path)
    log.log(target="/1")
    moved = path.with_suffix(".1")
    path.rename(moved)
    log.log(target="/2")
    log.reopen()
    log.log(target="/3")
    log.close()
    assert [line["target"] for line in read(moved)] == ["/1", "/2"]
    assert [line["target"] for line in read(path)] == ["/3"]


def test_a_file_that_cannot_be_reopened_stays_in_use(path: Path) -> None:
    log = AccessLog(path)
    moved = path.with_suffix(".1")
    path.rename(moved)
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        log.reopen()
    log.log(target="/1")
    log.close()
    assert [line["target"] for line in read(moved)] == ["/1"]


def test_a_target_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing/access\.log"):
        AccessLog(tmp_path / "missing" / "access.log")
    with pytest.raises(OSError, match="Bad file descriptor"):
        AccessLog(987)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="fifo") as caught:
        AccessLog(tmp_path / "fifo")
    assert caught.value.errno == errno.ENXIO


@pytest.mark.parametrize("options", [{"sample": 1.5}, {"sample": -0.1}, {"limit": 100}])
def test_options_out_of_range_are_an_error(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected"):
        AccessLog(path, **options)


def test_descriptors_are_closed(path: Path, pipe: tuple[int, int]) -> None:
    before = os.listdir("/proc/self/fd")
    for target in (path, pipe[1]):
        log = AccessLog(target)
        log.log()
        log.reopen()
        log.close()
        log.close()
        log.log()
        log.flush()
        assert log.dropped == 1
        AccessLog(target)
    assert os.listdir("/proc/self/fd") == before


# ---- pipes, sockets


def test_a_full_pipe_is_not_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = AccessLog(writer, limit=64 * 1024)
    start = time.monotonic()
    for i in range(5000):
        log.log(target=f"/{i}")
        if i % 100 == 0:
            log.flush()
    assert time.monotonic() - start < 30
    assert os.get_blocking(writer), "the descriptor is shared with others"
    assert log.dropped > 1000
    assert log.lines + log.dropped == 5000
    assert log.errors == 0

    raw = emptied(log, reader)
    log.log(target="/last")
    raw += emptied(log, reader)
    lines = [msgspec.json.decode(line) for line in raw.splitlines()]
    targets = [line.get("target") for line in lines]
    assert targets[: log.lines - 1] == [f"/{i}" for i in range(log.lines - 1)]
    assert targets[-1] == "/last"
    assert [line["dropped"] for line in lines if "dropped" in line] == [log.dropped]
    assert len(lines) == log.lines + 1


def test_drops_are_told_before_the_next_line(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = AccessLog(writer, limit=8192)
    for i in range(1000):
        log.log(target=f"/{i}")
    first = log.dropped
    raw = emptied(log, reader)
    for i in range(1000):
        log.log(target=f"/again/{i}")
    raw += emptied(log, reader)
    lines = [msgspec.json.decode(line) for line in raw.splitlines()]
    told = [i for i, line in enumerate(lines) if "dropped" in line]
    assert [lines[i]["dropped"] for i in told] == [first, log.dropped - first]
    assert lines[told[0] + 1]["target"] == "/again/0"


WRITER = """
import os
import sys
from tests.harness.wait import eventually
from tetrapylon._core.telemetry.counters import Slabs
from tetrapylon._core.telemetry.log import AccessLog
if sys.argv[2] == "foreign":
    os.setuid(65534)
log = AccessLog("-", limit=1 << 24)
for i in range(3000):
    log.log(target=f"/{sys.argv[1]}/{i}" + "x" * (i % 900))
    if i % 7 == 0:
        log.flush()
log.close(wait=30)
assert log.dropped == 0, log.dropped
"""


@pytest.mark.parametrize("kind", ["pipe", "foreign", "socket", "file"])
def test_lines_of_several_writers_stay_apart(kind: str, path: Path) -> None:
    """Both write into one open file, as workers do that inherit it; "foreign" is another user's pipe."""
    if kind == "foreign" and os.getuid():
        pytest.skip("only root can become another user")

    def start(name: str, end: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", WRITER, name, kind], stdout=end)

    if kind == "file":
        reader, end = os.open(path, os.O_RDONLY | os.O_CREAT), os.open(path, os.O_WRONLY)
    elif kind == "socket":
        ours, theirs = socket.socketpair()
        reader, end = ours.detach(), theirs.detach()
    else:
        reader, end = os.pipe()
    writers = [start(name, end) for name in ("a", "b")]
    os.close(end)
    if kind == "file":
        assert [writer.wait() for writer in writers] == [0, 0]
    with open(reader, "rb") as stream:
        raw = stream.read()
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = [msgspec.json.decode(line)["target"].rstrip("x") for line in raw.splitlines()]
    for name in ("a", "b"):
        assert [line for line in lines if line.startswith(f"/{name}/")] == [
            f"/{name}/{i}" for i in range(3000)
        ]
    assert len(lines) == 6000


def test_a_reader_that_is_gone_is_told_once_and_survived() -> None:
    reader, writer = os.pipe()
    told: list[OSError] = []
    log = AccessLog(writer, limit=8192, on_error=told.append)
    os.close(reader)
    for _ in range(1000):
        log.log()
        log.flush()
    assert [problem.errno for problem in told] == [errno.EPIPE]
    assert log.errors >= 1000
    assert log.lines + log.dropped == 1000
    log.close()
    assert log.dropped == 1000
    os.close(writer)


def test_a_full_disk_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("/dev/full", limit=8192)
    for _ in range(200):
        log.log()
        log.flush()
    log.close()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "No space left on device: '/dev/full'" in told[0]
    assert log.dropped == 200


def test_a_failure_is_told_again_after_a_success(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    told: list[int | None] = []
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(fifo, on_error=lambda problem: told.append(problem.errno))
    for _ in range(2):
        os.close(reader)
        log.log()
        log.flush()
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        log.flush()
        assert log.pending == 0
    os.close(reader)
    log.close()
    assert told == [errno.EPIPE, errno.EPIPE]
    assert log.dropped == 0


def test_closing_waits_for_a_slow_reader_but_not_for_ever(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    log = AccessLog(writer)
    for _ in range(2000):
        log.log()
    start = time.monotonic()
    log.close(wait=0.2)
    assert 0.2 <= time.monotonic() - start < 30
    assert 0 < log.dropped < log.lines


# ---- files that go away


def test_a_file_that_was_removed_is_opened_anew(path: Path) -> None:
    log = AccessLog(path)
    log.log(target="/1")
    log.flush()
    path.unlink()
    log.log(target="/2")
    flush_until(log, lambda: path.exists() and log.pending == 0)
    log.close()
    assert [line["target"] for line in read(path)] == ["/2"]


def test_a_folder_that_vanished_is_told_once_and_its_return_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    told: list[str] = []
    slabs = Slabs(1, 1)
    log = AccessLog(
        folder / "access.log",
        limit=8192,
        slab=slabs.slab(0),
        on_error=lambda problem: told.append(str(problem.strerror)),
        on_recovery=lambda: told.append("recovered"),
    )
    log.log()
    log.flush()
    shutil.rmtree(folder)
    flush_until(log, lambda: log.dropped > 0, each=log.log)
    assert told == ["No such file or directory"]
    folder.mkdir()
    flush_until(log, lambda: log.pending == 0)
    assert told == ["No such file or directory", "recovered"]
    log.log()
    log.close()
    lines = read(folder / "access.log")
    assert [line["dropped"] for line in lines if "dropped" in line] == [log.dropped]
    assert slabs.slab(0).counters()["log_drops"] == log.dropped
    assert len(lines) == log.lines, "the first one went with the folder, and one line tells of the drops"


def flush_until(
    log: AccessLog, condition: Callable[[], bool], *, each: Callable[[], object] = lambda: None
) -> None:
    """Flushes, as the gateway does, until the condition holds."""

    def tried() -> bool:
        each()
        log.flush()
        return condition()

    eventually(tried, "the log is in that state", within=10)
