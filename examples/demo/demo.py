"""`make demo`: a Flask shop, the gateway in front of it, and the first requests through both.

Environment:
    PORT        where the gateway listens, 8080 if not given
    ADMIN_PORT  its admin address, 9901 if not given
    ONCE        anything but empty or 0: stop after the first requests
"""

import contextlib
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
HOST = "127.0.0.1"
START = 15.0


class DemoError(Exception):
    """Something that stops the demo; its text says what to do about it."""


class Ask(NamedTuple):
    """A request to show, and what makes its answer right."""

    method: str
    path: str
    status: int
    contains: str
    what: str
    body: dict[str, Any] | None = None


FIRST = [
    Ask("GET", "/products", 200, "Moka pot", "proxied to Flask"),
    Ask("GET", "/products/2", 200, "Moka pot", "proxied: {id:int} matched"),
    Ask("POST", "/orders", 201, "Hand grinder", "proxied with its body", {"product": 3}),
    Ask("GET", "/orders/1", 200, "Hand grinder", "proxied"),
    Ask("GET", "/ping", 200, "pong", "the gateway's own answer"),
    Ask("GET", "/products/two", 404, "404", "refused here: two is no int"),
]


def main() -> int:
    port, admin = number("PORT", 8080), number("ADMIN_PORT", 9901)
    once = os.environ.get("ONCE", "") not in ("", "0")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us with it ignored
    try:
        for variable, value in (("PORT", port), ("ADMIN_PORT", admin)):
            check_free(variable, value)
        with foreground(), tempfile.TemporaryDirectory(prefix="tetrapylon-demo-") as directory:
            serve(port, admin, Path(directory), once=once)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def serve(port: int, admin: int, directory: Path, *, once: bool) -> None:
    """Starts both, shows the first requests, and goes on until interrupted.

    Raises:
        DemoError: something did not start, was answered wrongly, or ended by itself.
    """
    shop_socket, shop_log = directory / "shop.sock", directory / "shop.log"
    log: queue.Queue[str] = queue.Queue()
    with (
        open(shop_log, "w+", encoding="utf-8") as shop_output,
        child(
            [
                *(sys.executable, "-m", "gunicorn", "--chdir", HERE, "--bind", f"unix:{shop_socket}"),
                *("--worker-class", "gthread", "--threads", "4", "--keep-alive", "75", "upstream:app"),
            ],
            stdout=shop_output,
            stderr=shop_output,
        ) as shop,
        contextlib.closing(open(directory / "gateway.log", "w+", encoding="utf-8")) as gateway_output,
    ):
        wait_for(shop, shop_log, lambda: accepts(socket.AF_UNIX, str(shop_socket)), "the shop")
        began = time.monotonic()
        environment = {"PORT": str(port), "ADMIN_PORT": str(admin), "SHOP_SOCKET": str(shop_socket)}
        with child(
            [BIN / "tetrapylon", "run", HERE / "gateway.yaml"],
            stdout=subprocess.PIPE,
            stderr=gateway_output,
            env={**os.environ, **environment},
        ) as gateway:
            threading.Thread(target=pump, args=(gateway, log), daemon=True).start()
            wait_for(
                gateway,
                directory / "gateway.log",
                lambda: accepts(socket.AF_INET, (HOST, port)),
                "the gateway",
            )
            took = time.monotonic() - began
            print(f"The gateway listens on http://{HOST}:{port}, {took:.2f} s after its start.")
            print("A Flask shop, served by gunicorn, stands behind it. The first requests:\n")
            show_first(port, log)
            show_where_next(port, admin)
            if once:
                return
            print("Ctrl-C ends it. Access log:\n", flush=True)
            while gateway.poll() is None and shop.poll() is None:
                with contextlib.suppress(queue.Empty):
                    print(log.get(timeout=0.2), flush=True)
            ended, output = (
                ("the gateway", "gateway.log") if gateway.poll() is not None else ("the shop", "shop.log")
            )
            raise DemoError(f"{ended} has ended:\n{(directory / output).read_text(encoding='utf-8')}")


def show_first(port: int, log: queue.Queue[str]) -> None:
    """Sends the first requests over one connection; a line each, with the access log's split of the time."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    wrong: list[str] = []
    print(f"  {'request':<24}{'status':>6}{'gateway':>12}{'upstream':>12}")
    for ask in FIRST:
        body = None if ask.body is None else json.dumps(ask.body)
        connection.request(ask.method, ask.path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        if response.status != ask.status or ask.contains not in text:
            wrong.append(f"{ask.method} {ask.path}: {response.status} {text[:200]!r}; expected {ask.status}")
        try:
            line = json.loads(log.get(timeout=5))
        except queue.Empty:
            raise DemoError(f"no line in the access log for {ask.method} {ask.path}") from None
        split = "".join(
            f"{line[key] / 1000:>9.3f} ms" if key != "upstream_us" or "upstream" in line else "           -"
            for key in ("gateway_us", "upstream_us")
        )
        print(f"  {f'{ask.method} {ask.path}':<24}{response.status:>6}{split}   {ask.what}")
    connection.close()
    if wrong:
        raise DemoError("answered wrongly:\n  " + "\n  ".join(wrong))


def show_where_next(port: int, admin: int) -> None:
    print(f"""
Where to look next
  try it        curl -i http://{HOST}:{port}/products/1
  order a cup   curl -i --json '{{"product": 1}}' http://{HOST}:{port}/orders
  live page     http://{HOST}:{admin}/
  health        http://{HOST}:{admin}/livez   http://{HOST}:{admin}/readyz
  metrics       http://{HOST}:{admin}/metrics
  its config    examples/demo/gateway.yaml
  the shop      examples/demo/upstream.py
  first steps   docs/guide.md
""")


@contextlib.contextmanager
def foreground() -> Iterator[None]:
    """Takes the terminal for us alone: Ctrl-C then interrupts us and not `make`, which would complain."""
    group = os.getpgrp()
    if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != group or group == os.getpid():
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # sent to a background process that takes the terminal
    os.setpgid(0, 0)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(sys.stdin.fileno(), group)


@contextlib.contextmanager
def child(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, out of Ctrl-C's reach; ended with TERM, at last with KILL."""
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], output: Path, ready: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + START
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoError(f"{name} did not start:\n{output.read_text(encoding='utf-8')}")
        time.sleep(0.01)


def accepts(family: int, address: Any) -> bool:
    with socket.socket(family) as sock:
        return sock.connect_ex(address) == 0


def check_free(variable: str, port: int) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError as error:
            raise DemoError(
                f"port {port} of {HOST} cannot be used ({error.strerror}); "
                f"choose another: make demo {variable}={port + 1}"
            ) from None


def number(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        sys.exit(f"demo: {variable}={text} is no port; give a number from 1 to 65535")
    return int(text)


def pump(process: subprocess.Popen[bytes], log: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        log.put(line.decode("utf-8", "replace").rstrip("\n"))


if __name__ == "__main__":
    sys.exit(main())
