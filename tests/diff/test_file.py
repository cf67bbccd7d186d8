"""Findings in their file, and what becomes of them when the file, the disk or the process does not hold."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tetrapylon.diff import Answer, Rules
from tetrapylon.diff import file as module
from tetrapylon.diff.file import FindingsFile
from tetrapylon.diff.findings import Pair
from tetrapylon.stores.sqlite_file import move_aside

SIZE = 1 << 20
JSON = [(b"Content-Type", b"application/json")]


def answer(**members: object) -> Answer:
    return Answer(200, JSON, json.dumps(members).encode())


def take(file: FindingsFile, route: str = "users", *, differs: int = 1) -> None:
    for n in range(differs):
        file.findings.take(Pair(route, "GET", f"/{n}", answer(a=1), answer(a="x")), Rules())


def different(file: FindingsFile) -> dict[str, int]:
    return {name: route.different() for name, route in sorted(file.findings.routes.items())}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "diff.sqlite"


def opened(path: Path) -> FindingsFile:
    return FindingsFile(str(path), SIZE)


def test_what_was_found_is_there_after_a_restart(path: Path) -> None:
    file = opened(path)
    take(file)
    file.findings.take(Pair("b", "GET", "/", answer(b=1), answer(b=2), answer(b=3)), Rules())
    told = file.findings.told()
    file.close()
    assert opened(path).findings.told() == told
    assert path.stat().st_mode & 0o777 == 0o600, "samples are of people's requests"


def test_a_corrupt_file_is_moved_aside_and_said(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(b"this is no database" * 1000)
    file = opened(path)
    take(file)
    file.close()
    said = capfd.readouterr().err
    assert "moved to" in said
    assert "begun anew" in said
    assert Path(f"{path}.aside").read_bytes().startswith(b"this is no database")
    assert different(opened(path)) == {"users": 1}


def test_a_journal_goes_with_its_file_and_is_never_applied_to_another(path: Path) -> None:
    Path(f"{path}.aside-wal").write_bytes(b"of the file before")
    path.write_bytes(b"a file")
    Path(f"{path}-journal").write_bytes(b"of that one")
    move_aside(str(path))
    kept = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    assert kept == {"diff.sqlite.aside": b"a file", "diff.sqlite.aside-journal": b"of that one"}


def damage(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as raw:
        raw.seek(at)
        raw.write(data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: damage(path, 0, b"\xff" * path.stat().st_size),
        lambda path: damage(path, 0, b"no database"),
        lambda path: damage(path, 4096, b"\xff" * 4096),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:4096]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"users", b"\xff\xff\xff\xff\xff")),
    ],
    ids=["all", "head", "page", "empty", "half", "content"],
)
def test_a_file_that_is_damaged_while_it_is_used_is_moved_aside_at_the_next_look(
    path: Path, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], object]
) -> None:
    file = opened(path)
    for n in range(30):
        take(file, f"route {n}")
    take(file, "users")
    file.write()
    file.write()
    assert capfd.readouterr().err == ""
    before = path.stat()
    spoil(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # however coarse the file system's clock
    spoilt = path.read_bytes()
    file.write()  # though nothing new was found
    said = capfd.readouterr().err
    assert said.count("moved to") == 1, said
    assert Path(f"{path}.aside").read_bytes() == spoilt
    take(file, "b")
    file.close()
    assert len(different(opened(path))) == 32, "with all that is known"
    assert capfd.readouterr().err == ""


def test_damage_that_leaves_no_trace_is_found_in_time(
    path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXAMINED", 0.0)
    file = opened(path)
    take(file)
    file.write()
    before = path.stat()
    damage(path, 4096, b"\xff" * 4096)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    file.write()
    assert "moved to" in capfd.readouterr().err


def test_a_file_that_somebody_touched_is_kept(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = opened(path)
    take(file)
    file.write()
    os.utime(path)
    take(file)
    file.close()
    assert different(opened(path)) == {"users": 2}
    assert capfd.readouterr().err == ""


def test_a_file_of_another_version_is_moved_aside_untouched(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    newer = sqlite3.connect(path)
    newer.execute("CREATE TABLE findings (place TEXT)")
    newer.execute("INSERT INTO findings VALUES ('of the future')")
    newer.execute("PRAGMA user_version = 7")
    newer.commit()
    newer.close()
    before = path.read_bytes()
    file = opened(path)
    take(file)
    file.close()
    assert "another version (7, not 1); moved to" in capfd.readouterr().err
    assert Path(f"{path}.aside").read_bytes() == before


def test_a_file_that_another_process_holds_stays_its_own(
    path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.0)
    first = opened(path)
    take(first, differs=3)
    first.write()
    second = opened(path)
    take(second, differs=2)
    take(second, "orders")
    second.write()
    said = capfd.readouterr().err
    assert said.count("another process holds it; findings stay in memory") == 1
    assert not Path(f"{path}.aside").exists()
    take(first)
    first.close()
    second.write()
    assert "can be used again" in capfd.readouterr().err
    assert different(second) == {"orders": 1, "users": 6}, "what both have found"
    second.close()
    assert different(opened(path)) == {"orders": 1, "users": 6}


def test_what_was_forgotten_while_the_file_was_held_stays_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.0)
    first = opened(path)
    take(first)
    first.write()
    second = opened(path)
    take(second)
    second.findings.forget("users")
    first.close()
    second.close()
    assert different(opened(path)) == {}


def test_a_full_file_is_moved_aside_said_and_begun_anew(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = FindingsFile(str(path), 65536)
    for n in range(2000):
        take(file, f"route {n}")
        if n % 50 == 0:
            file.write()
    file.close()
    assert "it is full, with 64 KiB; moved to" in capfd.readouterr().err
    assert path.stat().st_size <= 65536
    assert Path(f"{path}.aside").stat().st_size <= 65536


def test_a_full_disk_moves_nothing_and_loses_nothing(
    path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.0)
    file = FindingsFile(str(path), 65536)
    with monkeypatch.context() as disk:
        disk.setattr(os, "statvfs", lambda _: os.statvfs_result((4096, 4096, 9, 0, 0, 9, 9, 9, 0, 255)))
        for n in range(500):
            take(file, f"route {n}")
        file.write()
        file.write()
    said = capfd.readouterr().err
    assert said.count("findings stay in memory") == 1
    assert not Path(f"{path}.aside").exists()
    assert len(different(file)) == 500
    file.findings.forget()
    take(file)
    file.write()
    assert "can be used again" in capfd.readouterr().err
    assert different(file) == {"users": 1}, "nothing is counted twice"


def test_a_file_that_was_taken_away_is_made_anew(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = opened(path)
    take(file)
    file.write()
    path.unlink()
    take(file)
    file.write()
    file.close()
    assert "is not there any more" in capfd.readouterr().err
    assert different(opened(path)) == {"users": 2}


def test_where_no_file_can_be_it_is_said_and_findings_stay(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = opened(tmp_path / "nowhere" / "diff.sqlite")
    take(file)
    file.write()
    assert different(file) == {"users": 1}
    assert "stay in memory" in capfd.readouterr().err


WRITER = """
import sys
from tests.diff.test_file import FindingsFile, take
file = FindingsFile(sys.argv[1], 1 << 20)
print("ready", flush=True)
while True:
    take(file, differs=5)
    file.write()
    print(file.findings.routes["users"].compared, flush=True)
"""


def test_a_process_that_is_killed_while_it_writes_leaves_what_it_had_written(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    written = 0
    for killed_after in (1, 3, 8, 20):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        with writer.stdout as told:
            assert told.readline() == "ready\n"
            for _ in range(killed_after):
                written = int(told.readline())
            writer.send_signal(signal.SIGKILL)
            rest = told.read().split()
        writer.wait()
        file = opened(path)
        compared = file.findings.routes["users"].compared
        file.close()
        last = int(rest[-1]) if rest else written
        assert last <= compared <= last + 5
    assert capfd.readouterr().err == ""
