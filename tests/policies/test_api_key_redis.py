"""`api_key` with keys in Redis: a real server, frozen and gone."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.harness import eventually
from tests.policies.rig import guarded, sha256

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server here")


class Server:
    def __init__(self, directory: Path) -> None:
        self.socket = str(directory / "redis.sock")
        options = ["--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", str(directory)]
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=self.socket)
        eventually(self.answers, "Redis answers", within=20)

    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def keep(self, key: str, value: str) -> None:
        self.client.set("tetrapylon:key:" + hashlib.sha256(key.encode()).hexdigest(), value)

    def asked(self) -> int:
        stats = self.client.info("commandstats")
        assert isinstance(stats, dict)
        return int(stats.get("cmdstat_get", {"calls": 0})["calls"])

    def close(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self.client.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


def key(text: str) -> tuple[str, str]:
    return ("X-API-Key", text)


def test_keys_are_asked_for_once_and_forgotten_in_time(server: Server) -> None:
    server.keep("named", "mobile")
    server.keep("told", '{"name": "web", "groups": ["eu"], "metadata": {"tenant": "acme"}}')
    server.keep("broken", '{"nome": "web"}')
    consumers = [{"name": "mobile", "groups": ["partner"], "api_keys": [sha256("own")]}]
    policy = {"use": "api_key", "redis": {"url": f"unix://{server.socket}", "ttl": "1s"}}
    with guarded(policy, consumers=consumers) as rig:
        for _ in range(3):
            assert rig.passes(key("named")).headers.get("X-Consumer-Groups") == "partner"
        assert server.asked() == 1
        seen = rig.passes(key("told")).headers
        assert (seen.get("X-Consumer"), seen.get("X-Consumer-Groups")) == ("web", "eu")
        rig.refuses(key("none"), status=401, reason="unknown_key")
        rig.refuses(key("none"), status=401, reason="unknown_key")
        assert server.asked() == 3
        rig.refuses(key("broken"), status=503, reason="unavailable")
        assert "neither a name nor a JSON object" in rig.gateway.wait_line("api_key")
        server.keep("none", "late")
        eventually(lambda: rig.ask(key("none")).status == 200, "the new key is known", within=10)


def test_without_redis_only_what_is_at_hand_passes(server: Server) -> None:
    server.keep("named", "mobile")
    consumers = [{"name": "mobile", "api_keys": [sha256("own")]}]
    redis_settings = {"url": f"unix://{server.socket}", "ttl": "1h", "timeout": "200ms"}
    with guarded({"use": "api_key", "redis": redis_settings}, consumers=consumers) as rig:
        rig.passes(key("named"))
        os.kill(server.process.pid, signal.SIGSTOP)
        rig.refuses(key("frozen"), status=503, reason="unavailable")
        rig.passes(key("named"))
        rig.passes(key("own"))
        os.kill(server.process.pid, signal.SIGCONT)
        eventually(lambda: rig.ask(key("frozen")).status == 401, "Redis is asked again", within=10)
        server.process.kill()
        server.process.wait()
        rig.refuses(key("gone"), status=503, reason="unavailable")
        rig.passes(key("own"))
        assert len([line for line in rig.gateway.lines if "Redis does not answer" in line]) == 2
