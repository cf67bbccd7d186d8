"""Measuring live: a real gateway of 20 ms of its own between two that watch it."""

import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.harness import net
from tests.harness.wait import eventually
from tetrapylon.assess.live import Hop, hop_of
from tetrapylon.assess.result import Assessment
from tetrapylon.errors import UsageError

COMMAND = str(Path(sys.executable).with_name("tetrapylon"))
OWN, SERVICE = 0.020, 0.010


def free_port() -> int:
    """One that nobody has now; those who measure are told a port, they do not choose."""
    return int(net.refused().rpartition(":")[2])


@contextmanager
def server(answer: Any) -> Iterator[int]:
    """HTTP on a free port; `answer` gives the body for a path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment: the second would wait for the acknowledgement of the first

        def do_GET(self) -> None:
            body = answer(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    listening = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield listening.server_port
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def service(_: str) -> bytes:
    time.sleep(SERVICE)
    return b"hello"


@contextmanager
def present(service_port: int) -> Iterator[int]:
    """The gateway that is looked at."""
    local = threading.local()
    opened: list[http.client.HTTPConnection] = []

    def forward(path: str) -> bytes:
        time.sleep(OWN)
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", service_port, timeout=10)
            opened.append(local.connection)
        local.connection.request("GET", path)
        body: bytes = local.connection.getresponse().read()
        return body

    with server(forward) as port:
        yield port
    for each in opened:
        each.close()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "assess", *arguments, "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def connects(port: int) -> bool:
    try:
        net.connect(f"127.0.0.1:{port}", timeout=1).close()
    except OSError:
        return False
    return True


def ask(port: int, seconds: float) -> list[float]:
    """What it took users, of whom there are four."""
    took: list[float] = []

    def user() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            connection.request("GET", "/a")
            assert connection.getresponse().read() == b"hello"
            took.append(time.perf_counter() - began)
        connection.close()

    users = [threading.Thread(target=user) for _ in range(4)]
    for each in users:
        each.start()
    for each in users:
        each.join()
    return took


def test_its_own_part_is_measured_between_the_two() -> None:
    front, behind = free_port(), free_port()
    with server(service) as services, present(behind) as gateway:
        running = start(
            "--front", f"127.0.0.1:{front}=http://127.0.0.1:{gateway}",
            "--behind", f"127.0.0.1:{behind}=http://127.0.0.1:{services}",
            "--for", "60s",
        )  # fmt: skip
        eventually(lambda: connects(front), "the gateway in front listens", within=20)
        took = ask(front, 9.0)
        running.send_signal(signal.SIGINT)  # enough: what there is is assessed
        said, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert f"127.0.0.1:{front} forwards to http://127.0.0.1:{gateway}" in errors
    told = msgspec.json.decode(said, type=Assessment)
    assert told.log is not None
    assert told.split is not None
    assert told.log.requests == len(took)
    assert told.split.cannot_tell == ""
    # How wide an interval is in so short a time is the machine's affair.
    q, total, upstream = told.split.curve[49]
    assert q == 0.5
    assert upstream is not None
    assert upstream >= SERVICE * 1000
    assert total - upstream >= OWN * 1000
    assert told.split.all_time is not None
    assert told.split.all_time.value == pytest.approx(OWN / (OWN + SERVICE), abs=0.1)


def test_front_alone_knows_the_whole_time_and_says_what_is_missing() -> None:
    front = free_port()
    with server(service) as services, present(services) as gateway:
        running = start("--front", f"127.0.0.1:{front}=http://127.0.0.1:{gateway}", "--for", "60s")
        eventually(lambda: connects(front), "the gateway in front listens", within=20)
        ask(front, 3.0)
        running.send_signal(signal.SIGTERM)
        said, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    told = msgspec.json.decode(said, type=Assessment)
    assert told.split is not None
    assert "not what of it upstreams took" in told.split.cannot_tell
    assert "--behind" in told.split.do
    assert told.split.quantiles[0].total >= 1000 * (OWN + SERVICE)


def test_gateways_that_measure_end_with_who_started_them() -> None:
    front = free_port()
    running = start("--front", f"127.0.0.1:{front}=http://127.0.0.1:1", "--for", "60s")
    eventually(lambda: connects(front), "the gateway in front listens", within=20)
    running.kill()
    running.communicate(timeout=10)
    eventually(lambda: not connects(front), "it has ended, too", within=20)


def test_address_that_is_taken_is_an_error_with_its_reason() -> None:
    with server(service) as services:
        running = start("--front", f"127.0.0.1:{services}=http://127.0.0.1:{services}", "--for", "60s")
        said, errors = running.communicate(timeout=60)
    assert (running.returncode, said) == (1, "")
    assert f"127.0.0.1:{services}: the gateway ended:" in errors
    assert "Traceback" not in errors


def test_nobody_who_asks_is_no_request_and_no_crash() -> None:
    front = free_port()
    running = start("--front", f"127.0.0.1:{front}=http://127.0.0.1:1", "--for", "1s")
    said, errors = running.communicate(timeout=60)
    assert (running.returncode, said) == (1, "")
    assert "there is no request in it" in errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8080", "no address to listen on"),
        ("8080=http://127.0.0.1:1", "no address to listen on"),
        ("127.0.0.1:0=http://127.0.0.1:1", "no address to listen on"),
        ("127.0.0.1:8080=127.0.0.1:1", "is no service"),
        ("127.0.0.1:8080=http://127.0.0.1:1/path", "is no service"),
    ],
)
def test_hops_that_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"--front: .*{said}"):
        hop_of(text, "--front")


def test_hop_is_read() -> None:
    assert hop_of("[::1]:8080=https://users.example/", "--front") == Hop(
        "[::1]:8080", "https://users.example"
    )
