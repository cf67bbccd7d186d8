"""How the supervised gateway begins and ends: one line, a drain, a stop, and nothing left behind."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.control.running import Running, alive, children, eventually, receive


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


class TestStart:
    def test_one_line_says_where_it_listens(self, tmp_path: Path) -> None:
        listen = ["127.0.0.1:0", f"unix:{tmp_path}/s"]
        with Running(tmp_path, listen=listen, admin="127.0.0.1:0", workers=2) as gateway:
            (line,) = gateway.stderr.splitlines()
            assert re.fullmatch(
                r"tetrapylon \d+\.\d+\.\d+\S* listening on http://127\.0\.0\.1:\d+, unix:\S+/s \(2 workers\),"
                r" admin on http://127\.0\.0\.1:\d+",
                line,
            )

    def test_it_is_said_once_the_workers_serve(self, tmp_path: Path) -> None:
        with Running(tmp_path, admin="127.0.0.1:0") as gateway:
            assert gateway.admin("/readyz") == (200, "ok\n")
            assert "(1 worker)" in gateway.stderr

    def test_all_workers_share_the_port_that_the_system_chose(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=3) as gateway:
            assert len(gateway.ports) == 1
            assert sorted(gateway.workers()) == [0, 1, 2]

    def test_every_worker_serves_a_unix_socket(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        with Running(tmp_path, listen=[f"unix:{path}"]), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")

    def test_a_port_in_use_is_refused_by_name(self, tmp_path: Path) -> None:
        with Running(tmp_path) as first:
            port = first.ports[0]
            second = tmp_path / "second"
            second.mkdir()
            with Running(second, ready=False, listen=[f"127.0.0.1:{port}"]) as gateway:
                assert gateway.wait() == 2
                assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in gateway.stderr
                assert "server.listen" in gateway.stderr
                assert len(gateway.stderr.splitlines()) == 1

    def test_an_admin_port_in_use_is_refused_by_name(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with Running(tmp_path, ready=False, admin=f"127.0.0.1:{port}") as gateway:
                assert gateway.wait() == 2
                assert f"127.0.0.1:{port}" in gateway.stderr
                assert "admin.listen" in gateway.stderr


class TestDrain:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_request_in_flight_is_finished(self, tmp_path: Path, number: signal.Signals) -> None:
        with Running(tmp_path, workers=2) as gateway:
            waiting = gateway.send("/wait/a")
            gateway.wait_file("waiting-a")
            gateway.signal(number)
            eventually(lambda: refuses(gateway.ports[0]), "new connections are refused")
            assert gateway.process.poll() is None
            gateway.touch("release-a")
            assert "pid" in receive(waiting)
            assert gateway.wait() == 0
            assert gateway.stderr.count("\n") == 1  # where it listens, and no more

    def test_an_idle_gateway_ends_at_once(self, tmp_path: Path) -> None:
        with Running(tmp_path, admin="127.0.0.1:0", drain=60) as gateway:
            gateway.signal(signal.SIGTERM)
            assert gateway.wait(3) == 0

    def test_what_does_not_finish_in_time_is_cut_and_told(self, tmp_path: Path) -> None:
        with Running(tmp_path, drain=0.3) as gateway:
            waiting = gateway.send("/wait/a")
            gateway.wait_file("waiting-a")
            gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
            assert waiting.recv(100) == b""
            waiting.close()
            assert "cut 1 in flight that did not finish in 0.3 s" in gateway.stderr

    def test_a_second_term_stops_now(self, tmp_path: Path) -> None:
        with Running(tmp_path, drain=60) as gateway:
            waiting = gateway.send("/wait/a")
            gateway.wait_file("waiting-a")
            gateway.signal(signal.SIGTERM)
            eventually(lambda: refuses(gateway.ports[0]), "it drains")
            gateway.signal(signal.SIGTERM)
            assert gateway.wait(3) == 0
            waiting.close()
            assert (tmp_path / "closed-0").exists(), "the worker was not given the chance to end by itself"

    def test_a_term_at_any_moment_of_the_end_leaves_the_status_alone(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2) as gateway:
            while gateway.process.poll() is None:
                gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
            assert gateway.stderr.count("\n") == 1

    def test_a_manager_that_signals_every_process_still_gets_a_drain(self, tmp_path: Path) -> None:
        """systemd's KillMode=control-group: TERM reaches every process, and the supervisor sends its own."""
        with Running(tmp_path, admin="127.0.0.1:0") as gateway:
            waiting = gateway.send("/wait/a")
            gateway.wait_file("waiting-a")
            for pid in [gateway.pid, *children(gateway.pid)]:
                os.kill(pid, signal.SIGTERM)
            eventually(lambda: refuses(gateway.ports[0]), "it drains")
            assert gateway.admin("/readyz")[0] == 503
            gateway.touch("release-a")
            assert "pid" in receive(waiting)
            assert gateway.wait() == 0
            assert gateway.stderr.count("\n") == 1

    def test_a_terminals_interrupt_reaches_workers_too_and_still_drains(self, tmp_path: Path) -> None:
        with Running(tmp_path) as gateway:
            waiting = gateway.send("/wait/a")
            gateway.wait_file("waiting-a")
            for pid in [*children(gateway.pid), gateway.pid]:
                os.kill(pid, signal.SIGINT)
            eventually(lambda: refuses(gateway.ports[0]), "it drains")
            gateway.touch("release-a")
            assert "pid" in receive(waiting)
            assert gateway.wait() == 0

    def test_readiness_falls_while_draining_and_liveness_stays(self, tmp_path: Path) -> None:
        with Running(tmp_path, admin="127.0.0.1:0") as gateway, gateway.send("/wait/a"):
            gateway.wait_file("waiting-a")
            gateway.signal(signal.SIGTERM)
            eventually(lambda: gateway.admin("/readyz")[0] == 503, "not ready")
            assert "draining" in gateway.admin("/readyz")[1]
            assert gateway.admin("/livez") == (200, "ok\n")
            gateway.touch("release-a")
            assert gateway.wait() == 0

    def test_a_worker_that_hangs_while_draining_is_killed(self, tmp_path: Path) -> None:
        with Running(tmp_path, drain=0.2) as gateway:
            with gateway.send("/hang"):
                gateway.wait_file("hanging")
                gateway.signal(signal.SIGTERM)
                assert gateway.wait() == 0
            assert "has not ended in time; killing it" in gateway.stderr

    def test_a_stopped_worker_drains_as_well(self, tmp_path: Path) -> None:
        with Running(tmp_path) as gateway:
            os.kill(gateway.ask()["pid"], signal.SIGSTOP)
            gateway.wait_line("was stopped by SIGSTOP")
            gateway.signal(signal.SIGTERM)
            assert gateway.wait(3) == 0
            assert "killing" not in gateway.stderr


