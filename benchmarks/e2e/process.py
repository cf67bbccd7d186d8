"""Processes under measurement: pinned, started, seen as a tree, stopped."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..peers import Peer

CORES = sorted(os.sched_getaffinity(0))
GATEWAY_CORE = CORES[0]
LOAD_CORE = CORES[-1]
START_LIMIT = 20.0
STOP_LIMIT = 5.0


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started inside inherits the core from its first instruction."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def tree(root: int) -> list[int]:
    """The process and all its living descendants, by /proc/PID/stat (proc(5))."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, ())
    return sorted(found)


@dataclass(frozen=True)
class Memory:
    """Bytes, summed over processes. `pss` counts a page shared by n processes as 1/n in each (proc(5))."""

    pss: int
    rss: int


def memory(pids: Sequence[int]) -> Memory:
    sums = {"Pss": 0, "Rss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            key, _, value = line.partition(":")
            if key in sums:
                sums[key] += int(value.split()[0]) * 1024
    return Memory(sums["Pss"], sums["Rss"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def first_answer(port: int, limit: float, fields: Sequence[str] = ()) -> bytes | None:
    """The status line and what came with it, or None when nothing answers 200 within `limit` seconds."""
    lines = ["GET /small HTTP/1.1", "Host: api.example.com", "Connection: close", *fields, "", ""]
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=limit) as probe:
            probe.sendall("\r\n".join(lines).encode())
            answer = b""
            while data := probe.recv(65536):
                answer += data
    except OSError:
        return None
    return answer if answer.startswith(b"HTTP/1.1 200") else None


class Upstream:
    """The benchmark's upstream, on the core of the load."""

    def __init__(self, program: Path) -> None:
        with pinned(LOAD_CORE):
            self._process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().split()[1])

    @property
    def pid(self) -> int:
        return self._process.pid

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> "Upstream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


class Gateway:
    """One system, running: from the start to `start_seconds` it had not answered yet.

    Raises RuntimeError with the end of its output when it exits or stays silent for `limit` seconds.
    """

    def __init__(
        self,
        peer: Peer,
        program: Path,
        upstream: int,
        directory: Path,
        *,
        path: str = os.environ["PATH"],
        limit: float = START_LIMIT,
    ) -> None:
        self.peer = peer
        self.port = free_port()
        self.start_seconds = 0.0
        self._log = directory / "output.log"
        directory.mkdir(parents=True, exist_ok=True)
        self._access_log = directory / peer.log if peer.log else None
        if self._access_log:
            self._access_log.unlink(missing_ok=True)
        peer.render(directory, self.port, upstream)
        fill = (program, directory, self.port, upstream)
        command = peer.fill(peer.command, *fill)
        settings = dict(
            zip(peer.environment, peer.fill(tuple(peer.environment.values()), *fill), strict=True)
        )
        self._start(command, {**os.environ, "PATH": path, **settings}, directory, limit)

    def _start(
        self, command: list[str], environment: Mapping[str, str], directory: Path, limit: float
    ) -> None:
        with pinned(GATEWAY_CORE), self._log.open("wb") as log:
            began = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while first_answer(self.port, 5, self.peer.fields) is None:
            waited = time.perf_counter() - began
            if self._process.poll() is not None or waited > limit:
                self.close()
                said = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.peer.name}: no answer after {waited:.1f} s; it said:\n{said}")
            time.sleep(0.001)
        self.start_seconds = time.perf_counter() - began

    @property
    def pid(self) -> int:
        return self._process.pid

    def logged(self) -> int | None:
        """Lines in its access log, once it is closed; None for a system that keeps none."""
        if self._access_log is None:
            return None
        if not self._access_log.exists():
            return 0
        with self._access_log.open("rb") as log:
            return sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))

    def pids(self) -> list[int]:
        return tree(self._process.pid)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(ProcessLookupError):  # workers that outlive their parent share its process group
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()
