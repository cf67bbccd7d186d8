"""USR2: new code in the same process, new workers before the old ones go, and not one request lost."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.test_reload import answering
from tests.harness import Gateway, eventually
from tests.harness.load import load


def replace(gateway: Gateway) -> list[int]:
    """Sends USR2 and waits until the old workers are gone. Gives the new family."""
    old = set(gateway.workers)
    gateway.signal(signal.SIGUSR2)
    eventually(lambda: is_new(gateway, old), "a new family serves alone", within=90)
    return gateway.workers


def is_new(gateway: Gateway, old: set[int]) -> bool:
    family = set(gateway.workers)
    return len(family) == len(old) and not family & old


def test_all_processes_but_the_first_are_new_and_no_request_fails() -> None:
    with Gateway(answering("x", server={"workers": 2})) as gateway, load(gateway.address):
        for _ in range(2):
            replace(gateway)
        assert sum("listening on" in line for line in gateway.lines) == 3


def test_the_new_code_serves_by_the_config_as_it_is_now() -> None:
    with Gateway(answering("old")) as gateway:
        gateway.write(answering("new"))
        replace(gateway)
        with gateway.client() as client:
            assert client.ask().body == b"new"
        gateway.write(answering("newest"))
        gateway.signal(signal.SIGHUP)
        gateway.wait_line("applied, generation 2")


def test_code_that_cannot_begin_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken release: what is imported first raises, from a certain moment on."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nif os.path.exists({str(tmp_path / 'broken')!r}): os._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Gateway(answering("old")) as gateway, load(gateway.address):
        before = gateway.workers
        (tmp_path / "broken").touch()
        gateway.signal(signal.SIGUSR2)
        gateway.wait_line("before it could serve; the old serves on", within=90)
        assert gateway.workers == before


def test_a_config_that_is_bad_now_changes_nothing() -> None:
    with Gateway(answering("old")) as gateway, gateway.client() as client:
        before = gateway.workers
        gateway.write("routes: [")
        gateway.signal(signal.SIGUSR2)
        gateway.wait_line("exited with status 2 before it could serve", within=90)
        assert gateway.workers == before
        assert client.ask().body == b"old"


def test_an_old_worker_that_does_not_end_is_killed_in_time() -> None:
    with Gateway(answering("x", server={"timeouts": {"drain": "200ms"}})) as gateway:
        worker = gateway.workers[0]
        os.kill(worker, signal.SIGSTOP)
        replace(gateway)
        gateway.wait_line(f"old worker (pid {worker}) has not ended in time; killing it")
