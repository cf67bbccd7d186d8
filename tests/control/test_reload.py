"""A reload, as the supervisor sees it: all workers take a config on or none does, whatever happens."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.control.running import Running, alive, children, eventually, receive


def write(directory: Path, **config: Any) -> None:
    """The config that is read next; what is not said stays as it was at the start."""
    fresh = directory / "config.json.new"
    fresh.write_text(json.dumps(config))
    fresh.rename(directory / "config.json")


def reload(gateway: Running, **config: Any) -> None:
    """By HUP, and it has worked."""
    write(gateway.directory, **config)
    before = gateway.stderr.count("applied")
    gateway.signal(signal.SIGHUP)
    eventually(lambda: gateway.stderr.count("applied") > before, f"it is applied:\n{gateway.stderr}")


def refused(gateway: Running, **config: Any) -> str:
    """By HUP, and it is refused: what is said of it."""
    write(gateway.directory, **config)
    before = len(gateway.stderr)
    gateway.signal(signal.SIGHUP)
    eventually(lambda: "refused" in gateway.stderr[before:], f"it is refused:\n{gateway.stderr}")
    return gateway.stderr[before:]


def says(gateway: Running) -> set[Any]:
    return {gateway.ask()["said"] for _ in range(20)}


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


class TestOnHup:
    def test_every_worker_takes_it_on_without_being_replaced(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=3, said="old") as gateway:
            before = gateway.workers()
            reload(gateway, said="new")
            assert says(gateway) == {"new"}
            assert gateway.workers() == before

    def test_a_config_that_has_not_changed_is_left_alone(self, tmp_path: Path) -> None:
        with Running(tmp_path) as gateway:
            write(tmp_path)
            gateway.signal(signal.SIGHUP)
            gateway.wait_line("reload (SIGHUP): unchanged, generation 1")

    def test_one_that_cannot_be_read_changes_nothing_and_is_told(self, tmp_path: Path) -> None:
        with Running(tmp_path, said="old") as gateway:
            told = refused(gateway, read="fail")
            assert "error reload (SIGHUP): config.json:1: this is no config\n" in told
            assert "generation 1 stays in force" in told
            assert says(gateway) == {"old"}

    def test_one_whose_reader_dies_changes_nothing(self, tmp_path: Path) -> None:
        with Running(tmp_path, said="old") as gateway:
            assert "the process reading it exited with status 9" in refused(gateway, read="die")
            assert says(gateway) == {"old"}
            reload(gateway, said="new")
            assert says(gateway) == {"new"}

    def test_one_that_a_worker_cannot_compile_changes_nothing_anywhere(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, said="old") as gateway:
            told = refused(gateway, said="new", prepare="fail")
            assert "worker" in told
            assert "this config cannot be compiled" in told
            assert says(gateway) == {"old"}

    def test_one_that_workers_die_of_changes_nothing(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, said="old") as gateway:
            assert "workers die of it" in refused(gateway, said="new", prepare="die")
            eventually(lambda: settled(gateway) == {"old"}, "both are back")

    def test_orders_that_come_meanwhile_are_one_more(self, tmp_path: Path) -> None:
        with Running(tmp_path, said="old") as gateway:
            write(tmp_path, read="wait", said="new")
            gateway.signal(signal.SIGHUP)
            gateway.wait_file("reading")
            for _ in range(5):
                gateway.signal(signal.SIGHUP)
                gateway.ask()
            gateway.touch("release-read")
            gateway.wait_line("unchanged, generation 2")
            assert gateway.stderr.count("reload (SIGHUP)") == 2


class TestWorkersThatDie:
    def test_a_successor_serves_by_the_config_in_force(self, tmp_path: Path) -> None:
        with Running(tmp_path, said="old") as gateway:
            reload(gateway, said="new")
            os.kill(gateway.ask()["pid"], signal.SIGKILL)
            assert says(gateway) == {"new"}

    def test_one_that_is_killed_while_it_compiles_does_not_stop_the_rest(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, said="old") as gateway:
            write(tmp_path, said="new", prepare="hang")
            gateway.signal(signal.SIGHUP)
            (first, second) = gateway.workers().values()
            for pid in (first, second):
                gateway.wait_file(f"preparing-{pid}")
            os.kill(first, signal.SIGKILL)
            gateway.wait_line(f"(pid {first}) was killed")
            eventually(
                lambda: len(list(tmp_path.glob("preparing-*"))) == 3, "its successor is asked in its place"
            )
            os.kill(second, signal.SIGKILL)
            gateway.wait_line("workers die of it")
            assert says(gateway) == {"old"}


class TestNumberOfWorkers:
    def test_more_are_started_and_the_old_ones_stay(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=1) as gateway:
            before = gateway.workers()
            reload(gateway, workers=3)
            eventually(lambda: sorted(gateway.workers()) == [0, 1, 2], "three serve")
            assert gateway.workers()[0] == before[0]

    def test_fewer_drain_and_the_rest_accept_from_their_sockets(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=3) as gateway:
            before = gateway.workers()
            reload(gateway, workers=1)
            eventually(lambda: children(gateway.pid) == [before[0]], "two have ended")
            assert gateway.workers() == {0: before[0]}
            assert "replacing" not in gateway.stderr

    def test_one_that_leaves_finishes_what_it_has(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2) as gateway:
            waiting = {}
            for index in range(20):  # until both have one
                waiting[index] = gateway.send(f"/wait/{index}")
                gateway.wait_file(f"waiting-{index}")
            reload(gateway, workers=1)
            for index in waiting:
                gateway.touch(f"release-{index}")
            assert {receive(sock)["worker"] for sock in waiting.values()} == {0, 1}
            eventually(lambda: len(children(gateway.pid)) == 1, "it has ended")

    def test_one_that_hangs_when_it_should_leave_is_killed(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, drain=0.2) as gateway:
            other = gateway.workers()[1]
            os.kill(other, signal.SIGSTOP)
            write(tmp_path, workers=1, drain=0.2)
            gateway.signal(signal.SIGHUP)
            eventually(lambda: not alive(other), "it is gone")
            os.kill(gateway.pid, 0)

    def test_back_and_forth_each_has_counters_of_its_own(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=1) as gateway:
            for count in (4, 2, 3, 1):
                reload(gateway, workers=count)
                eventually(lambda: len(children(gateway.pid)) == count, f"{count} run")  # noqa: B023
            assert gateway.ask()["worker"] == 0

    def test_more_than_there_is_room_for_are_refused(self, tmp_path: Path) -> None:
        with Running(tmp_path) as gateway:
            assert "room for 64 workers; restart it" in refused(gateway, workers=65)


class TestListeners:
    def test_a_new_address_is_served_by_workers_that_run(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2) as gateway:
            before = gateway.workers()
            path = tmp_path / "s"
            reload(gateway, listen=["127.0.0.1:0", f"unix:{path}"])
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
            assert gateway.workers() == before

    def test_workers_born_later_serve_it_too(self, tmp_path: Path) -> None:
        with Running(tmp_path, said="x") as gateway:
            port = free_port()
            reload(gateway, listen=["127.0.0.1:0", f"127.0.0.1:{port}"])
            os.kill(gateway.ask()["pid"], signal.SIGKILL)
            gateway.ask()
            assert ask_at(port)["said"] == "x"

    def test_an_address_that_has_gone_refuses(self, tmp_path: Path) -> None:
        port = free_port()
        with Running(tmp_path, listen=["127.0.0.1:0", f"127.0.0.1:{port}"], workers=2) as gateway:
            reload(gateway, listen=["127.0.0.1:0"])
            eventually(lambda: refuses(port), "it is closed")
            gateway.ask()

    def test_one_that_cannot_be_opened_changes_nothing(self, tmp_path: Path) -> None:
        with Running(tmp_path, said="old") as gateway, socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            told = refused(gateway, said="new", listen=["127.0.0.1:0", f"127.0.0.1:{port}"])
            assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in told
            assert says(gateway) == {"old"}

    def test_what_was_opened_for_a_config_that_is_refused_is_closed(self, tmp_path: Path) -> None:
        with Running(tmp_path) as gateway:
            path, port = tmp_path / "s", free_port()
            listen = ["127.0.0.1:0", f"unix:{path}", f"127.0.0.1:{port}"]
            before = descriptors(gateway.pid)
            refused(gateway, prepare="fail", listen=listen)
            assert not path.exists()
            assert refuses(port)
            assert descriptors(gateway.pid) == before

    def test_more_new_ones_than_a_message_carries_sockets(self, tmp_path: Path) -> None:
        with Running(tmp_path, said="x") as gateway:
            paths = [str(tmp_path / str(number)) for number in range(300)]
            reload(gateway, listen=["127.0.0.1:0", *(f"unix:{path}" for path in paths)])
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(paths[-1])
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")


class TestWhileItEnds:
    """What is in flight is served to its end, whatever is ordered meanwhile."""

    @pytest.mark.parametrize(
        "config", [{}, {"workers": 2}, {"listen": ["127.0.0.1:0", "127.0.0.1:0"]}], ids=str
    )
    def test_a_reload_is_refused(self, tmp_path: Path, config: dict[str, Any]) -> None:
        with Running(tmp_path) as gateway:
            last = gateway.send("/wait/last")
            gateway.wait_file("waiting-last")
            gateway.signal(signal.SIGTERM)
            eventually(lambda: refuses(gateway.ports[0]), "it drains")
            assert "about to end" in refused(gateway, said="new", **config)
            gateway.touch("release-last")
            assert receive(last)["said"] == ""
            assert gateway.wait() == 0

    @pytest.mark.parametrize(
        ("config", "under_way"), [({"read": "wait"}, "reading"), ({"prepare": "hang"}, "preparing-*")]
    )
    def test_one_that_is_under_way_is_given_up(
        self, tmp_path: Path, config: dict[str, Any], under_way: str
    ) -> None:
        with Running(tmp_path, admin="127.0.0.1:0") as gateway:
            last = gateway.send("/wait/last")
            gateway.wait_file("waiting-last")
            write(tmp_path, listen=["127.0.0.1:0", "127.0.0.1:0"], workers=2, **config)
            gateway.signal(signal.SIGHUP)
            eventually(lambda: any(tmp_path.glob(under_way)), f"it is {under_way}")
            gateway.signal(signal.SIGHUP)  # and another waits for it
            gateway.signal(signal.SIGTERM)
            gateway.wait_line("about to end")
            gateway.touch("release-last")
            assert receive(last)["said"] == ""
            assert gateway.wait() == 0
            assert "Traceback" not in gateway.stderr


class TestNothingLeft:
    def test_reloads_leave_no_descriptor_and_no_process_anywhere(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, admin="127.0.0.1:0") as gateway:
            for turn in range(12):  # until the history is full
                reload(gateway, said=turn)
            eventually(lambda: '"generation": 13' in gateway.admin("/history")[1], "the news are out")
            family = [gateway.pid, *children(gateway.pid)]
            before = {pid: descriptors(pid) for pid in family}
            for turn in range(12, 15):
                reload(gateway, said=turn)
            refused(gateway, prepare="fail")
            assert [gateway.pid, *children(gateway.pid)] == family
            # Not equal: the answer above may still have been on its way.
            eventually(lambda: all(descriptors(pid) <= before[pid] for pid in family), "no more than before")

    def test_a_worker_born_late_keeps_no_config_open(self, tmp_path: Path) -> None:
        with Running(tmp_path) as gateway:
            for turn in range(3):
                reload(gateway, said=turn)
            os.kill(gateway.ask()["pid"], signal.SIGKILL)
            pid = gateway.ask()["pid"]
            memory = {name.split()[0] for name in names(pid) if "memfd" in name}
            assert memory == {"/memfd:tetrapylon-flights"}


class TestFromTheAdminAddress:
    def test_it_answers_with_the_outcome(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, admin="127.0.0.1:0", said="old") as gateway:
            write(tmp_path, said="new")
            status, text = gateway.admin("/reload", "POST")
            assert (status, json.loads(text)["outcome"]) == (200, "applied")
            assert says(gateway) == {"new"}

    def test_a_refusal_is_a_problem_and_names_the_reason(self, tmp_path: Path) -> None:
        with Running(tmp_path, admin="127.0.0.1:0") as gateway:
            write(tmp_path, read="fail")
            status, text = gateway.admin("/reload", "POST")
            assert status == 422
            assert json.loads(text)["detail"] == "config.json:1: this is no config"
            _, text = gateway.admin("/history")
            assert json.loads(text)["last"]["problems"] == [{"text": "config.json:1: this is no config"}]

    def test_a_dry_run_changes_nothing(self, tmp_path: Path) -> None:
        with Running(tmp_path, admin="127.0.0.1:0", said="old") as gateway:
            write(tmp_path, said="new")
            status, text = gateway.admin("/reload?dry_run=1", "POST")
            assert (status, json.loads(text)["outcome"]) == (200, "valid")
            assert says(gateway) == {"old"}
            assert json.loads(gateway.admin("/history")[1])["last"] is None

    def test_history_lives_on_when_the_control_process_dies(self, tmp_path: Path) -> None:
        with Running(tmp_path, admin="127.0.0.1:0") as gateway:
            reload(gateway, said="new")
            (control,) = set(children(gateway.pid)) - set(gateway.workers().values())
            os.kill(control, signal.SIGKILL)
            gateway.wait_line("control process")
            told = answer_of(lambda: gateway.admin("/history"))
            assert [past["generation"] for past in told["history"]] == [1, 2]

    def test_it_asks_every_worker_what_its_upstreams_do(self, tmp_path: Path) -> None:
        with Running(tmp_path, admin="127.0.0.1:0", workers=2) as gateway:
            told = json.loads(gateway.admin("/upstreams")[1])
            (upstream,) = told["upstreams"]
            assert told["workers"] == [0, 1]
            assert (upstream["name"], upstream["connections"], upstream["queue"]) == ("stand-in", 6, 4)
            assert upstream["workers"]["1"] == {"connections": 3, "queue": 2}
            assert [(each["url"], each["connections"]) for each in upstream["targets"]] == [
                ("127.0.0.1:9", 6)
            ]

    @pytest.mark.parametrize("path", ["/reload?dry_run=yes", "/rollback?generation=x", "/reload?dryrun=1"])
    def test_a_bad_parameter_is_named(self, tmp_path: Path, path: str) -> None:
        with Running(tmp_path, admin="127.0.0.1:0") as gateway:
            status, text = gateway.admin(path, "POST")
            assert status == 400
            assert "dry" in text or "generation" in text
            assert "reload" not in gateway.stderr


def settled(gateway: Running) -> set[Any]:
    """As `says`, while workers may still die."""
    try:
        return says(gateway)
    except OSError:
        return set()


def answer_of(ask: Callable[[], tuple[int, str]]) -> Any:
    found: list[str] = []

    def answered() -> bool:
        try:
            found.append(ask()[1])
        except OSError:
            return False
        return True

    eventually(answered, "the admin address answers")
    return json.loads(found[0])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def ask_at(port: int) -> dict[str, Any]:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return receive(sock)


def names(pid: int) -> list[str]:
    directory = f"/proc/{pid}/fd"
    return sorted(os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory))


def descriptors(pid: int) -> int:
    return len(names(pid))
