"""`run --watch`: a changed file is a reload."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.test_reload import answering
from tests.harness import Gateway, eventually

pytest.importorskip("watchfiles")


def body(gateway: Gateway) -> bytes:
    with gateway.client() as client:
        return client.ask().body


def test_a_changed_file_is_taken_on() -> None:
    with Gateway(answering("old"), "--watch") as gateway:
        gateway.write(answering("new"))
        eventually(lambda: body(gateway) == b"new", "it serves the new one", within=20)
        gateway.wait_line("reload (watch): applied, generation 2")


def test_one_that_has_the_same_content_is_left_alone_and_a_bad_one_is_told() -> None:
    with Gateway(answering("old"), "--watch") as gateway:
        gateway.write(answering("old"))
        gateway.write("routes: [")
        gateway.wait_line("reload (watch): refused; generation 1 stays in force", within=20)
        assert "applied" not in gateway.stderr
        assert "unchanged" not in gateway.stderr
        assert body(gateway) == b"old"


def test_a_swapped_symlink_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes replaces a mounted ConfigMap."""
    for name, said in (("one", "old"), ("two", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes.yaml").write_text(f"routes: [{{path: /, respond: {{body: {said}}}}}]\n")
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "routes.yaml").symlink_to("..data/routes.yaml")
    config = (
        f'server: {{listen: ["127.0.0.1:0"], timeouts: {{drain: 1s}}}}\ninclude: ["{tmp_path}/routes.yaml"]\n'
    )
    with Gateway(config, "--watch") as gateway:
        assert body(gateway) == b"old"
        (tmp_path / "next").symlink_to("two")
        os.rename(tmp_path / "next", tmp_path / "..data")
        eventually(lambda: body(gateway) == b"new", "it serves the new one", within=20)


def test_a_folder_may_go_and_come_again(tmp_path: Path) -> None:
    """As a checkout of another branch does it."""
    folder = tmp_path / "routes"

    def write(said: str) -> None:
        folder.mkdir()
        (folder / "one.yaml").write_text(f"routes: [{{path: /, respond: {{body: {said}}}}}]\n")

    write("old")
    config = f'server: {{listen: ["127.0.0.1:0"], timeouts: {{drain: 1s}}}}\ninclude: ["{folder}/one.yaml"]\n'
    with Gateway(config, "--watch") as gateway:
        shutil.rmtree(folder)
        gateway.wait_line("there is no file", within=20)
        write("new")
        eventually(lambda: body(gateway) == b"new", "it serves the new one", within=20)
        assert "watcher (pid" not in gateway.stderr, "it died of it"


def test_it_watches_on_after_usr1_which_reopens_logs() -> None:
    with Gateway(answering("old"), "--watch") as gateway:
        before = lasting(gateway)
        gateway.signal(signal.SIGUSR1)
        gateway.write(answering("new"))
        eventually(lambda: body(gateway) == b"new", "it serves the new one", within=20)
        assert lasting(gateway) == before
        assert "watcher" not in gateway.stderr


def lasting(gateway: Gateway) -> list[int]:
    """Worker, control process and watcher; who reads a changed config for them soon ends."""
    eventually(lambda: len(gateway.workers) == 3, "nothing is being read")
    return gateway.workers
