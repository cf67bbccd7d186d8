"""A worker that dies, stops or falls silent is named and replaced; its counters and its socket live on."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.control.running import Running, alive, children, eventually, receive


def test_a_killed_worker_is_named_and_replaced_at_once(tmp_path: Path) -> None:
    with Running(tmp_path) as gateway:
        before = gateway.ask()["pid"]
        os.kill(before, signal.SIGKILL)
        assert gateway.ask()["pid"] != before
        line = gateway.wait_line("was killed by SIGKILL")
        assert f"worker 0 (pid {before})" in line
        assert "replacing it at once" in line
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning ", line)


def test_connections_queued_on_a_dead_workers_socket_are_served_by_its_successor(tmp_path: Path) -> None:
    with Running(tmp_path) as gateway:
        pid = gateway.ask()["pid"]
        os.kill(pid, signal.SIGSTOP)
        gateway.wait_line("was stopped by SIGSTOP")
        queued = [gateway.send("/") for _ in range(5)]
        os.kill(pid, signal.SIGKILL)
        answers = {receive(sock)["pid"] for sock in queued}
        assert len(answers) == 1
        assert pid not in answers


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGSEGV, "Segmentation fault"), (signal.SIGABRT, "Aborted")]
)
def test_a_crash_leaves_a_traceback(tmp_path: Path, number: signal.Signals, told: str) -> None:
    with Running(tmp_path) as gateway:
        os.kill(gateway.ask()["pid"], number)
        gateway.wait_line(f"was killed by {number.name}")
        assert f"Fatal Python error: {told}" in gateway.stderr
        assert "worker.py" in gateway.stderr
        gateway.ask()


def test_an_exit_is_named_by_its_status(tmp_path: Path) -> None:
    with Running(tmp_path) as gateway:
        gateway.send("/exit/7").close()
        gateway.wait_line("exited with status 7")
        gateway.ask()


def test_a_worker_whose_loop_hangs_is_replaced_and_shows_where(tmp_path: Path) -> None:
    with Running(tmp_path) as gateway:
        before = gateway.ask()["pid"]
        with gateway.send("/hang"):
            line = gateway.wait_line("silent for")
            assert f"(pid {before})" in line
            gateway.wait_line("was killed by SIGABRT")
            assert re.search(r'File ".*standin\.py", line \d+ in _read', gateway.stderr)
            assert gateway.ask()["pid"] != before


def test_a_stopped_worker_is_replaced(tmp_path: Path) -> None:
    with Running(tmp_path) as gateway:
        before = gateway.ask()["pid"]
        os.kill(before, signal.SIGSTOP)
        assert gateway.ask()["pid"] != before
        gateway.wait_line(f"worker 0 (pid {before}) was stopped by SIGSTOP")
        gateway.wait_line("silent for")
        assert not alive(before)


def test_a_worker_that_goes_on_in_time_is_left_alone(tmp_path: Path) -> None:
    with Running(tmp_path) as gateway:
        before = gateway.ask()["pid"]
        os.kill(before, signal.SIGSTOP)
        gateway.wait_line("was stopped by SIGSTOP")
        os.kill(before, signal.SIGCONT)
        assert gateway.ask()["pid"] == before
        assert "silent" not in gateway.stderr


def test_a_gateway_stopped_as_a_whole_goes_on_as_a_whole(tmp_path: Path) -> None:
    """Ctrl-Z and fg, a paused container, a laptop that slept: silence is what the supervisor watched."""
    with Running(tmp_path) as gateway:
        before = gateway.ask()["pid"]
        family = [gateway.pid, *children(gateway.pid)]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        long_enough = time.monotonic() + 1.3  # more than the silence that is allowed
        eventually(lambda: time.monotonic() > long_enough, "time passes")
        for pid in family:
            os.kill(pid, signal.SIGCONT)
        assert gateway.ask()["pid"] == before
        assert "silent" not in gateway.stderr


def test_other_workers_serve_on_while_one_is_replaced(tmp_path: Path) -> None:
    with Running(tmp_path, workers=2) as gateway:
        before = gateway.workers()
        assert sorted(before) == [0, 1]
        os.kill(before[0], signal.SIGKILL)
        gateway.wait_line("was killed by SIGKILL")
        after = gateway.workers()
        assert after[1] == before[1]
        assert after[0] != before[0]


def test_counters_survive_a_death_and_count_it(tmp_path: Path) -> None:
    with Running(tmp_path, admin="127.0.0.1:0") as gateway:
        for _ in range(3):
            gateway.ask()
        os.kill(gateway.ask()["pid"], signal.SIGKILL)
        gateway.ask()
        gateway.wait_line("was killed by SIGKILL")
        _, text = gateway.admin("/metrics")
        labels = 'http_route="/",http_request_method="GET",http_response_status_class="2xx"'
        assert f"http_server_request_duration_seconds_count{{{labels}}} 5" in text
        assert "tetrapylon_worker_restarts_total 1" in text


def test_a_crash_loop_is_named_and_slowed_while_the_other_worker_serves(tmp_path: Path) -> None:
    with Running(tmp_path, workers=2) as gateway:
        first, steady = (gateway.workers()[index] for index in (0, 1))
        before = {steady, *children(gateway.pid)} - {first}
        for _ in range(5):
            eventually(lambda: bool(set(children(gateway.pid)) - before), "worker 0 runs")
            (pid,) = set(children(gateway.pid)) - before
            os.kill(pid, signal.SIGKILL)
            gateway.wait_line(f"(pid {pid}) was killed")
        line = gateway.wait_line("a crash loop")
        assert re.search(r" error worker 0 .* a crash loop, 5 times in \d+\.\d s; next try in 0.8 s", line)
        assert re.findall(r"next try in ([\d.]+) s", gateway.stderr) == ["0.1", "0.2", "0.4", "0.8"]
        assert gateway.workers()[1] == steady


def test_a_gateway_whose_workers_never_serve_gives_up(tmp_path: Path) -> None:
    with Running(tmp_path, ready=False, fail="start") as gateway:
        assert gateway.wait() == 1
        assert "RuntimeError: this gateway cannot be built" in gateway.stderr
        assert "a crash loop, 5 times" in gateway.stderr
        assert "no worker could begin to serve; giving up" in gateway.stderr
        assert "listening on" not in gateway.stderr


def test_a_refusal_that_would_come_again_ends_it_at_once(tmp_path: Path) -> None:
    with Running(tmp_path, ready=False, fail="refuse") as gateway:
        assert gateway.wait() == 2
        assert gateway.stderr.startswith("this config cannot be compiled\n")
        assert "Traceback" not in gateway.stderr


def test_a_worker_that_never_gets_to_serve_is_replaced(tmp_path: Path) -> None:
    with Running(tmp_path, ready=False, fail="hang", start=0.3) as gateway:
        line = gateway.wait_line("has not begun to serve after 0.3 s")
        assert "worker 0" in line
        gateway.wait_line("was killed by SIGABRT")


def test_the_control_process_is_replaced_too(tmp_path: Path) -> None:
    with Running(tmp_path, admin="127.0.0.1:0") as gateway:
        worker = gateway.ask()["pid"]
        control = next(pid for pid in children(gateway.pid) if pid != worker)
        os.kill(control, signal.SIGKILL)
        gateway.wait_line("control process")
        assert gateway.admin("/readyz")[0] == 200
        assert gateway.ask()["pid"] == worker
