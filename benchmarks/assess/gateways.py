"""The gateways that are looked at, each a real process with `work` seconds of its own before it forwards."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Start = Callable[[Path, int, int, int, float], list[str]]
"""The command, from its folder, its port, a spare one, the service's, and its work."""

ROOT = Path(__file__).resolve().parents[2]
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format times '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                   '"$http_referer" "$http_user_agent" {fields}';
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  upstream service {{ server 127.0.0.1:{service}; keepalive 32; }}
  upstream check {{ server 127.0.0.1:{spare}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port};
    access_log {folder}/access.log times;
    location / {{
      auth_request /check;
      proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
    location = /check {{
      internal; access_log off;
      proxy_pass http://check/item/0; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""
GUNICORN = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'


def nginx(fields: str) -> Start:
    """Its work is a subrequest that it waits for before it forwards, as for a check of a key."""

    def start(folder: Path, port: int, spare: int, service: int, work: float) -> list[str]:
        config = folder / "nginx.conf"
        values = {"folder": folder, "port": port, "spare": spare, "service": service, "fields": fields}
        config.write_text(NGINX.format(**values))
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise SystemExit("nginx is not installed; on Debian: apt-get install nginx-light")
        return [program, "-p", str(folder), "-c", str(config)]

    return start


def gunicorn(fields: str) -> Start:
    def start(folder: Path, port: int, spare: int, service: int, work: float) -> list[str]:
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "32"]
        command += ["--worker-class", "gthread", "--keep-alive", "60", "--log-level", "warning"]
        command += [
            "--access-logfile",
            str(folder / "access.log"),
            "--access-logformat",
            f"{GUNICORN} {fields}",
        ]
        return [*command, "benchmarks.assess.app:app"]

    return start


def tetrapylon(folder: Path, port: int, spare: int, service: int, work: float) -> list[str]:
    config = {
        "server": {"listen": [f"127.0.0.1:{port}"]},
        "log": {"access": {"path": str(folder / "access.log")}},
        "upstreams": {"service": {"targets": [f"http://127.0.0.1:{service}"]}},
        "policies": [{"use": "fault", "delay": f"{work * 1000:g}ms"}],
        "routes": [{"path": "/{rest:path}", "upstream": "service"}],
    }
    path = folder / "gateway.json"
    path.write_text(json.dumps(config))
    return [sys.executable, "-m", "tetrapylon", "run", str(path)]


GATEWAYS: dict[str, Start] = {
    "nginx": nginx("$request_time $upstream_response_time"),
    "gunicorn": gunicorn("%(D)s upstream_us=%({upstream_us}e)s"),
    "gunicorn and the service's log": gunicorn("%(D)s"),
    "Tetrapylon": tetrapylon,
}


@contextmanager
def running(command: list[str], folder: Path, **environment: str) -> Iterator[None]:
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
            yield
        finally:
            process.terminate()
            process.wait(30)
