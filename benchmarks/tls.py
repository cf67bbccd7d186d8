"""`python -m benchmarks.tls`: what TLS towards clients costs, against nginx with the same settings.

An ECDSA P-256 certificate, TLS 1.3. CPU time a small request on kept connections (by wrk), CPU time a full
handshake (by `openssl s_time -new`), and memory an idle connection that has asked once.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from .e2e.process import GATEWAY_CORE, LOAD_CORE, Upstream, free_port, memory, pinned, tree
from .e2e.workshop import Unavailable, Workshop, call
from .peers import nginx
from .tunnel import cpu_seconds

NGINX = """\
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 10000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 100000000;
    upstream backend {{
        server 127.0.0.1:{upstream};
        keepalive 128;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers {ciphers};
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
"""
TETRAPYLON = """\
server:
  listen: [{{address: "127.0.0.1:{port}", tls: {{cert: {cert}, key: {key}}}}}]
log: {{access: none}}
upstreams: {{backend: {{targets: ["http://127.0.0.1:{upstream}"]}}}}
routes: [{{path: "/{{rest:path}}", upstream: backend}}]
"""
REQUEST = b"GET /small HTTP/1.1\r\nHost: api.example.com\r\n\r\n"


class Bar(NamedTuple):
    """`most` is what the median of ours over nginx's may be, or for memory the bytes."""

    name: str
    most: float
    measure: Callable[["Server", float], float]
    show: str
    relative: bool = True


class Server:
    """A gateway that speaks TLS; pinned to the gateway's core."""

    def __init__(self, name: str, command: list[str | Path], port: int, log: Path) -> None:
        self.name = name
        self.port = port
        with pinned(GATEWAY_CORE), log.open("wb") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        until = time.monotonic() + 20
        while True:
            try:
                connect(port).close()
                break
            except OSError:
                if time.monotonic() > until or self._process.poll() is not None:
                    self.close()
                    raise RuntimeError(f"{name} does not answer:\n{log.read_text()[-2000:]}") from None
                time.sleep(0.01)

    def pids(self) -> list[int]:
        return tree(self._process.pid)

    def close(self) -> None:
        self._process.send_signal(signal.SIGQUIT if self.name == "nginx" else signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def connect(port: int) -> ssl.SSLSocket:
    """A connection that has asked once and been answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))
    try:
        sock.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"}"):
            piece = sock.recv(65536)
            if not piece:
                raise ConnectionError(f"cut after {answer!r}")
            answer += piece
        if not answer.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"answered {answer!r}")
    except BaseException:
        sock.close()
        raise
    return sock


def load(command: list[str], found: str) -> int:
    """Runs a load generator on its core; the number that the pattern finds in what it says."""
    with pinned(LOAD_CORE):
        said = call(*command)
    match = re.search(found, said)
    if match is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{' '.join(command)} said:\n{said}")
    return int(match[1])


def request_cost(server: Server, seconds: float) -> float:
    """Microseconds of CPU a request."""
    before = cpu_seconds(server.pids())
    url = f"https://127.0.0.1:{server.port}/small"
    count = load(["wrk", "-t1", "-c64", f"-d{seconds:.0f}s", url], r"(\d+) requests in")
    return (cpu_seconds(server.pids()) - before) / count * 1e6


def handshake_cost(server: Server, seconds: float) -> float:
    """Microseconds of CPU a full handshake, its connection opened and closed."""
    before = cpu_seconds(server.pids())
    address = f"127.0.0.1:{server.port}"
    command = ["openssl", "s_time", "-connect", address, "-new", "-time", f"{seconds:.0f}"]
    count = load(command, r"(\d+) connections in \d+ real seconds")
    return (cpu_seconds(server.pids()) - before) / count * 1e6


def idle_memory(server: Server, _: float, count: int = 1000) -> float:
    """Bytes a connection that has asked once."""
    with ExitStack() as stack:
        # The first ones grow what stays; they are not counted.
        for _unused in range(100):
            stack.enter_context(connect(server.port))
        before = memory(server.pids()).pss
        for _unused in range(count):
            stack.enter_context(connect(server.port))
        return (memory(server.pids()).pss - before) / count


BARS = (
    Bar("CPU a request on kept connections", 1.15, request_cost, "{:.1f} us"),
    Bar("CPU a full handshake", 1 / 0.7, handshake_cost, "{:.0f} us"),
    Bar("memory an idle connection", 24 * 1024, idle_memory, "{:.0f} bytes", relative=False),
)


def certificate(directory: Path) -> tuple[Path, Path]:
    cert, key = directory / "cert.pem", directory / "key.pem"
    call(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost"),
    )
    return cert, key


@contextmanager
def servers() -> Iterator[tuple[Server, Server]]:
    """Ours and nginx's. Raises Unavailable."""
    from tetrapylon.net.tls import CIPHERS

    workshop = Workshop()
    workshop.prepare((nginx.PEER,))
    directory = workshop.build / "run" / "tls"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    cert, key = certificate(directory)
    with Upstream(workshop.upstream) as upstream, ExitStack() as stack:
        running = []
        for name, template, file in (
            ("tetrapylon", TETRAPYLON, directory / "gateway.yaml"),
            ("nginx", NGINX, directory / "nginx.conf"),
        ):
            port = free_port()
            file.write_text(
                template.format(
                    directory=directory,
                    port=port,
                    upstream=upstream.port,
                    cert=cert,
                    key=key,
                    ciphers=CIPHERS,
                )
            )
            command: list[str | Path] = [Path(sys.executable).with_name("tetrapylon"), "run", file]
            if name == "nginx":
                command = [workshop.program(nginx.PEER), "-p", directory, "-e", "stderr", "-c", file]
            server = Server(name, command, port, directory / f"{name}.log")
            stack.callback(server.close)
            running.append(server)
        yield running[0], running[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    for tool in ("wrk", "openssl"):
        if not shutil.which(tool):
            raise Unavailable(f"missing: {tool}; as root: apt-get install {tool}")
    missed = 0
    with servers() as (ours, peer):
        for bar in BARS:
            found = []
            for number in range(options.rounds if bar.relative else 1):
                mine, theirs = (bar.measure(each, options.seconds) for each in (ours, peer))
                found.append(mine / theirs if bar.relative else mine)
                print(f"round {number + 1}: {bar.show.format(mine)}, nginx {bar.show.format(theirs)}")
            middle = statistics.median(found)
            missed += middle > bar.most
            told = f"{middle:.3g} x nginx's" if bar.relative else f"{middle:.0f} bytes"
            print(f"{bar.name}: {told}, bar {bar.most:.5g} {'met' if middle <= bar.most else 'NOT MET'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
