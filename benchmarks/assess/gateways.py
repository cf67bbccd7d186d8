"""The gateways that are looked at, each a real process with work of its own before it forwards."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .systems import System

ROOT = Path(__file__).resolve().parents[2]


class Ports(NamedTuple):
    gateway: int
    service: int
    check: int
    """Of the service that nginx's work is a question to."""
    refused: int
    """Where nobody listens."""


NGINX = """
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
{user}
events {{ worker_connections 1024; }}
http {{
  log_format times {escape} {log};
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  client_body_buffer_size 128k; client_max_body_size 10m;
  upstream service {{ {refused} server 127.0.0.1:{service} max_fails=0; {keep} }}
  upstream check {{ server 127.0.0.1:{check}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    access_log {folder}/access.log times;
    location / {{
      auth_request /check;
      proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection {connection};
    }}
    location /alone/ {{ return 200 "by itself"; }}
    location = /check {{
      internal; access_log off;
      proxy_pass http://check$request_uri; proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""
NGINX_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
    ' "$http_referer" "$http_user_agent"'
)
NGINX_LOGS = {
    "": f"{NGINX_COMBINED} $request_time $upstream_response_time",
    "labels": f'{NGINX_COMBINED} rt=$request_time uct="$upstream_connect_time" urt="$upstream_response_time"',
    "json": '{"time":"$time_iso8601","request":"$request","status":"$status","request_time":"$request_time",'
    '"upstream_response_time":"$upstream_response_time"}',
    "combined": NGINX_COMBINED,
    "whole": f"{NGINX_COMBINED} $request_time",
}
GUNICORN = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
GUNICORN_LOGS = {
    "": f"{GUNICORN} %(D)s upstream_us=%({{upstream_us}}e)s",
    "seconds": f"{GUNICORN} %(L)s upstream_s=%({{upstream_s}}e)s",
    "milliseconds": f"{GUNICORN} %(M)s %({{upstream_ms}}e)s",
    "two": f"{GUNICORN} %(D)s",
    "whole": f"{GUNICORN} %(D)s",
}
TOLD = ("milliseconds", "two", "whole")
"""Logs whose format cannot be found out."""


def told_format(system: System) -> str | None:
    """What a person has to say of the log's format."""
    gunicorn = system.server not in ("nginx", "tetrapylon")
    return GUNICORN_LOGS[system.log] if gunicorn and system.log in TOLD else None


def start(system: System, folder: Path, ports: Ports) -> list[str]:
    """The command of the gateway."""
    if system.server == "nginx":
        return nginx(system, folder, ports)
    if system.server == "tetrapylon":
        return tetrapylon(system, folder, ports)
    return gunicorn(system, folder, ports)


def nginx(system: System, folder: Path, ports: Ports) -> list[str]:
    """Its work is a subrequest that it waits for before it forwards, as for a check of a key."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed; on Debian: apt-get install nginx-light")
    config = folder / "nginx.conf"
    config.write_text(
        NGINX.format(
            workers=system.workers,
            user="user root;" if os.getuid() == 0 else "",
            folder=folder,
            escape="escape=json" if system.log == "json" else "",
            log=f"'{NGINX_LOGS[system.log]}'",
            refused=f"server 127.0.0.1:{ports.refused} max_fails=0;" if system.retried else "",
            keep="keepalive 32;" if system.keep_alive_behind else "",
            connection='""' if system.keep_alive_behind else "close",
            port=ports.gateway,
            service=ports.service,
            check=ports.check,
        )
    )
    return [program, "-p", str(folder), "-c", str(config)]


def python_with_gevent() -> str:
    """In an environment of its own below `build`: what the tests need goes with no gevent of today."""
    venv = ROOT / "build" / "bench" / "gevent"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        wanted = ("gunicorn[gevent]", "packaging")
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
    return str(python)


def gunicorn(system: System, folder: Path, ports: Ports) -> list[str]:
    python = python_with_gevent() if system.server == "gevent" else sys.executable
    return [
        *(python, "-m", "gunicorn", "--bind", f"127.0.0.1:{ports.gateway}"),
        *("--worker-class", system.server, "--workers", str(system.workers)),
        *("--threads", str(system.threads), "--keep-alive", "60", "--log-level", "warning"),
        *("--access-logfile", str(folder / "access.log")),
        *("--access-logformat", GUNICORN_LOGS[system.log]),
        "benchmarks.assess.app:app",
    ]


def tetrapylon(system: System, folder: Path, ports: Ports) -> list[str]:
    steady = system.work.isdecimal() and not system.busy
    config = {
        "server": {"listen": [f"127.0.0.1:{ports.gateway}"], "workers": system.workers},
        "log": {"access": {"path": str(folder / "access.log")}},
        "upstreams": {"service": {"targets": [f"http://127.0.0.1:{ports.service}"]}},
        "policies": [
            {"use": "fault", "delay": f"{system.work}ms"}
            if steady
            else {"use": "benchmarks.assess.plugin:Work", "recipe": system.work, "busy": system.busy}
        ],
        "routes": [{"path": "/{rest:path}", "upstream": "service"}],
    }
    path = folder / "gateway.json"
    path.write_text(json.dumps(config))
    return [sys.executable, "-m", "tetrapylon", "run", str(path)]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of its children, in user space and in the kernel."""
    own = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    ticks = int(own[11]) + int(own[12])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return ticks / os.sysconf("SC_CLK_TCK") + sum(cpu_seconds(int(child)) for child in children)


@contextmanager
def running(command: list[str], folder: Path, **environment: str) -> Iterator[int]:
    """Gives the process's id."""
    with (folder / "said").open("a") as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)