class TestOtherSignals:
    def test_usr1_has_every_worker_reopen_its_logs(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2) as gateway:
            gateway.signal(signal.SIGUSR1)
            gateway.wait_file("reopened-0")
            gateway.wait_file("reopened-1")
            gateway.ask()


class TestNothingLeft:
    def test_no_process_remains(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, admin="127.0.0.1:0") as gateway:
            family = children(gateway.pid)
            assert len(family) == 3
            gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
            assert not any(map(alive, family))

    def test_workers_end_when_their_supervisor_is_killed_but_finish_first(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, admin="127.0.0.1:0") as gateway:
            family = children(gateway.pid)
            waiting = gateway.send("/wait/a")
            gateway.wait_file("waiting-a")
            gateway.signal(signal.SIGKILL)
            gateway.wait_line("lost its supervisor")
            gateway.touch("release-a")
            assert "pid" in receive(waiting)
            eventually(lambda: not any(map(alive, family)), "all of them have ended")

    def test_without_a_supervisor_too_what_does_not_finish_in_time_is_cut(self, tmp_path: Path) -> None:
        with Running(tmp_path, drain=0.2) as gateway:
            (pid, *_) = children(gateway.pid)
            with gateway.send("/wait/a"):
                gateway.wait_file("waiting-a")
                gateway.signal(signal.SIGKILL)
                eventually(lambda: not alive(pid), "it has ended")

    def test_a_replaced_worker_leaves_no_descriptor_and_no_zombie(self, tmp_path: Path) -> None:
        with Running(tmp_path, workers=2, admin="127.0.0.1:0") as gateway:
            gateway.ask()
            before = len(descriptors(gateway.pid))
            for _ in range(3):
                pid = gateway.ask()["pid"]
                os.kill(pid, signal.SIGKILL)
                gateway.wait_line(f"(pid {pid}) was killed")
                eventually(lambda: len(children(gateway.pid)) == 3, "it is replaced")
            assert sorted(gateway.workers()) == [0, 1]
            assert len(descriptors(gateway.pid)) == before
            assert all(map(alive, children(gateway.pid)))

    def test_no_child_holds_what_is_anothers(self, tmp_path: Path) -> None:
        listen = ["127.0.0.1:0", f"unix:{tmp_path}/s"]
        with Running(tmp_path, listen=listen, admin="127.0.0.1:0", workers=2) as gateway:
            workers = gateway.workers()
            held = {pid: sockets(pid) for pid in [gateway.pid, *children(gateway.pid)]}
            own = held.pop(gateway.pid)
            (control,) = set(held) - set(workers.values())
            tcp = [held[workers[index]] & own for index in (0, 1)]
            assert [len(each) for each in tcp] == [2, 2]  # its own port's, and the shared Unix one
            assert len(tcp[0] & tcp[1]) == 1
            assert len(held[control] & own) == 1
            assert not held[control] & (tcp[0] | tcp[1])
            assert "memfd:tetrapylon-counters" in str(descriptors(control))
            memory = {name.split()[0] for name in descriptors(workers[0]) if "memfd" in name}
            # Whose locks say who lives, and nothing else.
            assert memory == {"/memfd:tetrapylon-flights"}

    def test_a_unix_socket_is_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        with Running(tmp_path, listen=[f"unix:{path}"]) as gateway:
            gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
            assert not path.exists()

    def test_a_unix_socket_of_a_killed_gateway_is_taken_over(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        with Running(tmp_path, listen=[f"unix:{path}"]) as gateway:
            gateway.kill()
        assert path.exists()
        with Running(tmp_path, listen=[f"unix:{path}"]) as gateway:
            assert gateway.process.poll() is None


def descriptors(pid: int) -> list[str]:
    directory = f"/proc/{pid}/fd"
    return sorted(os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory))


def sockets(pid: int) -> set[str]:
    return {name for name in descriptors(pid) if name.startswith("socket:")}
