"""`run --watch`: a changed file is a reload."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.test_reload import answering
from tests.harness import Gateway, eventually

pytest.importorskip("watchfiles")


def body(gateway: Gateway, path: str = "/") -> bytes:
    with gateway.client() as client:
        return client.ask("GET", path).body


def status(gateway: Gateway, path: str) -> int:
    with gateway.client() as client:
        return client.ask("GET", path).status


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


def test_a_new_file_is_seen_in_a_folder_in_which_none_was_before(tmp_path: Path) -> None:
    for name in ("teams", "more"):
        (tmp_path / name).mkdir()
    with Gateway(including(f"{tmp_path}/teams/*/*.yaml", f"{tmp_path}/more/**/*.yaml"), "--watch") as gateway:
        write(tmp_path / "teams" / "users" / "routes.yaml", "/users", "one")
        eventually(lambda: body(gateway, "/users") == b"one", "a folder that came with its file", within=20)
        write(tmp_path / "more" / "a" / "b" / "routes.yaml", "/more", "two")
        eventually(lambda: body(gateway, "/more") == b"two", "one below it, by **", within=20)


def test_a_file_that_goes_or_gets_another_name_takes_its_routes_along(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / f"{name}.yaml", f"/{name}", name)
    with Gateway(including(f"{tmp_path}/*.yaml"), "--watch") as gateway:
        (tmp_path / "one.yaml").unlink()
        eventually(lambda: status(gateway, "/one") == 404, "what was removed has gone", within=20)
        (tmp_path / "two.yaml").rename(tmp_path / "two.yaml.off")
        eventually(lambda: status(gateway, "/two") == 404, "it fits no pattern any more", within=20)
        (tmp_path / "two.yaml.off").rename(tmp_path / "three.yaml")
        eventually(lambda: body(gateway, "/two") == b"two", "it fits one again", within=20)


def test_an_editor_may_write_another_file_and_give_it_the_name(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    write(file, "/", "old")
    with Gateway(including(str(file)), "--watch") as gateway:
        replace(file, "new")
        eventually(lambda: body(gateway) == b"new", "it serves the new one", within=20)
        replace(file, "newer")
        eventually(lambda: body(gateway) == b"newer", "another inode is watched now", within=20)


def test_a_swapped_symlink_may_bring_files_and_take_some(tmp_path: Path) -> None:
    """As Kubernetes replaces a mounted ConfigMap whose keys have changed."""
    mount = tmp_path / "mount"
    write(mount / "..one" / "a.yaml", "/a", "a")
    write(mount / "..two" / "b.yaml", "/b", "b")
    (mount / "..data").symlink_to("..one")
    (mount / "a.yaml").symlink_to("..data/a.yaml")
    with Gateway(including(f"{mount}/*.yaml"), "--watch") as gateway:
        assert body(gateway, "/a") == b"a"
        (mount / "..next").symlink_to("..two")
        (mount / "..next").rename(mount / "..data")
        (mount / "b.yaml").symlink_to("..data/b.yaml")
        (mount / "a.yaml").unlink()
        eventually(lambda: body(gateway, "/b") == b"b", "it serves what came", within=20)
        eventually(lambda: status(gateway, "/a") == 404, "and not what has gone", within=20)


def test_what_a_refused_config_lacks_is_waited_for(tmp_path: Path) -> None:
    """Its main file is written before the one that it includes is."""
    with Gateway(answering("old"), "--watch") as gateway:
        gateway.write(including(f"{tmp_path}/teams/one.yaml", f"{tmp_path}/more/*.yaml"))
        gateway.wait_line("there is no file", within=20)
        write(tmp_path / "teams" / "one.yaml", "/", "new")
        write(tmp_path / "more" / "two.yaml", "/two", "two")
        eventually(lambda: body(gateway) == b"new", "both are there", within=20)


def test_a_file_whose_text_is_filled_in_is_watched_whatever_its_name(tmp_path: Path) -> None:
    greeting = tmp_path / "greeting"
    greeting.write_text("old\n")
    with Gateway(answering("first"), "--watch") as gateway:
        gateway.write(answering(f"${{file:{greeting}}}"))
        eventually(lambda: body(gateway) == b"old", "the watcher is at work", within=20)
        greeting.write_text("new\n")
        eventually(lambda: body(gateway) == b"new", "it serves the new one", within=20)


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


def replace(file: Path, said: str) -> None:
    write(file.with_suffix(".tmp"), "/", said)
    os.replace(file.with_suffix(".tmp"), file)


def including(*patterns: str) -> str:
    return f'server: {{listen: ["127.0.0.1:0"], timeouts: {{drain: 1s}}}}\ninclude: {json.dumps(patterns)}\n'


def write(file: Path, path: str, said: str) -> None:
    """A file with one route."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"routes: [{{path: {path}, respond: {{body: {said}}}}}]\n")
