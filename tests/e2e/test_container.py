"""As in a container: process 1, nobody in particular, no capability, nothing that can be written."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Client, ask, eventually, leaks, net, request
from tests.harness.load import load

COMMAND = str(Path(sys.executable).with_name("tetrapylon"))
NOBODY = 65532
START = 30.0
SCRIPT = f"""
set -e
mount --make-rprivate /
if [ -n "$HIDDEN" ]; then
    # Where the interpreter lies below a folder that is its owner's alone.
    mount --bind "$BASE" "$STASH"
    mount -t tmpfs -o mode=755 tmpfs "$HIDDEN"
    mkdir -p "$BASE"
    mount --bind "$STASH" "$BASE"
fi
mount -o remount,bind,ro /
exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \\
    --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""
ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def why_not() -> str:
    """What keeps this machine from it."""
    if os.geteuid() != 0:
        return "namespaces and other users are for root"
    missing = [tool for tool in ("unshare", "nsenter", "setpriv") if shutil.which(tool) is None]
    if missing:
        return f"there is no {missing[0]}: install util-linux"
    tried = subprocess.run([*ISOLATED, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def hidden(path: Path) -> str:
    """The first folder on the way to it that others may not pass."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & 0o001:
            return str(folder)
    return ""


class Contained:
    def __init__(self, directory: Path) -> None:
        self.config = directory / "gateway.yaml"
        stash = directory / "stash"
        stash.mkdir()
        with net.listen() as free:
            self.address = net.join(free)
        self.answer("old")
        self.errors = directory / "stderr"
        base = Path(sys.base_prefix).resolve()
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*ISOLATED, "sh", "-c", SCRIPT, "sh", COMMAND, "run", str(self.config)],
                env={**os.environ, "HIDDEN": hidden(base), "BASE": str(base), "STASH": str(stash)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self.wait("listening on")

    @property
    def first(self) -> int:
        """The pid of its process 1, as it is seen from outside."""
        return leaks.children(self.process.pid)[1]

    def answer(self, body: str) -> None:
        self.config.write_text(
            f'server: {{listen: ["{self.address}"], workers: 2, timeouts: {{drain: 5s}}}}\n'
            f"log: {{access: none}}\nroutes: [{{path: /, respond: {{body: {body}}}}}]\n"
        )
        self.config.chmod(0o644)

    def wait(self, text: str, times: int = 1) -> None:
        def said() -> bool:
            return self.errors.read_text().count(text) >= times or self.process.poll() is not None

        eventually(said, f"{text!r}", within=START)
        assert self.process.poll() is None, self.errors.read_text()

    def status(self, key: str) -> str:
        lines = Path(f"/proc/{self.first}/status").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:"))


@pytest.fixture
def contained() -> Iterator[Contained]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with folder() as directory:
        running = Contained(directory)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                os.kill(running.first, signal.SIGKILL)  # a namespace ends with its first process
            running.process.kill()
            running.process.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """One that others may read."""
    with tempfile.TemporaryDirectory(prefix="contained-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_it_serves_as_the_first_process_of_nobody_without_a_capability(contained: Contained) -> None:
    assert contained.status("NSpid").split()[-1] == "1"
    assert set(contained.status("Uid").split()) == {str(NOBODY)}
    assert int(contained.status("CapEff"), 16) == int(contained.status("CapBnd"), 16) == 0
    with Client(contained.address) as client:
        assert client.send(request()).response().body == b"old"


def test_it_reloads_and_takes_new_code_there(contained: Contained) -> None:
    with load(contained.address):
        contained.answer("new")
        os.kill(contained.first, signal.SIGHUP)
        contained.wait("applied, generation 2")
        contained.answer("newest")
        os.kill(contained.first, signal.SIGUSR2)
        contained.wait("listening on", 2)
        # The old workers take a connection or two until they have heard that they are to drain.
        eventually(lambda: ask(contained.address).body == b"newest", "the new code serves alone")


def test_it_reaps_what_it_did_not_start(contained: Contained) -> None:
    """Who loses its parent is given to process 1, and would stay a zombie."""
    before = set(leaks.children(contained.first))
    inside = ("nsenter", "--target", str(contained.first), "--pid")
    subprocess.run([*inside, "sh", "-c", "sleep 0.2 >/dev/null 2>&1 &"], check=True)

    def orphans() -> set[int]:
        return set(leaks.children(contained.first)) - before

    eventually(lambda: bool(orphans()), "it is given one")
    eventually(lambda: not orphans(), "and it is gone")
    with Client(contained.address) as client:
        assert client.send(request()).response().body == b"old"


def test_it_drains_and_ends_well(contained: Contained) -> None:
    os.kill(contained.first, signal.SIGTERM)
    assert contained.process.wait(20) == 0, contained.errors.read_text()
    assert "Traceback" not in contained.errors.read_text()
