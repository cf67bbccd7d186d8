"""The real thing: `tetrapylon run` as a process of its own, with a config that the test gives."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness import leaks
from tests.harness.client import Client, request
from tests.harness.wait import eventually
from tests.harness.wire import Response

# Which streams stand under client connections: see tests/conftest.py.
STREAM = os.environ.get("TETRAPYLON_TEST_STREAM", "socket")
ROOT = Path(__file__).resolve().parents[2]
# What serves a config: the command, or a program that embeds the gateway (see embedded.py).
COMMANDS = {
    "socket": [str(Path(sys.executable).with_name("tetrapylon"))],
    "transport": [sys.executable, "-m", "tests.harness.embedded", "uvloop"],
    "asyncio": [sys.executable, "-m", "tests.harness.embedded", "asyncio"],
}
ADDRESS = re.compile(r"(?:unix:[^\s,;]+|(?:\[[0-9a-fA-F:]+\]|\d+\.\d+\.\d+\.\d+):\d+)")
START = 20.0
STOP = 15.0
Config = Mapping[str, Any]


class Gateway:
    """A running gateway; a context manager that ends it and asserts that it ended well.

    `config` is the whole config, as a mapping or as YAML text, or None where the arguments say it all. A
    mapping that does not say where listens on a free port of 127.0.0.1; one that does not say how long drains
    for at most a second. `stream`: as --stream of tests/conftest.py, which is the default. `tracebacks`:
    those of user code are expected.

    Attributes:
        addresses: what it says it listens on, in order; `address` is the first.
        admin: its admin address, if it has one.
        lines: its standard error so far, without the line ends.
        log: its standard output so far (the access log).
    """

    def __init__(
        self,
        config: Config | str | None,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: float = START,
        stream: str | None = None,
        tracebacks: bool = False,
    ) -> None:
        self._tracebacks = tracebacks
        self.stream = stream or STREAM
        self._directory = tempfile.TemporaryDirectory(prefix="gateway-")
        self.config_path = Path(self._directory.name, "gateway.yaml")
        if config is not None:
            self.write(config)
        self.lines: list[str] = []
        self.log: list[str] = []
        self.addresses: list[str] = []
        self.admin: str | None = None
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._listening = threading.Event()
        self.process = subprocess.Popen(
            [
                *COMMANDS[self.stream],
                "run",
                *([str(self.config_path)] if config is not None else []),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "NO_COLOR": "1",
                **({"PYTHONPATH": str(ROOT)} if self.stream != "socket" else {}),
                **(env or {}),
            },
            cwd=cwd or self._directory.name,
        )
        self._readers = [
            threading.Thread(target=self._read_errors, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            self._wait_ready(ready)
        except BaseException:
            self._end_now()
            raise

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        return "\n".join(self.lines)

    @property
    def access_log(self) -> list[dict[str, Any]]:
        """The access log's lines read as JSON."""
        return [json.loads(line) for line in list(self.log)]

    @property
    def workers(self) -> list[int]:
        """Processes other than the supervisor; a program that embeds the gateway has none."""
        return leaks.children(self.pid)[1:] if self.stream == "socket" else [self.pid]

    def client(self, **options: Any) -> Client:
        """A new connection to the first address; one that is left open when a test fails ends with it."""
        client = Client(self.address, **options)
        self._clients.add(client)
        return client

    def operate(self, path: str = "/metrics", method: str = "GET", **options: Any) -> Response:
        """What the admin address answers, on a connection of its own."""
        assert self.admin is not None, "the config has no `admin`"
        with Client(self.admin, **options) as operator:
            return operator.send(request(method, path, host="localhost")).response(method)

    def write(self, config: Config | str) -> None:
        """Writes the config file, also for a reload."""
        text = config if isinstance(config, str) else json.dumps(with_defaults(config), indent=1)
        self.config_path.write_text(text, encoding="utf-8")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def established(self) -> int:
        """TCP connections that the whole process tree holds open."""
        return sum(leaks.established(pid) for pid in leaks.children(self.pid))

    def descriptors(self) -> int:
        """Descriptors that the whole process tree holds open."""
        return sum(len(leaks.descriptors(pid)) for pid in leaks.children(self.pid))

    def wait_line(self, word: str, *, within: float = 5.0) -> str:
        """Waits for a line on standard error that contains the word."""
        eventually(
            lambda: any(word in line for line in self.lines), f"{word!r} in:\n{self.stderr}", within=within
        )
        return next(line for line in self.lines if word in line)

    def stop(self) -> int:
        """Sends TERM, unless it has ended, and waits. Returns the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Waits for the end of one that has been told to stop. Returns the exit status."""
        try:
            status = self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._end_now()
            raise AssertionError(
                f"the gateway did not stop within {STOP:g} s of TERM:\n{self.stderr}"
            ) from None
        self._drain_pipes()
        return status

    def close(self) -> None:
        """Stops it, and asserts that it ended with status 0 and that nothing in it raised."""
        if self.process.returncode is None:
            self.stop()
        self._directory.cleanup()
        assert self.process.returncode == 0, f"exit status {self.process.returncode}:\n{self.stderr}"
        assert self._tracebacks or "Traceback" not in self.stderr, self.stderr
        assert "Fatal Python error" not in self.stderr, self.stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        error.add_note(f"gateway's standard error:\n{self.stderr}")
        for client in self._clients:
            client.close()
        self._end_now()

    def _wait_ready(self, within: float) -> None:
        eventually(
            lambda: self._listening.is_set() or self.process.poll() is not None,
            "the gateway listens",
            within=within,
        )
        if not self._listening.is_set():
            self._drain_pipes()
            raise AssertionError(f"the gateway ended with {self.process.returncode} at once:\n{self.stderr}")

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            text = line.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(text)
            if not self._listening.is_set() and "listening on" in text:
                own, _, admin = text.partition("admin on")
                self.addresses = ADDRESS.findall(own)
                self.admin = next(iter(ADDRESS.findall(admin)), None)
                self._listening.set()

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line.decode("utf-8", "replace").rstrip("\n"))

    def _end_now(self) -> None:
        """The process and all that it started, without asking."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            for pid in reversed(leaks.children(self.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._drain_pipes()
        self._directory.cleanup()

    def _drain_pipes(self) -> None:
        for reader in self._readers:
            reader.join(STOP)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def with_defaults(config: Config) -> dict[str, Any]:
    """The config with what a test rarely wants to say; what it says itself stays."""
    server = {"listen": ["127.0.0.1:0"], **config.get("server", {})}
    server["timeouts"] = {"drain": "1s", **server.get("timeouts", {})}
    return {**config, "server": server}


def proxy(*targets: str, upstream: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A config that sends every path to one upstream of these targets; `more` are further top-level keys."""
    return {
        "upstreams": {"backend": {"targets": list(targets), **(upstream or {})}},
        "routes": [{"path": "/{rest:path}", "upstream": "backend"}, {"path": "/", "upstream": "backend"}],
        **more,
    }


def routed(routes: Sequence[Mapping[str, Any]], *targets: str, **more: Any) -> dict[str, Any]:
    """A config with these routes and, where there are targets, one upstream named `backend`."""
    upstreams = {"upstreams": {"backend": {"targets": list(targets)}}} if targets else {}
    return {**upstreams, "routes": list(routes), **more}
