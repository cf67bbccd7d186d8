"""A real etcd, and keys put there by its own JSON gateway."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
from base64 import b64encode
from types import TracebackType
from typing import Any, Self

from tests.harness.wait import eventually

PROGRAM = shutil.which("etcd")
MISSING = "there is no etcd: install Debian's etcd-server"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Etcd:
    """A context manager. It keeps what it holds over `stop` and `start`."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="etcd-")
        self.url = f"http://127.0.0.1:{free_port()}"
        self._peer = f"http://127.0.0.1:{free_port()}"
        self.start()

    def start(self) -> None:
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [
                PROGRAM,
                f"--data-dir={self._directory.name}/data",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls={self._peer}",
                f"--initial-advertise-peer-urls={self._peer}",
                f"--initial-cluster=default={self._peer}",
                "--unsafe-no-fsync",
                "--log-level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._answers, f"etcd answers at {self.url}", within=30)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def put(self, key: str, value: str) -> None:
        self.ask("/v3/kv/put", {"key": _text(key), "value": _text(value)})

    def delete(self, key: str) -> None:
        self.ask("/v3/kv/deleterange", {"key": _text(key)})

    def compact(self) -> None:
        """Forgets all revisions before the last."""
        revision = self.ask("/v3/kv/range", {"key": _text("x")})["header"]["revision"]
        self.ask("/v3/kv/compaction", {"revision": revision, "physical": True})

    def ask(self, path: str, value: dict[str, Any]) -> Any:
        asked = urllib.request.Request(self.url + path, json.dumps(value).encode())
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.loads(answer.read())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._directory.cleanup()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            self.ask("/v3/kv/range", {"key": _text("x")})
            return True
        return False


def _text(text: str) -> str:
    return b64encode(text.encode()).decode()
