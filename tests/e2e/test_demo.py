"""`make demo`: starts by itself, shows the first requests, ends quietly."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ask, eventually, leaks, net

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "demo.py"


def port() -> str:
    return net.refused().rpartition(":")[2]


def start(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PORT": port(), "ADMIN_PORT": port(), "ONCE": "", **environment},
    )


def test_once_ends_well_when_all_was_answered_right() -> None:
    with start(ONCE="1") as demo:
        shown, complaints = demo.communicate(timeout=30)
    assert (demo.returncode, complaints) == (0, "")
    for path in ("/products", "/products/2", "/orders/1", "/ping", "/products/two"):
        assert f" {path} " in shown
    assert " ms" in shown
    assert "/metrics" in shown


def test_a_port_that_is_taken_is_said_clearly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with start(ONCE="1", PORT=str(number)) as demo:
            shown, complaints = demo.communicate(timeout=30)
    assert (demo.returncode, shown) == (1, "")
    assert f"port {number} " in complaints
    assert f"make demo PORT={number + 1}" in complaints
    assert "Traceback" not in complaints


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_serves_until_interrupted_and_leaves_nothing(name: str) -> None:
    address = f"127.0.0.1:{port()}"
    with start(PORT=address.rpartition(":")[2]) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        assert any("Ctrl-C" in line for line in demo.stdout)
        assert ask(address, "GET", "/products/1").status == 200
        assert '"/products/' in demo.stdout.readline() + demo.stdout.readline()
        family = leaks.children(demo.pid)
        assert len(family) >= 4
        demo.send_signal(signal.Signals[name])
        assert demo.wait(20) == 0
        assert demo.stderr.read() == ""
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "all processes are gone")
